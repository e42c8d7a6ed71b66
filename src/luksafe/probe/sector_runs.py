"""Ranges of sectors that look alike, and sectors that occur twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from luksafe.probe.statistics import SectorClass, classify_sectors
from luksafe.reader import Reader

PIECE_BYTES = 4 << 20
MOST_REPEATS = 10_000


@dataclass(frozen=True, slots=True)
class Run:
    """``length`` bytes from ``offset`` of the reader whose sectors are all of one class."""

    offset: int
    length: int
    kind: SectorClass

    @property
    def end(self) -> int:
        """The offset of the first byte behind it."""
        return self.offset + self.length


def runs(reader: Reader, offset: int = 0, length: int | None = None, grain: int = 512) -> Iterator[Run]:
    """The classes of ``length`` bytes from ``offset`` on, equal neighbours merged; sectors are counted from ``offset``.

    Sectors that the medium refuses are ``UNREADABLE``, no error. Reads pieces of 4 MiB.
    """
    end = min(reader.size_bytes, reader.size_bytes if length is None else offset + length)
    return merge(_pieces(reader, offset, end, grain))


def merge(pieces: Iterable[Run]) -> Iterator[Run]:
    """Joins runs of one class that touch."""
    current: Run | None = None
    for piece in pieces:
        if current is not None and (current.kind, current.end) == (piece.kind, piece.offset):
            current = Run(current.offset, current.length + piece.length, current.kind)
            continue
        if current is not None:
            yield current
        current = piece
    if current is not None:
        yield current


def _pieces(reader: Reader, offset: int, end: int, grain: int) -> Iterator[Run]:
    for at in range(offset, end, PIECE_BYTES):
        length = min(PIECE_BYTES, end - at)
        try:
            data = reader.read_at(at, length)
        except OSError:
            yield from _sector_by_sector(reader, at, length, grain)
            continue
        yield from runs_of(data, at, grain)
        if len(data) < length:
            return


def _sector_by_sector(reader: Reader, offset: int, length: int, grain: int) -> Iterator[Run]:
    for at in range(offset, offset + length, grain):
        size = min(grain, offset + length - at)
        try:
            yield from runs_of(reader.read_at(at, size), at, grain)
        except OSError:
            yield Run(at, size, SectorClass.UNREADABLE)


def runs_of(data: bytes | memoryview, offset: int = 0, grain: int = 512) -> list[Run]:
    """The runs in bytes that were read from ``offset``."""
    import numpy as np

    classes = classify_sectors(data, grain)
    if not len(classes):
        return []
    starts = [0, *(int(n) for n in np.flatnonzero(np.diff(classes)) + 1)]
    ends = [*starts[1:], len(classes)]
    return [
        Run(offset + a * grain, min(b * grain, len(data)) - a * grain, SectorClass(classes[a]))
        for a, b in zip(starts, ends)
    ]


def repeated_sectors(data: bytes | memoryview, grain: int = 512, offset: int = 0) -> list[tuple[int, int]]:
    """Pairs (first place, later place) of equal sectors that are neither constant nor a short pattern.

    Cipher text never repeats (but in ECB mode), so a repeat is something copied there: a backup of a structure, a
    shifted image, a block of a file. At most ``MOST_REPEATS`` pairs; ``offset`` is added to the places.
    """
    view = memoryview(data)
    trivial = {int(kind) for kind in (SectorClass.ZEROS, SectorClass.FF, SectorClass.PATTERN)}
    first_of: dict[bytes, int] = {}
    found: list[tuple[int, int]] = []
    for number, kind in enumerate(classify_sectors(data, grain)[: len(data) // grain].tolist()):
        if kind not in trivial and len(found) < MOST_REPEATS:
            place = number * grain
            first = first_of.setdefault(bytes(view[place : place + grain]), place)
            if first != place:
                found.append((offset + first, offset + place))
    return found
