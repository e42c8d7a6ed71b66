"""What is weak about a header that is whole: null ciphers in every spelling, cheap derivations, drives of their own."""

from __future__ import annotations

from typing import Any

import pytest
from generators.headers import PASSPHRASE, luks1_image, luks2_image, with_document

from luksafe.crypto.spec import is_null_cipher
from luksafe.errors import KeyRejected
from luksafe.luks.compact import capture
from luksafe.luks.finding import Finding
from luksafe.luks.inspection import inspect
from luksafe.luks.model import Header
from luksafe.luks.requirements import KNOWN_REQUIREMENTS, unknown_requirements
from luksafe.luks.unlock import unlock
from luksafe.luks.weaknesses import weaknesses
from luksafe.reader import BytesReader
from luksafe.secret import SecretBytes

CHEAP = "iterations of PBKDF2 only"
SPELLINGS = ("cipher_null-ecb", "cipher_null", "null", "capi:ecb(cipher_null)-plain64", "capi:ecb-cipher_null-plain64")


def header_of(image: bytes) -> Header:
    return inspect(BytesReader(image)).require_header()


def changed(*path: str, **members: Any) -> Header:
    """The test header with members of one of its objects set."""

    def change(document: dict[str, Any]) -> None:
        at: Any = document
        for name in path:
            at = at[name]
        at.update(members)

    return header_of(with_document(luks2_image(), change))


def found(header: Header) -> dict[str, Finding]:
    return {finding.code: finding for finding in weaknesses(header)}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_null_cipher_is_an_error_however_it_is_spelled(spelling: str) -> None:
    assert is_null_cipher(spelling)
    keyslot = found(changed("keyslots", "0", "area", encryption=spelling))["null-keyslot"]
    assert (keyslot.severity, "the volume key lies in the clear" in keyslot.text) == ("error", True)
    segment = found(changed("segments", "0", encryption=spelling))["null-segment"]
    assert segment.severity == "error"


def test_other_ciphers_are_none() -> None:
    assert not any(map(is_null_cipher, ("aes-xts-plain64", "capi:cbc(aes)-essiv:sha256", "nullable-ecb", "")))
    assert not {"null-keyslot", "null-segment"} & set(found(header_of(luks2_image())))


@pytest.mark.parametrize("spelling", ["cipher_null-ecb", "capi:ecb(cipher_null)-plain64"])
def test_no_passphrase_opens_a_keyslot_in_the_clear(spelling: str) -> None:
    """Encrypted by nothing, it would open for any of them."""
    image = luks1_image(encryption=spelling)
    with pytest.raises(KeyRejected):
        unlock(BytesReader(image), header_of(image), SecretBytes(PASSPHRASE))
    assert unlock(BytesReader(image), header_of(image), SecretBytes()).keyslot == 0


def test_a_cheap_key_derivation_is_a_warning() -> None:
    slot = ("keyslots", "0", "kdf")
    few = {"type": "pbkdf2", "hash": "sha256", "salt": "AAAA", "iterations": 99_999}
    weak = found(header_of(with_document(luks2_image(), lambda d: d["keyslots"]["0"].update(kdf=few))))["weak-kdf"]
    assert (weak.severity, CHEAP in weak.text) == ("warning", True)
    many = {**few, "iterations": 100_000}
    assert "weak-kdf" not in found(
        header_of(with_document(luks2_image(), lambda d: d["keyslots"]["0"].update(kdf=many)))
    )
    assert "weak-kdf" in found(changed(*slot, memory=(32 << 10) - 1))
    assert "weak-kdf" not in found(changed(*slot, memory=32 << 10))


def test_a_recovery_key_needs_no_costly_derivation() -> None:
    def enrol(document: dict[str, Any]) -> None:
        document["tokens"]["0"] = {"type": "systemd-recovery", "keyslots": ["0"]}

    assert "weak-kdf" not in found(header_of(with_document(luks2_image(), enrol)))


def requiring(*names: str) -> Header:
    return changed("config", requirements={"mandatory": list(names)})


@pytest.mark.parametrize("name", ["opal", "opal-v2"])
def test_opal_is_warned_of_and_known(name: str) -> None:
    header = requiring(name)
    opal = found(header)["opal"]
    assert (opal.severity, "this very drive only" in opal.text, "PSID" in opal.text) == ("warning", True, True)
    assert unknown_requirements(header.config.requirements) == []
    image = with_document(luks2_image(), lambda d: d["config"].update(requirements={"mandatory": [name]}))
    assert capture(BytesReader(image), inspect(BytesReader(image))).why_whole == ""


def test_the_administrator_of_an_opal_drive_needs_no_passphrase() -> None:
    def alone(name: str) -> Header:
        def change(document: dict[str, Any]) -> None:
            document["config"]["requirements"] = {"mandatory": [name]}
            fields = {"type": "hw-opal", "size": "1048576", "opal_segment_number": 1, "opal_key_size": 32}
            document["segments"]["0"].update({**fields, "opal_segment_size": "1048576"})

        return header_of(with_document(luks2_image(), change))

    assert "administrator" in found(alone("opal"))["opal"].text
    assert "administrator" not in found(alone("opal-v2"))["opal"].text, "single user mode keeps them apart"


def test_inline_integrity_says_what_an_image_lacks() -> None:
    inline = found(requiring("inline-hw-tags"))["inline-hw-tags"]
    assert "sector metadata" in inline.text


def test_all_requirements_of_the_current_tree_are_known_and_no_others() -> None:
    known = {"offline-reencrypt", "online-reencrypt", "online-reencrypt-v2", "online-reencrypt-v3"}
    assert known | {"inline-hw-tags", "opal", "opal-v2"} == KNOWN_REQUIREMENTS
    assert unknown_requirements(["opal-v3", "online-reencrypt-v4", "opal"]) == ["opal-v3", "online-reencrypt-v4"]
