"""From passphrase to volume key: order, proofs, and the difference between a wrong key and a damaged keyslot."""

from __future__ import annotations

from dataclasses import replace

import pytest
from generators.headers import (
    CHEAP_ARGON2,
    PASSPHRASE,
    VOLUME_KEY,
    luks1_image,
    luks2_image,
    seeded_bytes,
    with_document,
)

from luksafe.crypto.kdf import KdfLimits
from luksafe.errors import DamagedInput, KeyRejected, NotFound, Refused, Unsupported
from luksafe.luks.inspection import inspect
from luksafe.luks.seal import seal_keyslot
from luksafe.luks.unlock import keyslots_in_order, unlock, verify_volume_key
from luksafe.reader import BytesReader
from luksafe.secret import SecretBytes


def open_image(image: bytes, passphrase: bytes = PASSPHRASE, **options):
    reader = BytesReader(image)
    return unlock(reader, inspect(reader).require_header(), SecretBytes(passphrase), **options)


def two_slots(first: bytes = b"one", second: bytes = b"two", priority: int = 1) -> bytes:
    """The test image with two keyslots of other passphrases."""

    def add(document: dict) -> None:
        slot = document["keyslots"]["0"]
        document["keyslots"]["1"] = {**slot, "priority": priority, "area": {**slot["area"], "offset": "294912"}}
        document["digests"]["0"]["keyslots"] = ["0", "1"]

    image = bytearray(with_document(luks2_image(), add))
    header = inspect(BytesReader(bytes(image))).require_header()
    for slot, passphrase in ((0, first), (1, second)):
        keyslot = header.keyslots[slot]
        sealed = seal_keyslot(keyslot, SecretBytes(passphrase), SecretBytes(VOLUME_KEY), seeded_bytes())
        image[keyslot.area.offset : keyslot.area.offset + len(sealed)] = sealed
    return bytes(image)


@pytest.mark.parametrize("image", [luks1_image(), luks2_image()], ids=["luks1", "luks2"])
def test_the_passphrase_gives_the_volume_key(image):
    opened = open_image(image)
    assert (opened.keyslot, opened.volume_key.reveal()) == (0, VOLUME_KEY)


@pytest.mark.parametrize("image", [luks1_image(), luks2_image()], ids=["luks1", "luks2"])
def test_a_wrong_passphrase_is_rejected_with_what_was_tried(image):
    with pytest.raises(KeyRejected, match="1 tried") as error:
        open_image(image, b"wrong")
    assert "diagnose" in error.value.hint


def test_a_volume_inside_a_disk_is_opened_by_its_offset():
    reader = BytesReader(bytes(4096) + luks2_image())
    header = inspect(reader, 4096).require_header()
    assert unlock(reader, header, SecretBytes(PASSPHRASE)).volume_key.reveal() == VOLUME_KEY


def test_any_keyslot_opens_and_is_named():
    image = two_slots()
    assert open_image(image, b"one").keyslot == 0
    assert open_image(image, b"two").keyslot == 1


def test_the_preferred_keyslot_is_tried_first_and_an_ignored_one_only_when_named():
    preferred = inspect(BytesReader(two_slots(priority=2))).require_header()
    assert [k.id for k in keyslots_in_order(preferred)] == [1, 0]
    ignored = two_slots(priority=0)
    with pytest.raises(KeyRejected):
        open_image(ignored, b"two")
    assert open_image(ignored, b"two", keyslot=1).keyslot == 1


def test_a_named_keyslot_that_is_not_there():
    with pytest.raises(NotFound, match="in use: 0"):
        open_image(luks2_image(), keyslot=5)


def test_no_keyslots_at_all():
    def erase(document: dict) -> None:
        document["keyslots"] = {}
        document["digests"]["0"]["keyslots"] = []

    with pytest.raises(NotFound, match="no keyslot"):
        open_image(with_document(luks2_image(), erase))


def test_a_keyslot_beyond_the_end_is_damage_not_a_wrong_key():
    with pytest.raises(DamagedInput, match="ends inside the area"):
        open_image(luks2_image()[:40000])


