"""The LUKS1 header: parsed, checked, mapped, written back."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from generators.headers import UUID, luks1_image

from luksafe.luks.areas import regions
from luksafe.luks.finding import Severity
from luksafe.luks.inspection import inspect
from luksafe.luks.luks1.binary_header import DISABLED, HEADER_BYTES, BinaryHeader
from luksafe.reader import BytesReader


def changed(**fields: object) -> bytes:
    image = luks1_image()
    header = replace(BinaryHeader.parse(image), **fields)  # type: ignore[arg-type]
    return header.serialize(image[:HEADER_BYTES]) + image[HEADER_BYTES:]


def with_slot(slot: int, **fields: object) -> bytes:
    image = luks1_image()
    header = BinaryHeader.parse(image)
    entry = replace(header.keyslots[slot], **fields)  # type: ignore[arg-type]
    return header.with_keyslot(slot, entry).serialize(image[:HEADER_BYTES]) + image[HEADER_BYTES:]


def codes(image: bytes, severity: Severity = Severity.ERROR) -> set[str]:
    return {f.code for f in inspect(BytesReader(image)).findings if f.severity is severity}


def test_a_healthy_header_is_read_into_the_common_model():
    seen = inspect(BytesReader(luks1_image()))
    header = seen.require_header()
    assert seen.findings == ()
    assert (header.format, header.uuid, header.encryption) == ("luks1", UUID, "aes-xts-plain64")
    assert (header.data_offset, header.volume_key_size, header.sector_size) == (2 << 20, 64, 512)
    assert list(header.keyslots) == [0]


def test_an_unchanged_header_is_written_back_byte_for_byte():
    raw = bytearray(luks1_image()[:HEADER_BYTES])
    raw[14:20] = b"\0junk!"  # behind the NUL of the cipher name: nobody reads it, nobody may lose it
    assert BinaryHeader.parse(bytes(raw)).serialize(bytes(raw)) == bytes(raw)


@pytest.mark.parametrize(
    ("image", "code"),
    [
        (changed(hash_spec="md0"), "luks1-hash"),
        (changed(hash_spec="md5"), "luks1-hash"),
        (changed(key_bytes=0), "luks1-key-size"),
        (changed(key_bytes=1 << 31), "luks1-key-size"),
        (changed(magic=b"LUKSxx"), "header-magic"),
        (with_slot(3, stripes=4001), "keyslot-stripes"),
        (with_slot(3, key_material_offset=0), "keyslot-offset"),
        (with_slot(7, key_material_offset=4000), "keyslot-offset"),
        (with_slot(2, key_material_offset=9), "area-overlap"),
        (luks1_image()[: 1 << 20], "device-too-small"),
    ],
)
def test_what_cryptsetup_refuses_is_an_error_of_that_name(image, code):
    assert code in codes(image)


@pytest.mark.parametrize(
    ("image", "code"),
    [
        (changed(hash_spec="SHA256"), "luks1-hash-case"),
        (changed(cipher_mode="ecb-plain"), "luks1-ecb-iv"),
        (changed(uuid=""), "uuid-form"),
        (with_slot(0, iterations=0), "keyslot-iterations"),
        (with_slot(0, active=1), "keyslot-mark"),
    ],
)
def test_what_cryptsetup_takes_all_the_same_is_a_warning(image, code):
    assert codes(image) == set()
    assert codes(image, Severity.WARNING) == {code}


def test_the_key_size_is_known_when_no_keyslot_is_left():
    assert inspect(BytesReader(with_slot(0, active=DISABLED))).require_header().volume_key_size == 64


def test_a_detached_header_has_data_offset_zero():
    seen = inspect(BytesReader(luks1_image(data_offset=0)))
    assert not seen.is_refused
    assert seen.require_header().data_offset == 0


def test_the_regions_cover_every_byte_once():
    seen = inspect(BytesReader(luks1_image()))
    found = regions(seen)
    assert found[0].start == 0
    assert found[-1].end == 2 << 20
    assert all(a.end == b.start for a, b in itertools.pairwise(found))
    assert [r.keyslot for r in found if r.kind == "inactive-keyslot"] == [1, 2, 3, 4, 5, 6, 7]
