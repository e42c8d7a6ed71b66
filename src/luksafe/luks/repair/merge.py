"""Two copies damaged in different places: from each difference the side is taken that makes the checksum hold."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from luksafe.luks.luks2.binary_header import BINARY_BYTES, FIELDS
from luksafe.luks.repair.effort import Effort
from luksafe.luks.repair.luks2_proof import MOST_CHECKSUM_BITS, checksum_distance

Range = tuple[int, int]

_OWN_FIELDS = ("magic", "salt", "hdr_offset", "checksum")
"""What each copy has for itself; never taken from the other."""
_MOST_GROUPS = 12
_COMPARED_BYTES = 512
_GAPS = (16, 1, 64, 512, 4096)
"""Differences nearer than this count as one; every grain that leaves few enough doubts is tried."""
_PRINTABLE = bytes(range(0x20, 0x7F))


def merge(own: bytes, other: bytes, effort: Effort) -> bytes | None:
    """``own`` with parts of ``other`` that make its own checksum hold; None when no combination does.

    Where one side is visibly overwritten the other is taken; what is left in doubt is tried both ways.
    """
    tried: set[tuple[Range, ...]] = set()
    differing = list(_differing(own, other))
    for gap in _GAPS:
        groups = tuple(_joined(differing, gap))
        if groups in tried:
            continue
        tried.add(groups)
        for made in _combinations(own, other, groups, effort):
            if made != own and checksum_distance(made) <= MOST_CHECKSUM_BITS:
                return made
    return None


def _combinations(own: bytes, other: bytes, groups: Sequence[Range], effort: Effort) -> Iterator[bytes]:
    """What may have stood there before both were damaged: by what is to be seen, then whatever there is."""
    bad = [group for group in groups if _is_overwritten(own, other, group)]
    good = [group for group in groups if _is_overwritten(other, own, group)]
    doubtful = [group for group in groups if group not in bad and group not in good]
    if len(doubtful) <= _MOST_GROUPS:
        yield from _choices(own, other, bad, doubtful, effort)
    if len(groups) <= _MOST_GROUPS and (bad or good):
        yield from _choices(own, other, [], groups, effort)
    elif len(doubtful) > _MOST_GROUPS:
        yield from _choices(own, other, [], [(0, BINARY_BYTES), (BINARY_BYTES, len(own))], effort)


def _choices(
    own: bytes, other: bytes, bad: Sequence[Range], doubtful: Sequence[Range], effort: Effort
) -> Iterator[bytes]:
    for done, chosen in enumerate(_selections(len(doubtful))):
        if not effort.goes_on("parts of both copies", done, 1 << len(doubtful)):
            return
        area = bytearray(own)
        for start, end in (*bad, *(doubtful[number] for number in chosen)):
            area[start:end] = _foreign(own, other, start, end)
        yield bytes(area)


def _is_overwritten(area: bytes, other: bytes, group: Range) -> bool:
    """Whether the area cannot be right here: no text, where the other has text. Zeros behind all text are right."""
    start, end = group
    if start < BINARY_BYTES:
        return False
    ours, theirs = area[start:end], other[start:end]
    if not area[end:].strip(b"\0"):
        ours = ours.rstrip(b"\0")
    return bool(ours.translate(None, _PRINTABLE)) and not theirs.rstrip(b"\0").translate(None, _PRINTABLE)


def _selections(count: int) -> Iterator[tuple[int, ...]]:
    """All subsets, the whole first: mostly one copy is good where the other is bad."""
    for size in range(count, -1, -1):
        yield from itertools.combinations(range(count), size)


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