def test_an_unreadable_area_is_damage():
    class Failing(BytesReader):
        def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
            if offset_bytes == 32768:
                raise OSError(5, "Input/output error")
            return super().read_at(offset_bytes, length_bytes)

    reader = Failing(luks2_image())
    with pytest.raises(DamagedInput, match="cannot be read"):
        unlock(reader, inspect(reader).require_header(), SecretBytes(PASSPHRASE))


@pytest.mark.parametrize(
    ("path", "value", "error"),
    [
        (("kdf",), {"type": "scrypt", "salt": "AA=="}, Unsupported),
        (("kdf", "memory"), 1 << 31, Refused),
        (("af", "hash"), "md0", Unsupported),
        (("area", "encryption"), "rot13-xts-plain64", Unsupported),
        (("area", "key_size"), 1 << 20, DamagedInput),
        (("area", "size"), "4096", DamagedInput),
    ],
)
def test_hostile_or_foreign_parameters_are_named(path, value, error):
    def change(document: dict) -> None:
        place = document["keyslots"]["0"]
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value

    with pytest.raises(error):
        open_image(with_document(luks2_image(), change))


@pytest.mark.parametrize("stripes", [1, 4001, 1 << 20])
def test_the_stated_number_of_stripes_is_not_used_as_cryptsetup_does_not(stripes):
    image = with_document(luks2_image(), lambda document: document["keyslots"]["0"]["af"].update(stripes=stripes))
    assert open_image(image).keyslot == 0


def test_one_keyslot_that_cannot_be_tried_does_not_hide_another():
    def foreign(document: dict) -> None:
        document["keyslots"]["0"]["kdf"] = {"type": "scrypt", "salt": "AA=="}

    image = with_document(two_slots(), foreign)
    assert open_image(image, b"two").keyslot == 1
    with pytest.raises(KeyRejected, match=r"1 tried.*1 could not be tried"):
        open_image(image, b"wrong")


def test_a_keyslot_of_another_type_has_no_passphrase():
    def change(document: dict) -> None:
        document["keyslots"]["3"] = {
            "type": "novel",
            "key_size": 64,
            "area": {"type": "x", "offset": "819200", "size": "512"},
        }

    with pytest.raises(Unsupported, match="'novel'"):
        open_image(with_document(luks2_image(), change), keyslot=3)


def test_an_unbound_keyslot_opens_when_named():
    def unbind(document: dict) -> None:
        digest = document["digests"]["0"]
        document["digests"]["1"] = {**digest, "segments": []}
        document["digests"]["0"] = {**digest, "keyslots": []}

    image = with_document(luks2_image(), unbind)
    with pytest.raises(NotFound):
        open_image(image)
    opened = open_image(image, keyslot=0)
    assert opened.is_unbound
    assert opened.digest_id == 1


def test_the_null_cipher_opens_with_nothing_but_an_empty_passphrase():
    reader = BytesReader(luks1_image(encryption="cipher_null-ecb"))
    header = inspect(reader).require_header()
    with pytest.raises(KeyRejected):
        unlock(reader, header, SecretBytes(PASSPHRASE))


def test_limits_can_be_raised():
    with pytest.raises(Refused):
        open_image(luks2_image(), limits=KdfLimits(memory_kib=CHEAP_ARGON2.memory_kib - 1))
    assert open_image(luks2_image(), limits=KdfLimits(memory_kib=CHEAP_ARGON2.memory_kib)).keyslot == 0


def test_a_digest_of_another_type_or_without_value_proves_nothing():
    header = inspect(BytesReader(luks2_image())).require_header()
    digest = header.digests[0]
    with pytest.raises(Unsupported):
        verify_volume_key(replace(digest, type="novel"), SecretBytes(VOLUME_KEY))
    assert not verify_volume_key(replace(digest, digest=b""), SecretBytes(VOLUME_KEY))
    assert verify_volume_key(digest, SecretBytes(VOLUME_KEY))
