"""Where bytes differ from what they should be, and what those that are there look like."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from luksafe.ops.diagnosis.model import Damage
from luksafe.probe.sector_runs import runs_of
from luksafe.probe.statistics import SectorClass, classify_sectors

SECTOR_BYTES = 512
JOIN_BYTES = 16
"""Differences nearer than this to each other are one: what overwrote them had these bytes alike by chance."""
LEAST_FILL_BYTES = 4
LEAST_TEXT_BYTES = 256
LEAST_PATTERN_BYTES = 16

Range = tuple[int, int]
FILLS = ("zeros", "ff", "random", "pattern", "text", "structured", "unreadable")


def differing_ranges(there: bytes, wanted: bytes, base: int = 0) -> list[Range]:
    """Ranges ``[start, end)``, ``base`` added, where ``there`` is not ``wanted``; missing bytes at the end differ."""
    found: list[Range] = []
    for at in range(0, len(wanted), SECTOR_BYTES):
        one, other = there[at : at + SECTOR_BYTES], wanted[at : at + SECTOR_BYTES]
        if one != other:
            found += _in_sector(one, other, base + at)
    return join(found)


def _in_sector(one: bytes, other: bytes, base: int) -> Iterator[Range]:
    yield from ((base + n, base + n + 1) for n, byte in enumerate(other) if n >= len(one) or one[n] != byte)


def join(ranges: Sequence[Range], gap: int = JOIN_BYTES) -> list[Range]:
    """The ranges in order, those nearer than ``gap`` bytes joined."""
    joined: list[Range] = []
    for start, end in sorted(ranges):
        if joined and start - joined[-1][1] <= gap:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def clip(ranges: Sequence[Range], start: int, end: int) -> list[Range]:
    """What of the ranges lies in ``[start, end)``."""
    return [(max(a, start), min(b, end)) for a, b in ranges if a < end and b > start]


def looks_of(start: bytes, range_: Range, unreadable: Sequence[int] = ()) -> str:
    """What stands there: ``zeros``, ``ff``, ``random``, ``text`` …, or ``changed`` when that cannot be said.

    Sectors that the medium refuses are zeros in ``start``, and are not zeros on the device.
    """
    if any(bad < range_[1] and range_[0] < bad + SECTOR_BYTES for bad in unreadable):
        return "unreadable"
    data = start[range_[0] : range_[1]]
    if not data:
        return "missing"
    if len(data) >= LEAST_FILL_BYTES and len(set(data)) == 1:
        return {0: "zeros", 0xFF: "ff"}.get(data[0], "pattern" if len(data) >= LEAST_PATTERN_BYTES else "changed")
    first, end = range_[0] // SECTOR_BYTES * SECTOR_BYTES, -(-range_[1] // SECTOR_BYTES) * SECTOR_BYTES
    kinds = {SectorClass(kind) for kind in classify_sectors(start[first:end]).tolist()}
    if len(kinds) == 1 and len(data) >= LEAST_FILL_BYTES:
        kind = kinds.pop()
        if kind in (SectorClass.RANDOM, SectorClass.PATTERN) or (
            kind is SectorClass.TEXT and len(data) >= LEAST_TEXT_BYTES
        ):
            return kind.label
        if kind is SectorClass.STRUCTURED and len(data) >= SECTOR_BYTES:
            return kind.label
    return "changed"


def not_random(start: bytes, range_: Range, unreadable: Sequence[int] = ()) -> list[Damage]:
    """The sectors in a range of random bytes that cannot be random (512 bytes, then 4096 bytes at a time)."""
    at, end = range_[0], min(range_[1], len(start))
    fine = [run for run in runs_of(start[at:end], at) if run.kind is not SectorClass.RANDOM]
    damage = [Damage(r.offset, r.length, r.kind.label, _sector_words(r.length, r.kind)) for r in fine]
    coarse_end = at + (end - at) // 4096 * 4096
    for run in runs_of(start[at:coarse_end], at, 4096):
        if run.kind is not SectorClass.RANDOM and not any(d.offset < run.end and run.offset < d.end for d in damage):
            words = f"{_sector_words(run.length, run.kind)}, seen over 4096 bytes only"
            damage.append(Damage(run.offset, run.length, run.kind.label, words))
    for bad in unreadable:
        if at <= bad < end:
            damage = [d for d in damage if not d.offset <= bad < d.end or d.length > SECTOR_BYTES]
            damage.append(Damage(bad, SECTOR_BYTES, "unreadable", "the medium refuses this sector"))
    return sorted(damage, key=lambda d: d.offset)


def _sector_words(length: int, kind: SectorClass) -> str:
    what = {SectorClass.STRUCTURED: "bytes too uneven to be random"}.get(kind, kind.label)
    return f"{what} where only random bytes can be (chance of a healthy sector: 2 in 10^12)"
