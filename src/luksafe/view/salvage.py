"""Reading round unreadable places: a range that fails is read in ever smaller parts, down to the sector."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from luksafe.reader import Reader
from luksafe.view.parallel import split

PARTS = 16  # a failed megabyte is read by 64 KiB, then by 4 KiB, then by sectors


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a range: its bytes, or None where it cannot be read."""

    offset_bytes: int
    size_bytes: int
    data: bytes | memoryview | None


def read_parts(reader: Reader, offset_bytes: int, size_bytes: int, smallest_bytes: int) -> Iterator[Part]:
    """Everything of a range that can be read, in order, and between that what cannot: ``smallest_bytes`` each."""
    try:
        yield Part(offset_bytes, size_bytes, reader.read_at(offset_bytes, size_bytes))
    except OSError:
        if size_bytes <= smallest_bytes:
            yield Part(offset_bytes, size_bytes, None)
            return
        step = max(smallest_bytes, size_bytes // PARTS // smallest_bytes * smallest_bytes)
        for offset, size in split(offset_bytes, offset_bytes + size_bytes, step):
            yield from read_parts(reader, offset, size, smallest_bytes)
