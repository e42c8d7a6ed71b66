"""Differences between headers, in words."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from generators.headers import luks1_image, luks2_image, with_binary, with_document
from unit.luks.test_validate import reencrypting

from luksafe.luks.compare import compare, same_volume_key
from luksafe.luks.inspection import inspect
from luksafe.luks.model import Header
from luksafe.reader import BytesReader


def header(image: bytes) -> Header:
    return inspect(BytesReader(image)).require_header()


BASE = luks2_image()


def changed(change: Callable[[dict], object]) -> bytes:
    return with_document(BASE, change)


def add_slot(document: dict) -> None:
    slot = document["keyslots"]["0"]
    kdf = {**slot["kdf"], "salt": "AAAA"}
    document["keyslots"]["1"] = {**slot, "kdf": kdf, "area": {**slot["area"], "offset": "294912"}}
    document["digests"]["0"]["keyslots"] = ["0", "1"]


def add_token(document: dict) -> None:
    document["tokens"]["0"] = {"type": "systemd-tpm2", "keyslots": ["0"]}


def slot_member(**members: object) -> Callable[[dict], None]:
    return lambda d: d["keyslots"]["0"].update(members)


def kdf_member(**members: object) -> Callable[[dict], None]:
    return lambda d: d["keyslots"]["0"]["kdf"].update(members)


CASES = [
    (with_binary(BASE, seqid=7), "seqid-changed", "sequence id 1 → 7"),
    (with_binary(BASE, label="other"), "label-changed", "from test to other"),
    (with_binary(BASE, label=""), "label-changed", "to none"),
    (with_binary(BASE, uuid="x"), "uuid-changed", "to x"),
    (with_binary(BASE, subsystem="s"), "subsystem-changed", "none to s"),
    (changed(add_slot), "keyslot-added", "keyslot 1 (argon2id, 32 KiB, time 1) added"),
    (changed(add_token), "token-added", "TPM"),
    (changed(kdf_member(salt="AAAA")), "keyslot-changed", "written anew"),
    (changed(kdf_member(time=9)), "keyslot-parameters-changed", "parameters of keyslot 0"),
    (changed(slot_member(priority=2)), "keyslot-priority-changed", "from normal to prefer"),
    (changed(lambda d: d["digests"]["0"].update(salt="AAAA")), "digest-changed", "the header does not tell"),
    (changed(lambda d: d["digests"]["0"].update(digest="A" * 43 + "=")), "volume-key-changed", "another volume key"),
    (changed(lambda d: d["digests"].update({"5": {**d["digests"]["0"], "salt": "AA==", "keyslots": []}})),
     "digests-changed", "added or removed"),
    (changed(lambda d: d["segments"]["0"].update(sector_size=4096)), "segment-sector-size-changed", "512 to 4096"),
    (changed(lambda d: d["segments"]["0"].update(iv_tweak="8")), "segment-iv-tweak-changed", "IV offset"),
    (changed(lambda d: d["segments"]["0"].update(size="4096")), "segment-size-changed", "from dynamic to 4096"),
    (changed(lambda d: d["segments"]["0"].update(flags=["x", "y"])), "segment-flags-changed", "from none to x, y"),
    (changed(lambda d: d["config"].update(flags=["allow-discards"])), "flags-changed", "allow-discards"),
    (changed(lambda d: d["config"].update(requirements={"mandatory": ["r"]})), "requirements-changed", "to r"),
    (changed(lambda d: d["config"].update(keyslots_size="524288")), "keyslots-size-changed", "524288 bytes"),
]  # fmt: skip


@pytest.mark.parametrize(("image", "code", "words"), CASES, ids=[f"{c[1]}-{n}" for n, c in enumerate(CASES)])
def test_each_difference_is_one_change_in_words(image, code, words):
    changes = compare(header(BASE), header(image))
    assert [c.code for c in changes] == [code]
    assert words in changes[0].text


@pytest.mark.parametrize("image", [BASE, luks1_image()], ids=["luks2", "luks1"])
def test_a_header_does_not_differ_from_itself(image):
    reader = BytesReader(image)
    assert compare(header(image), header(image), reader, reader) == []


def test_what_was_added_is_removed_the_other_way_round():
    both = changed(lambda d: (add_slot(d), add_token(d)))
    assert {c.code for c in compare(header(both), header(BASE))} == {"keyslot-removed", "token-removed"}


def test_a_changed_token():
    one = changed(add_token)
    other = changed(lambda d: (add_token(d), d["tokens"]["0"].update(blob="x")))
    assert [c.code for c in compare(header(one), header(other))] == ["token-changed"]


def test_another_number_of_segments():
    def two(document: dict) -> None:
        document["segments"]["0"]["size"] = "512"
        document["segments"]["1"] = {**document["segments"]["0"], "offset": "2097152"}
        document["digests"]["0"]["segments"] = ["0", "1"]

    codes = [c.code for c in compare(header(BASE), header(changed(two)))]
    assert codes == ["segments-changed", "segment-size-changed"]


def test_key_material_is_compared_where_both_images_are_at_hand():
    flipped = bytearray(BASE)
    flipped[40000] ^= 1
    one, other = BytesReader(BASE), BytesReader(bytes(flipped))
    assert [c.code for c in compare(header(BASE), header(BASE), one, other)] == ["keyslot-area-differs"]


def test_luks1_against_luks2_says_so_and_does_not_guess_about_the_key():
    one, other = header(luks1_image()), header(BASE)
    assert same_volume_key(one, other) is None
    assert {"format-changed", "segment-offset-changed"} <= {c.code for c in compare(one, other)}


def test_a_header_without_digest_tells_nothing_of_its_key():
    bare = changed(lambda d: d["digests"]["0"].update(digest=""))
    assert same_volume_key(header(bare), header(BASE)) is None


def test_another_header_size():
    large = header(luks2_image(header_size=32768))
    assert "header-size-changed" in {c.code for c in compare(header(BASE), large)}


def test_another_key_size():
    small = changed(lambda d: d["keyslots"]["0"].update(key_size=32))
    assert [c.code for c in compare(header(BASE), header(small))] == ["key-size-changed"]


def test_a_reencryption_that_began_is_named_as_the_keyslot_that_it_is():
    changes = {c.code: c.text for c in compare(header(BASE), header(changed(reencrypting)))}
    assert changes["keyslot-added"] == "keyslot 1 (reencrypt) added"


def test_key_material_that_cannot_be_read_is_not_the_same():
    class Broken(BytesReader):
        def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
            raise OSError(5, "Input/output error")

    codes = [c.code for c in compare(header(BASE), header(BASE), BytesReader(BASE), Broken(BASE))]
    assert codes == ["keyslot-area-differs"]
