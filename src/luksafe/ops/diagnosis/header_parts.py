"""The header copies, part by part: which bytes are not what they should be, judged by what they ought to be."""

from __future__ import annotations

from dataclasses import dataclass

from luksafe.luks.areas import Region
from luksafe.luks.luks1.binary_header import HEADER_BYTES as LUKS1_BYTES
from luksafe.luks.luks2.copies import HeaderCopy
from luksafe.ops.diagnosis.bytes_compare import Range, clip, differing_ranges, looks_of
from luksafe.ops.diagnosis.facts import Facts
from luksafe.ops.diagnosis.layout import VolumeLayout
from luksafe.ops.diagnosis.model import Damage, Part, State
from luksafe.probe.sector_runs import runs_of
from luksafe.probe.statistics import SectorClass

SALT, CHECKSUM = (104, 168), (448, 512)


@dataclass(frozen=True, slots=True)
class Reference:
    """What a header copy ought to be, and who says so. ``is_exact``: to the last byte, salt and checksum too."""

    data: bytes
    source: str
    is_exact: bool


def judge_header_parts(facts: Facts, layout: VolumeLayout) -> list[Part]:
    """The parts of every header copy; without any header to go by, the place where one would be."""
    headers = [r for r in layout.regions if r.kind in ("binary-header", "json")]
    if layout.header is None or not headers:
        return [_unknown_place(facts, layout.regions[0])]
    if layout.header.format == "luks1":
        return [_judge(facts, headers[0], luks1_damage(facts, layout), _first_copy(facts))]
    size = layout.header.header_size
    parts: list[Part] = []
    for name, at in (("primary", 0), ("secondary", size)):
        copy = next((c for c in facts.inspection.copies if c.copy == name and c.offset == at), None)
        damage = copy_damage(facts, layout, name, at, size, copy)
        parts += [_judge(facts, r, damage, copy) for r in headers if at <= r.start < at + size]
    return parts


def _judge(facts: Facts, region: Region, damage: list[Damage] | None, copy: HeaderCopy | None) -> Part:
    """``damage`` is None where nothing tells which bytes are wrong."""
    inside = [d for d in damage or () if d.offset < region.end and d.end > region.start]
    is_good = copy is not None and copy.state == "ok"
    if inside:
        state, why = State.DESTROYED, "; ".join(dict.fromkeys(d.evidence for d in inside))
    elif is_good or damage is not None:
        state, why = (
            State.INTACT,
            "its checksum holds" if is_good and facts.inspection.format == "luks2" else "as it should be",
        )
    else:
        state, why = State.SUSPECT, copy.why if copy else "nothing there"
    return Part(region.kind, region.name, region.start, region.end, state, why, None, tuple(inside))


def _first_copy(facts: Facts) -> HeaderCopy | None:
    return facts.inspection.copies[0] if facts.inspection.format == "luks1" else None


def copy_damage(
    facts: Facts, layout: VolumeLayout, name: str, at: int, size: int, copy: HeaderCopy | None
) -> list[Damage] | None:
    """What is wrong with one LUKS2 copy: nothing when it is good, None when it is not but nothing says where."""
    if copy is not None and copy.state == "ok":
        return []
    reference = _reference(facts, layout, name, at, size)
    there = facts.start[at : at + size]
    if reference is None:
        return _by_class(facts, at, size) or None
    ranges = differing_ranges(there, reference.data, at)
    if not reference.is_exact:
        ranges = _without_salted(there, ranges, at)
    if not ranges:
        words = "the checksum is wrong and nothing else differs: either it, or the salt, was changed"
        return [Damage(at + SALT[0], CHECKSUM[1] - SALT[0], "changed", words)]
    return [Damage(a, b - a, looks_of(facts.start, (a, b)), f"differs from {reference.source}") for a, b in ranges]


def _without_salted(there: bytes, ranges: list[Range], at: int) -> list[Range]:
    """Without salt and checksum, which a copy made from the other one has anew; unless they are blank on the disk."""
    for first, end in (SALT, CHECKSUM):
        if len(set(there[first : first + 32])) > 1:
            ranges = [*clip(ranges, 0, at + first), *clip(ranges, at + end, 1 << 62)]
    return ranges


def _reference(facts: Facts, layout: VolumeLayout, name: str, at: int, size: int) -> Reference | None:
    header = layout.header
    for backup in facts.backups:
        stored = backup.inspection.header
        same = stored and header and (stored.uuid, stored.seqid) == (header.uuid, header.seqid)
        good = any(c.offset == at and c.state == "ok" for c in backup.inspection.copies)
        if same and good:
            return Reference(backup.image[at : at + size], f"backup {backup.id[:12]}", True)
    for proposal in facts.repair.proposals:
        for patch in proposal.patches:
            if patch.what == f"{name} header":
                is_own = proposal.code == "copy-mended"
                source = "what its checksum proves" if is_own else "the other copy"
                return Reference(patch.data, source, is_own)
    return None


def luks1_damage(facts: Facts, layout: VolumeLayout) -> list[Damage] | None:
    """What is wrong with the LUKS1 header: what repair would change, what contradicts a backup of the same keyslots."""
    damage = []
    for proposal in facts.repair.proposals:
        for patch in proposal.patches:
            there = facts.start[patch.offset : patch.offset + len(patch.data)]
            for a, b in differing_ranges(there, patch.data, patch.offset):
                damage.append(Damage(a, b - a, looks_of(facts.start, (a, b)), proposal.text))
    if layout.backup is not None:
        wanted = layout.backup.image[:LUKS1_BYTES]
        source = f"differs from backup {layout.backup.id[:12]}"
        ranges = differing_ranges(facts.start[:LUKS1_BYTES], wanted)
        return [Damage(a, b - a, looks_of(facts.start, (a, b)), source) for a, b in ranges]
    if not damage and facts.inspection.is_refused:
        damage = [
            Damage(f.offset, f.length, looks_of(facts.start, (f.offset, f.offset + f.length)), f.text)
            for f in facts.inspection.findings
            if f.severity == "error" and f.offset is not None and f.length and f.offset < LUKS1_BYTES
        ]
    return damage if damage or not facts.inspection.is_refused else None


def _by_class(facts: Facts, at: int, size: int) -> list[Damage]:
    """Sectors that no header can hold: key-like random bytes anywhere, anything but zeros and text behind sector 0."""
    found = []
    for run in runs_of(facts.start[at : at + size], at):
        if run.kind in (SectorClass.RANDOM, SectorClass.FF, SectorClass.PATTERN):
            found.append(Damage(run.offset, run.length, run.kind.label, f"{run.kind.label} bytes in a header"))
        elif run.offset == at and run.kind is SectorClass.ZEROS:
            found.append(Damage(run.offset, run.length, "zeros", "zeros where the header begins"))
        elif run.offset > at and run.kind is SectorClass.STRUCTURED:
            found.append(Damage(run.offset, run.length, "structured", "binary data where JSON belongs"))
    return found


def _unknown_place(facts: Facts, region: Region) -> Part:
    end = min(region.end, len(facts.start))
    # random bytes further on may be key material of a layout that nothing tells any more
    runs = [r for r in runs_of(facts.start[:end]) if r.offset == 0 or r.kind is not SectorClass.RANDOM]
    damage = tuple(Damage(r.offset, r.length, r.kind.label, f"{r.kind.label} bytes, no header") for r in runs)
    damage = damage if len(damage) <= 16 else (Damage(0, end, "structured", "other data, no header"),)
    return Part(region.kind, region.name, 0, region.end, State.DESTROYED, "no header copy is left", None, damage)
