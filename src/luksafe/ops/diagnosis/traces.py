"""Headers that stand where none belongs: a shifted device, an older generation, a copy of another disk's header."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from luksafe.luks.luks1 import binary_header as luks1
from luksafe.luks.luks2.binary_header import HEADER_SIZES, PRIMARY_MAGIC, SECONDARY_MAGIC, BinaryHeader

SECTOR_BYTES = 512


@dataclass(frozen=True, slots=True)
class HeaderTrace:
    """A header copy found at ``offset``. ``volume_offset``: where the volume it belongs to would begin (may be
    negative: before this device)."""

    offset: int
    volume_offset: int
    format: str
    copy: str
    uuid: str
    seqid: int


def find_header_traces(start: bytes) -> Iterator[HeaderTrace]:
    """Every LUKS header copy at a 512-byte boundary of these bytes, by place."""
    found = [trace for magic in (PRIMARY_MAGIC, SECONDARY_MAGIC) for trace in _with_magic(start, magic)]
    yield from sorted(found, key=lambda trace: trace.offset)


def _with_magic(start: bytes, magic: bytes) -> Iterator[HeaderTrace]:
    at = start.find(magic)
    while at >= 0:
        if at % SECTOR_BYTES == 0 and len(start) >= at + luks1.HEADER_BYTES and (trace := _read(start, at, magic)):
            yield trace
        at = start.find(magic, at + 1)


def _read(start: bytes, at: int, magic: bytes) -> HeaderTrace | None:
    version = int.from_bytes(start[at + 6 : at + 8], "big")
    if version == 1 and magic == PRIMARY_MAGIC:
        old = luks1.BinaryHeader.parse(start[at : at + luks1.HEADER_BYTES])
        return HeaderTrace(at, at, "luks1", "primary", old.uuid, 0) if old.uuid.isprintable() else None
    binary = BinaryHeader.parse(start[at : at + SECTOR_BYTES])
    if version != 2 or binary.hdr_size not in HEADER_SIZES:
        return None
    copy = "primary" if magic == PRIMARY_MAGIC else "secondary"
    return HeaderTrace(at, at - binary.hdr_offset, "luks2", copy, binary.uuid, binary.seqid)
