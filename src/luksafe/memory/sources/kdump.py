"""Compressed kernel dumps: makedumpfile, kdump, QEMU, ``virsh dump --format kdump-*`` (makedumpfile, diskdump_mod.h).

Block 0 is the header, then the sub-header, two bitmaps (RAM there is; RAM in the dump), one descriptor for each page
in the dump, in the order of their addresses, and the pages. All little-endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path

from luksafe.errors import DamagedInput, Unsupported
from luksafe.memory.sources.codecs import decompressor
from luksafe.memory.sources.flattened import MAGIC as FLATTENED_MAGIC
from luksafe.memory.sources.flattened import FlattenedReader
from luksafe.memory.sources.raw import open_raw
from luksafe.reader import Reader

MAGIC = b"KDUMP   "

_GEOMETRY = struct.Struct("<iiI")  # block size, blocks of the sub-header, blocks of both bitmaps
_GEOMETRY_OFFSETS = (428, 416)  # 64-bit, 32-bit machines
_DESCRIPTOR = struct.Struct("<QIIQ")  # offset, size, flags, page flags
_COMPRESSED = {0x01: "zlib", 0x02: "lzo", 0x04: "snappy", 0x20: "zstd"}
_INCOMPLETE = 0x08
_BLOCK_SIZES = {1 << shift for shift in range(12, 17)}
_MOST_BITMAP_BYTES = 1 << 28  # 8 TiB of RAM
_COUNTED_BYTES = 256


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are: page size, the bitmap of the pages that the dump holds, and their descriptors."""

    page_bytes: int
    bitmap_offset: int
    bitmap_bytes: int
    descriptors_offset: int


def open_kdump(path: Path) -> KdumpImage:
    """The pages in a kdump file, flattened or not. Raises ``DamagedInput``, ``Unsupported``."""
    reader: Reader = open_raw(path)
    if reader.read_at(0, len(FLATTENED_MAGIC)) == FLATTENED_MAGIC:
        reader = FlattenedReader(reader)
    return KdumpImage(reader)


def parse_layout(reader: Reader) -> Layout:
    """Read header and geometry. Raises ``DamagedInput`` where they cannot be true."""
    header = reader.read_at(0, 4096).ljust(4096, b"\0")
    if header[:8] != MAGIC:
        raise Unsupported("the flattened file holds no compressed dump", hint="Convert it: makedumpfile -R DUMP < FLAT")
    for at in _GEOMETRY_OFFSETS:
        page, sub_blocks, bitmap_blocks = _GEOMETRY.unpack_from(header, at)
        bitmap_bytes = page * bitmap_blocks // 2
        if page in _BLOCK_SIZES and 0 < sub_blocks < 1 << 20 and 0 < bitmap_bytes <= _MOST_BITMAP_BYTES:
            bitmaps = (1 + sub_blocks) * page
            return Layout(page, bitmaps + bitmap_bytes, bitmap_bytes, bitmaps + 2 * bitmap_bytes)
    raise DamagedInput("the header of the kdump file is damaged", hint="Read it as a raw image.")


@dataclass(slots=True)
class KdumpImage:
    """The pages of a kdump file one after the other, unpacked as they are read."""

    reader: Reader
    kind: str = "kdump"
    notes: tuple[str, ...] = ()
    unreadable_bytes: int = 0
    _layout: Layout = field(init=False, repr=False)
    _bitmap: bytes = field(init=False, repr=False)
    _pages: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._layout = layout = parse_layout(self.reader)
        self._bitmap = self.reader.read_at(layout.bitmap_offset, layout.bitmap_bytes)
        counted = int.from_bytes(self._bitmap, "little").bit_count()
        room = max(0, self.reader.size_bytes - layout.descriptors_offset) // _DESCRIPTOR.size
        self._pages = min(counted, room)
        if self._pages < counted:
            self.notes = (f"the dump is cut short: {counted - self._pages} pages are missing",)

    @property
    def size_bytes(self) -> int:
        """The size of all pages in the dump."""
        return self._pages * self._layout.page_bytes

    def read_into(self, offset_bytes: int, buffer: memoryview) -> None:
        """Fill ``buffer`` from the pages that it spans."""
        page_bytes = self._layout.page_bytes
        first, skip = divmod(offset_bytes, page_bytes)
        last = min(self._pages, -(-(offset_bytes + len(buffer)) // page_bytes))
        data = b"".join(self._read_pages(first, last))[skip : skip + len(buffer)]
        buffer[: len(data)] = data
        buffer[len(data) :] = bytes(len(buffer) - len(data))

    def address_of(self, offset_bytes: int) -> int:
        """The physical address: the page whose bit is the n-th that is set."""
        number, within = divmod(offset_bytes, self._layout.page_bytes)
        frame = 0
        for at in range(0, len(self._bitmap), _COUNTED_BYTES):
            block = int.from_bytes(self._bitmap[at : at + _COUNTED_BYTES], "little")
            if number < (count := block.bit_count()):
                frame = at * 8 + _nth_bit(block, number)
                break
            number -= count
        return frame * self._layout.page_bytes + within

    def _read_pages(self, first: int, last: int) -> list[bytes]:
        count = max(0, last - first)
        table = self.reader.read_at(
            self._layout.descriptors_offset + first * _DESCRIPTOR.size, count * _DESCRIPTOR.size
        )
        return [self._read_page(*_DESCRIPTOR.unpack_from(table, n * _DESCRIPTOR.size)) for n in range(count)]

    def _read_page(self, offset: int, size: int, flags: int, _page_flags: int) -> bytes:
        page_bytes = self._layout.page_bytes
        data = self.reader.read_at(offset, size) if size <= page_bytes and not flags & _INCOMPLETE else b""
        try:
            codec = next((name for flag, name in _COMPRESSED.items() if flags & flag), None)
            page = decompressor(codec)(data, page_bytes) if codec else data
        except ValueError:
            page = b""
        if len(page) != page_bytes:
            self.unreadable_bytes += page_bytes
            return bytes(page_bytes)
        return page


def _nth_bit(value: int, number: int) -> int:
    """The place of the set bit that has ``number`` set bits below it."""
    for _ in range(number):
        value &= value - 1
    return (value & -value).bit_length() - 1
