"""Hibernation images in swap (Linux, kernel/power/swap.c), compressed with LZO (the default) or LZ4.

The end of the first page of the swap area tells of the image; map pages list its pages; the first of these describes
it, the others hold 128 KiB blocks of memory, each compressed, with its length in 8 bytes before it. Uncompressed
images, and swap without one, are searched as raw images: their pages stand as they are.
"""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass, field
from pathlib import Path

from luksafe.errors import DamagedInput
from luksafe.memory.image import PAGE_BYTES, FileImage, MemoryImage
from luksafe.memory.sources.codecs import decompressor
from luksafe.memory.sources.raw import open_raw
from luksafe.reader import Reader

SIGNATURE_OFFSET = PAGE_BYTES - 10
HIBERNATED = b"S1SUSPEND\0"
SWAP = b"SWAPSPACE2"

_HEADER = struct.Struct("<QI")  # page of the first map, flags
_HEADER_OFFSET = PAGE_BYTES - 32
_NO_COMPRESSION, _LZ4 = 0x02, 0x10
_MAP_ENTRIES = PAGE_BYTES // 8 - 1
_BLOCK_BYTES = 32 * PAGE_BYTES
_LENGTH_BYTES = 8
_MOST_COMPRESSED = _BLOCK_BYTES + _BLOCK_BYTES // 16 + 67  # lzo1x_worst_compress; LZ4 stays below it


def open_swap(path: Path) -> MemoryImage:
    """The swap area, or the hibernation image in it. Raises ``DamagedInput``, ``Unsupported`` without the library."""
    reader = open_raw(path, "swap")
    if reader.read_at(SIGNATURE_OFFSET, 10) != HIBERNATED:
        return reader
    first_map, flags = _HEADER.unpack(reader.read_at(_HEADER_OFFSET, _HEADER.size))
    if flags & _NO_COMPRESSION:
        return open_raw(path, "hibernation")
    codec = "lz4" if flags & _LZ4 else "lzo"
    decompressor(codec)
    pages = read_map(reader, first_map)
    return HibernationImage(reader, codec, pages, split_blocks(reader, pages))


def read_map(reader: Reader, first_map: int) -> array[int]:
    """The numbers of the pages of the image, without the first, which only describes it."""
    pages = array("Q")
    at, most = first_map, reader.size_bytes // PAGE_BYTES
    while 0 < at < most and len(pages) <= most:
        entries = array("Q", reader.read_at(at * PAGE_BYTES, PAGE_BYTES).ljust(PAGE_BYTES, b"\0"))
        at = entries.pop()
        used = entries.index(0) if 0 in entries else _MAP_ENTRIES
        if not used:
            break  # nothing follows it; a damaged one that leads to itself would never end
        pages.extend(entries[:used])
    if not pages:
        raise DamagedInput("the hibernation image has no map of its pages", hint="Read it as a raw image.")
    return pages[1:]


def split_blocks(reader: Reader, pages: array[int]) -> array[int]:
    """Where each block begins, as an index into ``pages``; stops where a length makes no sense."""
    starts = array("Q")
    index = 0
    while index < len(pages):
        length = _block_length(reader.read_at(pages[index] * PAGE_BYTES, _LENGTH_BYTES))
        if not 0 < length <= _MOST_COMPRESSED:
            break
        starts.append(index)
        index += -(-(_LENGTH_BYTES + length) // PAGE_BYTES)
    return starts


def _block_length(data: bytes) -> int:
    return int.from_bytes(data, "little")


@dataclass(slots=True)
class HibernationImage:
    """The memory in a compressed hibernation image, unpacked as it is read. It has no physical addresses."""

    reader: FileImage
    codec: str
    pages: array[int]
    starts: array[int]
    kind: str = "hibernation"
    notes: tuple[str, ...] = ()
    unreadable_bytes: int = 0
    _last: tuple[int, bytes] = field(default=(-1, b""), repr=False)

    @property
    def size_bytes(self) -> int:
        """The size of all blocks; the last one may be shorter."""
        return len(self.starts) * _BLOCK_BYTES

    def read_into(self, offset_bytes: int, buffer: memoryview) -> None:
        """Fill ``buffer`` from the blocks that it spans."""
        done = 0
        while done < len(buffer):
            number, within = divmod(offset_bytes + done, _BLOCK_BYTES)
            data = self._block(number)[within : within + len(buffer) - done]
            buffer[done : done + len(data)] = data
            done += len(data)

    def address_of(self, offset_bytes: int) -> int:
        """The place in the unpacked image."""
        return offset_bytes

    def _block(self, number: int) -> bytes:
        if self._last[0] != number:
            self._last = (number, self._unpack(number).ljust(_BLOCK_BYTES, b"\0"))
        return self._last[1]

    def _unpack(self, number: int) -> bytes:
        if number >= len(self.starts):
            return b""
        index = self.starts[number]
        end = self.starts[number + 1] if number + 1 < len(self.starts) else index + _BLOCK_BYTES // PAGE_BYTES + 3
        data = b"".join(self.reader.read_at(page * PAGE_BYTES, PAGE_BYTES) for page in self.pages[index:end])
        length = _block_length(data[:_LENGTH_BYTES])
        try:
            return decompressor(self.codec)(data[_LENGTH_BYTES : _LENGTH_BYTES + length], _BLOCK_BYTES)
        except ValueError:
            self.unreadable_bytes += _BLOCK_BYTES
            return b""
