"""Marks of headers in buffers, against a search byte by byte."""

from __future__ import annotations

import random

import pytest

from luksafe.luks.search import Mark, MarkSearch

STARTS = {
    "luks1": b"LUKS\xba\xbe\0\1",
    "primary": b"LUKS\xba\xbe\0\2",
    "secondary": b"SKUL\xba\xbe\0\2",
    "json": b'{"keyslots":{',
    "gzip": b"\x1f\x8b\x08\x00\0\0\0\0",
}


@pytest.mark.parametrize("kind", STARTS)
def test_finds_each_kind_at_any_sector(kind: str) -> None:
    for sector in (0, 1, 63, 1023):
        buffer = bytearray(random.Random(sector).randbytes(512 << 10))
        buffer[sector * 512 : sector * 512 + len(STARTS[kind])] = STARTS[kind]
        assert MarkSearch(buffer).marks(len(buffer)) == [Mark(sector * 512, kind)]  # type: ignore[arg-type]


@pytest.mark.parametrize("at", [1, 8, 511, 513])
def test_magic_between_sectors_is_none(at: int) -> None:
    buffer = bytearray(4096)
    buffer[at : at + 8] = STARTS["primary"]
    assert MarkSearch(buffer).marks(4096) == []


@pytest.mark.parametrize(
    "start", [b"LUKS\xba\xbe\0\3", b"LUKS\xba\xbf\0\2", b"SKUL\xba\xbe\0\1", b"\x1f\x8b\x00", b'{"name":']
)
def test_look_alikes_are_none(start: bytes) -> None:
    buffer = bytearray(start.ljust(512, b"\0"))
    assert MarkSearch(buffer).marks(512) == []


def test_only_the_filled_part_counts_and_a_cut_sector_too() -> None:
    buffer = bytearray(2048)
    for sector in range(4):
        buffer[sector * 512 : sector * 512 + 8] = STARTS["luks1"]
    search = MarkSearch(buffer)
    assert [mark.offset for mark in search.marks(1024)] == [0, 512]
    assert [mark.offset for mark in search.marks(1025)] == [0, 512, 1024]
    assert search.marks(0) == []


def test_fingerprints_of_key_material() -> None:
    source = random.Random(7)
    buffer = bytearray(source.randbytes(256 << 10))
    wanted = {bytes(buffer[at : at + 8]): at for at in source.sample(range(0, len(buffer), 512), 40)}
    decoys = [source.randbytes(8) for _ in range(2000)]
    found = MarkSearch(buffer, [*wanted, *decoys]).marks(len(buffer))
    assert found == [Mark(at, "key-material") for at in sorted(wanted.values())]
