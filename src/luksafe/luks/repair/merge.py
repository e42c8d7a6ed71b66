"""Two copies damaged in different places: from each difference the side is taken that makes the checksum hold."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from luksafe.luks.luks2.binary_header import BINARY_BYTES, FIELDS
from luksafe.luks.repair.effort import Effort
from luksafe.luks.repair.luks2_proof import MOST_CHECKSUM_BITS, checksum_distance

Range = tuple[int, int]

_OWN_FIELDS = ("magic", "salt", "hdr_offset", "checksum")
"""What each copy has for itself; never taken from the other."""
_MOST_GROUPS = 12
_COMPARED_BYTES = 512
_GAPS = (16, 64, 512, 4096)
"""Differences nearer than this count as one; the first grain that leaves few enough groups is used."""


def merge(own: bytes, other: bytes, effort: Effort) -> bytes | None:
    """``own`` with parts of ``other`` that make its own checksum hold; None when no combination does."""
    groups = _groups(own, other)
    for done, chosen in enumerate(_selections(len(groups))):
        if not effort.goes_on("parts of both copies", done, (1 << len(groups)) - 1):
            return None
        area = bytearray(own)
        for number in chosen:
            start, end = groups[number]
            area[start:end] = _foreign(own, other, start, end)
        if checksum_distance(bytes(area)) <= MOST_CHECKSUM_BITS:
            return bytes(area)
    return None


def _selections(count: int) -> Iterator[tuple[int, ...]]:
    """All non-empty subsets, the whole first: mostly one copy is good where the other is bad."""
    for size in range(count, 0, -1):
        yield from itertools.combinations(range(count), size)


def _groups(own: bytes, other: bytes) -> list[Range]:
    differing = list(_differing(own, other))
    for gap in _GAPS:
        groups = _joined(differing, gap)
        if len(groups) <= _MOST_GROUPS:
            return groups
    return [group for group in ((0, BINARY_BYTES), (BINARY_BYTES, len(own))) if differing]


def _differing(own: bytes, other: bytes) -> Iterator[int]:
    """The positions of what differs, but for the fields that are each copy's own."""
    excluded = {p for f in FIELDS if f.name in _OWN_FIELDS for p in range(f.offset, f.offset + f.length)}
    for start in range(0, len(own), _COMPARED_BYTES):
        end = min(start + _COMPARED_BYTES, len(own))
        if own[start:end] != other[start:end]:
            yield from (at for at in range(start, end) if own[at] != other[at] and at not in excluded)


def _joined(positions: list[int], gap: int) -> list[Range]:
    """Ranges that hold all positions, those nearer than ``gap`` together; binary header and JSON apart."""
    ranges: list[Range] = []
    for at in positions:
        if ranges and at - ranges[-1][1] < gap and (at < BINARY_BYTES) == (ranges[-1][0] < BINARY_BYTES):
            ranges[-1] = (ranges[-1][0], at + 1)
        else:
            ranges.append((at, at + 1))
    return ranges


def _foreign(own: bytes, other: bytes, start: int, end: int) -> bytes:
    """The other's bytes of a range, but for the fields that are each copy's own."""
    part = bytearray(other[start:end])
    for field in FIELDS:
        if field.name in _OWN_FIELDS:
            first, last = max(start, field.offset), min(end, field.offset + field.length)
            if first < last:
                part[first - start : last - start] = own[first:last]
    return bytes(part)
