"""What stands at a mark: whole copies, copies without magic, in pieces, damaged; fragments; false hits."""

from __future__ import annotations

import random

import pytest
from generators.headers import UUID, luks1_image, luks2_image

from luksafe.luks.found import FoundCopy, examine_mark
from luksafe.luks.search import Mark, MarkSearch
from luksafe.reader import BytesReader

SIZE = 0x4000


def find(data: bytes) -> list[FoundCopy]:
    padded = data.ljust(-(-len(data) // 512) * 512, b"\0")
    found = (examine_mark(BytesReader(data), mark) for mark in MarkSearch(bytearray(padded)).marks(len(padded)))
    return [copy for copy in found if copy]


@pytest.mark.parametrize("start", [0, 512, 63 * 512, 1 << 20])
def test_both_copies_at_any_sector(start: int) -> None:
    found = [copy for copy in find(bytes(start) + luks2_image()) if copy.state != "fragment"]
    assert [(c.copy, c.offset, c.volume_offset, c.state) for c in found] == [
        ("primary", start, start, "ok"),
        ("secondary", start + SIZE, start, "ok"),
    ]
    assert all(c.uuid == UUID and c.header is not None and c.header.offset == start for c in found)


def test_luks1() -> None:
    (copy,) = find(bytes(512) + luks1_image())
    assert (copy.offset, copy.format, copy.uuid, copy.state) == (512, "luks1", UUID, "ok")
    cut = luks1_image()[:8192]
    assert find(cut)[0].state == "ok"  # a header is one even where the disk ends in its keyslots


def test_secondary_alone_tells_where_the_volume_began() -> None:
    found = [c for c in find(bytes(SIZE) + luks2_image()[SIZE:]) if c.state == "ok"]
    assert [(c.copy, c.offset, c.volume_offset) for c in found] == [("secondary", SIZE, 0)]


@pytest.mark.parametrize("number", [0, 1])
def test_magic_wiped_away(number: int) -> None:
    image = bytearray(luks2_image())
    image[number * SIZE : number * SIZE + 6] = bytes(6)
    (copy,) = [c for c in find(bytes(image)) if c.state == "no-magic"]
    assert (copy.offset, copy.volume_offset) == (number * SIZE, 0)
    assert copy.header is not None


def test_sparse_file_without_its_zero_blocks() -> None:
    image = luks2_image()
    blocks = [image[at : at + 1024] for at in range(0, len(image), 1024)]
    packed = b"".join(block for block in blocks if any(block))
    found = [c for c in find(packed) if c.state != "fragment"]
    assert [(c.copy, c.state) for c in found] == [("primary", "in-pieces"), ("secondary", "in-pieces")]
    assert all(c.header is not None for c in found)


def test_wrong_checksum_is_damage() -> None:
    image = bytearray(luks2_image())
    image[4100] ^= 1
    found = find(bytes(image))
    assert [(c.copy, c.state, c.uuid) for c in found if c.copy == "primary" and c.state == "damaged"] == [
        ("primary", "damaged", UUID)
    ]


def test_damage_in_the_padding_alone() -> None:
    image = bytearray(luks2_image())
    image[1000] ^= 1
    image[SIZE - 1] ^= 1
    (copy,) = [c for c in find(bytes(image)) if c.copy == "primary" and c.state == "damaged"]
    assert copy.header is not None


def test_json_without_binary_header() -> None:
    image = luks2_image()
    (copy,) = find(bytes(8192) + image[4096:SIZE])
    assert (copy.state, copy.uuid, copy.header) == ("fragment", "", None)
    assert copy.document is not None
    assert "digests" in copy.document


@pytest.mark.parametrize(
    "decoy",
    [
        b"LUKS\xba\xbe\0\2" + b"\xff" * 504,
        b"LUKS\xba\xbe\0\1 in a text about LUKS".ljust(1024, b"."),
        b"SKUL\xba\xbe\0\2".ljust(8192, b"\0"),
        b'{"keyslots":{},"tokens":{},"segments":{},"digests":{},"config":{"json_size":"12288"}} trailing'.ljust(8192),
        b'{"config":' + b"[" * 100_000,
    ],
)
def test_decoys(decoy: bytes) -> None:
    assert find(decoy.ljust(1 << 20, b"\0")) == []


def test_random_bytes_behind_a_magic_never_count() -> None:
    source = random.Random(3)
    for magic in (b"LUKS\xba\xbe\0\1", b"LUKS\xba\xbe\0\2", b"SKUL\xba\xbe\0\2"):
        for _ in range(100):
            assert find(magic + source.randbytes(4088)) == []


class Failing(BytesReader):
    """A medium on which nothing can be read from ``bad`` on."""

    def __init__(self, data: bytes, bad: int) -> None:
        super().__init__(data)
        self.bad = bad

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        if offset_bytes + length_bytes > self.bad:
            raise OSError(5, "Input/output error")
        return super().read_at(offset_bytes, length_bytes)


def test_unreadable_places() -> None:
    image = luks2_image()
    half = examine_mark(Failing(image, 8192), Mark(0, "primary"))
    assert half is not None
    assert (half.state, half.uuid) == ("damaged", UUID)
    assert examine_mark(Failing(image, 0), Mark(0, "primary")) is None
    assert examine_mark(Failing(image, 0), Mark(0, "json")) is None
    assert examine_mark(Failing(luks1_image(), 0), Mark(0, "luks1")) is None
