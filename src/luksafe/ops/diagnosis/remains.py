"""Is a LUKS volume here though no header is left? Key material, cipher text, a filesystem that is nowhere in use."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from luksafe.luks.luks2.binary_header import HEADER_SIZES
from luksafe.luks.luks2.binary_header import BinaryHeader as Luks2BinaryHeader
from luksafe.luks.luks2.copies import HeaderCopy
from luksafe.ops.diagnosis.facts import Facts
from luksafe.probe.footprint import Footprint
from luksafe.probe.recognised import Kind
from luksafe.probe.sector_runs import Run
from luksafe.probe.statistics import SectorClass, classify_sectors

LEAST_KEY_BYTES = 64_000
"""The key material of the smallest usual key: 16 bytes in 4000 stripes."""
ALIGNMENT = 4096
LEAST_SAMPLES, MOSTLY = 16, 0.9
MOST_FOREIGN_FRACTION = 0.02
"""Files end within a sector and folders are no cipher text: a filesystem in use has more sectors of that kind."""
BLANK = (SectorClass.ZEROS, SectorClass.FF, SectorClass.RANDOM, SectorClass.UNREADABLE)
UUID_FORM = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
HASHES = ("sha1", "sha224", "sha256", "sha384", "sha512", "ripemd160", "whirlpool", "sm3", "stribog512")
LUKS1_KEYSLOTS, LUKS2_KEYSLOTS = 4096, 32768
HOLDERS = (Kind.PARTITION_TABLE, Kind.VOLUME_MANAGER, Kind.RAID)
FIRST_HELD_BYTES = 1 << 20
USUAL_DATA_OFFSETS = (16 << 20, 2 << 20, 4 << 20, 1 << 20, 1032 << 10)


def has_luks_left(facts: Facts) -> bool:
    """Whether anything says that a LUKS volume is or was here: a header's remains, or key material or cipher text at
    their usual places with nothing else in use among them."""
    if has_header_left(facts):
        return True
    if facts.traces:
        return False  # whatever is here belongs to a volume that begins elsewhere
    if any(match.kind in HOLDERS and match.copy == "primary" for match in facts.recognised):
        # others' volumes may lie behind these; only what is left in front of the first one can tell
        left = _outside(facts.runs, [(r.offset, r.end) for f in facts.footprints for r in f.ranges if r.certain])
        return any(r.offset < FIRST_HELD_BYTES for r in _key_like(left))
    runs = _outside_structures(facts)
    random = sum(r.length for r in runs if r.kind is SectorClass.RANDOM)
    foreign = sum(r.length for r in runs if r.kind not in BLANK)
    is_all_random = all(r.kind is SectorClass.RANDOM for r in facts.runs)
    if is_all_random or foreign > MOST_FOREIGN_FRACTION * random:
        return has_data_start(facts)
    return bool(key_like_runs(facts)) or has_data_start(facts) or _is_blank_before_random(facts)


def is_mostly_random(facts: Facts) -> bool:
    """Whether what was written on the device, as far as samples tell, is encrypted or packed nearly throughout."""
    kinds = [set(classify_sectors(s).tolist()) for s in facts.data_samples if len(s) >= ALIGNMENT]
    written = [kind for kind in kinds if kind != {SectorClass.ZEROS}]
    random = sum(kind == {SectorClass.RANDOM} for kind in written)
    return len(written) >= LEAST_SAMPLES and random >= MOSTLY * len(written)


def _is_blank_before_random(facts: Facts) -> bool:
    """Whether nothing but zeros stands before data that look encrypted, wherever they begin."""
    is_blank = all(run.kind in (SectorClass.ZEROS, SectorClass.FF) for run in facts.runs)
    return is_blank and not facts.recognised and is_mostly_random(facts)


def has_header_left(facts: Facts) -> bool:
    """Whether something is left of a header of a volume that begins here: more than a magic, which a text has too."""
    elsewhere = {trace.offset for trace in facts.traces if trace.volume_offset}
    copies = [copy for copy in facts.inspection.copies if copy.offset not in elsewhere]
    return any(_makes_sense(copy) for copy in copies) or any(t.volume_offset == 0 and t.uuid for t in facts.traces)


def _makes_sense(copy: HeaderCopy) -> bool:
    """Whether one field besides the magic is as only a header has it."""
    binary = copy.binary
    if binary is None:
        return False
    if isinstance(binary, Luks2BinaryHeader):
        names = (binary.checksum_algorithm in HASHES, bool(UUID_FORM.fullmatch(binary.uuid)))
        return (binary.hdr_size in HEADER_SIZES and binary.seqid > 0) or any(names)
    return bool(UUID_FORM.fullmatch(binary.uuid)) or binary.hash_spec in HASHES or 0 < binary.key_bytes <= 128


def has_data_start(facts: Facts) -> bool:
    """Whether cipher text begins at the very byte where LUKS data usually begin."""
    starts = {r.offset for r in facts.runs if r.kind is SectorClass.RANDOM and r.length >= ALIGNMENT}
    if len(facts.start) == USUAL_DATA_OFFSETS[0] and facts.runs and facts.runs[-1].kind is not SectorClass.RANDOM:
        first = facts.data_start[:ALIGNMENT]
        if len(first) == ALIGNMENT and not any(classify_sectors(first).tolist()):
            starts.add(len(facts.start))
    return any(offset in starts for offset in USUAL_DATA_OFFSETS)


def key_like_runs(facts: Facts) -> list[tuple[int, int]]:
    """Stretches of random bytes in the header area that may hold key material, ``[start, end)``."""
    return [(r.offset, r.end) for r in _key_like(_outside_structures(facts))]


def _key_like(runs: Sequence[Run]) -> list[Run]:
    return [r for r in runs if r.kind is SectorClass.RANDOM and r.length >= LEAST_KEY_BYTES]


def first_key_offset(facts: Facts) -> int | None:
    """Where the first keyslot seems to begin: the usual place of LUKS1 or of LUKS2; None when at neither."""
    return next(_key_starts(facts), None)


def _key_starts(facts: Facts) -> Iterator[int]:
    """The usual places at which random bytes begin that were not random before, or go on for a whole keyslot."""
    runs = [r for r in facts.runs if r.kind is SectorClass.RANDOM and r.length >= LEAST_KEY_BYTES]
    for place in (LUKS1_KEYSLOTS, LUKS2_KEYSLOTS):
        if any(r.offset == place for r in runs):
            yield place


def _outside_structures(facts: Facts) -> list[Run]:
    """The runs of the header area without what known structures wrote there for sure or perhaps."""
    return _outside(facts.runs, _covered(facts.footprints))


def _outside(runs: Sequence[Run], covered: Sequence[tuple[int, int]]) -> list[Run]:
    out: list[Run] = []
    in_order = sorted(covered)
    for run in runs:
        at = run.offset
        for first, end in in_order:
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
    return [(r.offset, r.end) for r in ranges]
