"""What a search walks over: the RAM that an image holds, as one run of bytes.

The ranges of RAM stand one after the other in the order of their physical addresses, so that what crosses the border
of two neighbouring ranges is whole. ``offset_bytes`` counts in that run, ``position`` in the file it comes from.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol

from luksafe.errors import DamagedInput

ALIGNMENT_BYTES = 4
PAGE_BYTES = 4096
MOST_RANGES = 1 << 20
_MOST_TIMES = 16
"""So often may the same bytes of a file count as RAM: page tables map some of it several times."""


@dataclass(frozen=True, slots=True)
class RamRange:
    """RAM without a gap: its physical address, where its bytes begin in the file, and its size."""

    address: int
    position: int
    size_bytes: int


class MemoryImage(Protocol):
    """The RAM in an image of any kind. It can be pickled: each process opens the file for itself."""

    kind: str
    notes: tuple[str, ...]
    unreadable_bytes: int

    @property
    def size_bytes(self) -> int:
        """How much RAM it holds."""
        ...

    def read_into(self, offset_bytes: int, buffer: memoryview) -> None:
        """Fill ``buffer``. What cannot be read, and what lies beyond the end, becomes zeros."""
        ...

    def address_of(self, offset_bytes: int) -> int:
        """The physical address of a byte; where the image keeps none, the place in it."""
        ...


def arrange_ranges(ranges: Iterable[RamRange], file_bytes: int) -> tuple[RamRange, ...]:
    """Sort by address, cut to what the file holds and to whole words, join neighbours, drop what is empty.

    Raises ``DamagedInput`` when there are more than a million, or they make far more of the file than it holds.
    """
    out: list[RamRange] = []
    for count, each in enumerate(sorted(ranges, key=lambda r: (r.address, r.position))):
        if count >= MOST_RANGES:
            raise DamagedInput(f"the memory image claims more than {MOST_RANGES} ranges of memory")
        skip = -each.address % ALIGNMENT_BYTES
        room = min(each.size_bytes, file_bytes - each.position) - skip
        size = room - room % ALIGNMENT_BYTES
        if size <= 0 or each.position < 0 or each.address < 0:
            continue
        cut = RamRange(each.address + skip, each.position + skip, size)
        if out and _joins(out[-1], cut):
            cut = RamRange(out[-1].address, out[-1].position, out.pop().size_bytes + size)
        out.append(cut)
    if sum(each.size_bytes for each in out) > _MOST_TIMES * file_bytes:
        raise DamagedInput("the memory image counts the same bytes as memory again and again")
    return tuple(out)


def _joins(a: RamRange, b: RamRange) -> bool:
    return a.address + a.size_bytes == b.address and a.position + a.size_bytes == b.position


@dataclass(slots=True)
class FileImage:
    """An image whose RAM lies in a file as it is: raw, LiME, ELF core, /proc/kcore, /dev/mem.

    It is a Reader as well. Opens the file at the first read, never for writing.
    """

    kind: str
    path: Path
    ranges: tuple[RamRange, ...]
    notes: tuple[str, ...] = ()
    unreadable_bytes: int = 0
    _starts: list[int] = field(init=False, repr=False)
    _size: int = field(init=False, repr=False)
    _fd: int = field(init=False, default=-1, repr=False)

    def __post_init__(self) -> None:
        sizes = [each.size_bytes for each in self.ranges]
        self._starts = list(accumulate(sizes, initial=0))[:-1]
        self._size = sum(sizes)

    @property
    def size_bytes(self) -> int:
        """The sum of all ranges."""
        return self._size

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        """The bytes at ``offset_bytes``, fewer at the end; zeros where reading fails."""
        length = max(0, min(length_bytes, self._size - offset_bytes))
        buffer = bytearray(length)
        self.read_into(offset_bytes, memoryview(buffer))
        return bytes(buffer)

    def read_into(self, offset_bytes: int, buffer: memoryview) -> None:
        """Fill ``buffer`` from as many ranges as it spans."""
        done = 0
        for position, length in self._pieces(offset_bytes, len(buffer)):
            self._read_piece(position, buffer[done : done + length])
            done += length
        if done < len(buffer):
            buffer[done:] = bytes(len(buffer) - done)

    def address_of(self, offset_bytes: int) -> int:
        """The physical address of a byte of the run."""
        index = bisect_right(self._starts, offset_bytes) - 1
        return self.ranges[index].address + offset_bytes - self._starts[index]

    def _pieces(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """Position in the file and length of each piece of a stretch of the run."""
        index = bisect_right(self._starts, offset) - 1
        while length > 0 and offset < self._size:
            within = offset - self._starts[index]
            size = min(length, self.ranges[index].size_bytes - within)
            yield self.ranges[index].position + within, size
            offset, length, index = offset + size, length - size, index + 1

    def _read_piece(self, position: int, buffer: memoryview) -> None:
        done = 0
        while done < len(buffer):
            try:
                got = os.preadv(self._file(), [buffer[done:]], position + done)
            except OSError:
                got = 0
            if got <= 0:
                got = self._skip_page(position + done, buffer[done:])
            done += got

    def _skip_page(self, position: int, buffer: memoryview) -> int:
        """Zeros up to the next page of the file: a page that the kernel refuses must not hide the others."""
        length = min(len(buffer), PAGE_BYTES - position % PAGE_BYTES)
        buffer[:length] = bytes(length)
        self.unreadable_bytes += length
        return length

    def _file(self) -> int:
        if self._fd < 0:
            self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        return self._fd

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:
        self.close()

    def __getstate__(self) -> tuple[Any, ...]:
        return (self.kind, self.path, self.ranges, self.notes)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.__init__(*state)  # type: ignore[misc]
