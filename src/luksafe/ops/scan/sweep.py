"""Reading a whole disk once, piece by piece, with the search of each piece; bad sectors are passed over and noted."""

from __future__ import annotations

import errno
import mmap
import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from luksafe.device.source import DeviceReader
from luksafe.luks.search import Mark, MarkSearch

PIECE_BYTES = 512 << 10
"""Small enough to stay in the cache between reading and searching."""

_BAD_BLOCK_BYTES = 4096

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Piece:
    """What one piece gave: how far the sweep is, its marks, the ranges ``[start, end)`` that could not be read."""

    done_bytes: int
    marks: tuple[Mark, ...]
    unreadable: tuple[Range, ...] = ()


class Sweeper:
    """Sweeps over one disk or file after the other with one buffer."""

    def __init__(self, fingerprints: Collection[bytes] = ()) -> None:
        # a mapping begins at a page, from which the kernel copies faster
        self._buffer = memoryview(mmap.mmap(-1, PIECE_BYTES))
        self._search = MarkSearch(self._buffer, fingerprints)

    def sweep(self, reader: DeviceReader, start_bytes: int = 0) -> Iterator[Piece]:
        """Every piece from ``start_bytes`` (a multiple of 512) to the end, without holes of a sparse file."""
        fd, size = reader.fileno(), reader.size_bytes
        os.posix_fadvise(fd, start_bytes, 0, os.POSIX_FADV_SEQUENTIAL)
        is_file = stat.S_ISREG(os.fstat(fd).st_mode)
        at = start_bytes
        while at < size:
            if is_file and (skipped := _hole_bytes(fd, at, size)):
                at += skipped
                yield Piece(at, ())
                continue
            length = min(PIECE_BYTES, size - at)
            unreadable = self._fill(fd, at, length)
            marks = [Mark(at + mark.offset, mark.kind) for mark in self._search.marks(length)]
            at += length
            yield Piece(at, tuple(marks), tuple(unreadable))

    def _fill(self, fd: int, at: int, length: int) -> list[Range]:
        try:
            got = os.preadv(fd, [self._buffer], at)
        except OSError:
            return self._fill_block_by_block(fd, at, length)
        if got < PIECE_BYTES:
            self._buffer[got:] = bytes(PIECE_BYTES - got)
        return []

    def _fill_block_by_block(self, fd: int, at: int, length: int) -> list[Range]:
        self._buffer[:] = bytes(PIECE_BYTES)
        unreadable: list[Range] = []
        for inside in range(0, length, _BAD_BLOCK_BYTES):
            start, end = at + inside, at + min(inside + _BAD_BLOCK_BYTES, length)
            try:
                os.preadv(fd, [self._buffer[inside : inside + end - start]], start)
            except OSError:
                unreadable = _appended(unreadable, (start, end))
        return unreadable


def _hole_bytes(fd: int, at: int, size: int) -> int:
    """How many bytes from ``at`` on are a hole, in whole pieces unless the file ends with it."""
    try:
        data_at = os.lseek(fd, at, os.SEEK_DATA)
    except OSError as error:
        return size - at if error.errno == errno.ENXIO else 0
    return (data_at - at) // PIECE_BYTES * PIECE_BYTES


def _appended(ranges: list[Range], more: Range) -> list[Range]:
    """The ranges with one more, joined to the last when they touch."""
    if ranges and ranges[-1][1] == more[0]:
        return [*ranges[:-1], (ranges[-1][0], more[1])]
    return [*ranges, more]


def joined(before: list[Range], more: Collection[Range]) -> list[Range]:
    """Ascending ranges, those that touch joined."""
    for item in more:
        before = _appended(before, item)
    return before
