"""Is a LUKS volume here though no header is left? Key material, cipher text, a filesystem that is nowhere in use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from luksafe.ops.diagnosis.facts import Facts
from luksafe.probe.footprint import Footprint
from luksafe.probe.sector_runs import Run, runs_of
from luksafe.probe.statistics import SectorClass

LEAST_KEY_BYTES = 64_000
"""The key material of the smallest usual key: 16 bytes in 4000 stripes."""
ALIGNMENT = 4096
MOST_FOREIGN_FRACTION = 0.02
"""Files end within a sector and folders are no cipher text: a filesystem in use has more sectors of that kind."""
BLANK = (SectorClass.ZEROS, SectorClass.FF, SectorClass.RANDOM, SectorClass.UNREADABLE)
LUKS1_KEYSLOTS, LUKS2_KEYSLOTS = 4096, 32768


def has_luks_left(facts: Facts) -> bool:
    """Whether anything says that a LUKS volume is or was here: a header's remains, or key material and cipher text
    with nothing else in use among them."""
    if facts.inspection.format != "none" or any(trace.volume_offset == 0 for trace in facts.traces):
        return True
    if any(match.partitions for match in facts.recognised) and not any(_key_starts(facts)):
        return False
    runs = _outside_structures(facts)
    random = sum(r.length for r in runs if r.kind is SectorClass.RANDOM)
    foreign = sum(r.length for r in runs if r.kind not in BLANK)
    is_all_random = all(r.kind is SectorClass.RANDOM for r in runs_of(facts.start))
    return bool(key_like_runs(facts)) and foreign <= MOST_FOREIGN_FRACTION * random and not is_all_random


def key_like_runs(facts: Facts) -> list[tuple[int, int]]:
    """Stretches of random bytes in the header area that may hold key material, ``[start, end)``."""
    runs = [r for r in _outside_structures(facts) if r.kind is SectorClass.RANDOM]
    return [(r.offset, r.end) for r in runs if r.length >= LEAST_KEY_BYTES]


def first_key_offset(facts: Facts) -> int | None:
    """Where the first keyslot seems to begin: the usual place of LUKS1 or of LUKS2; None when at neither."""
    return next(_key_starts(facts), None)


def _key_starts(facts: Facts) -> Iterator[int]:
    """The usual places at which random bytes begin that were not random before, or go on for a whole keyslot."""
    runs = [r for r in runs_of(facts.start) if r.kind is SectorClass.RANDOM and r.length >= LEAST_KEY_BYTES]
    for place in (LUKS1_KEYSLOTS, LUKS2_KEYSLOTS):
        if any(r.offset == place for r in runs):
            yield place


def _outside_structures(facts: Facts) -> list[Run]:
    """The runs of the header area without what known structures wrote there for sure or perhaps."""
    covered = _covered(facts.footprints)
    out: list[Run] = []
    for run in runs_of(facts.start):
        at = run.offset
        for first, end in covered:
            if end <= at or first >= run.end:
                continue
            if first > at:
                out.append(Run(at, first - at, run.kind))
            at = max(at, end)
        if at < run.end:
            out.append(Run(at, run.end - at, run.kind))
    return out


def _covered(footprints: Sequence[Footprint]) -> list[tuple[int, int]]:
    """Ranges of all structures; vague ones (whole data areas of an array) say nothing about who wrote there."""
    ranges = [r for f in footprints for r in f.ranges if r.certain or r.length < (8 << 20)]
    return sorted((r.offset, r.end) for r in ranges)
