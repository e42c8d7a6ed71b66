"""The header copies, part by part: which bytes are not what they should be, judged by what they ought to be."""

from __future__ import annotations

from dataclasses import dataclass

from luksafe.luks.areas import Region
from luksafe.luks.luks1.binary_header import HEADER_BYTES as LUKS1_BYTES
from luksafe.luks.luks2.copies import HeaderCopy
from luksafe.luks.repair.proposal import Evidence
from luksafe.ops.diagnosis.against_backup import Contradiction
from luksafe.ops.diagnosis.bytes_compare import Range, clip, differing_ranges, looks_of
from luksafe.ops.diagnosis.facts import Facts
from luksafe.ops.diagnosis.known_backups import KnownBackup
from luksafe.ops.diagnosis.layout import VolumeLayout
from luksafe.ops.diagnosis.model import Damage, Part, State
from luksafe.probe.sector_runs import runs_of
from luksafe.probe.statistics import SectorClass

SALT_START, SALT_END, CHECKSUM_START = 104, 168, 448
CHECKSUM_BYTES = 32
"""Of SHA-256, which every known tool writes; the field itself has 64 bytes."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What a header copy ought to be, and who says so. ``is_exact``: to the last byte, salt and checksum too."""

    data: bytes
    source: str
    is_exact: bool


def judge_header_parts(facts: Facts, layout: VolumeLayout, contradiction: Contradiction | None) -> list[Part]:
    """The parts of every header copy; without any header to go by, the place where one would be."""
    headers = [r for r in layout.regions if r.kind in ("binary-header", "json")]
    if layout.header is None or not headers:
        remains = [copy for copy in facts.inspection.copies if copy.binary is not None and copy.area]
        return [_remains_of(facts, copy) for copy in remains] or [_unknown_place(facts, layout.regions[0])]
    if layout.header.format == "luks1":
        return [_judge(facts, headers[0], luks1_damage(facts, layout, contradiction), _first_copy(facts))]
    size = layout.header.header_size
    parts: list[Part] = []
    for name, at in (("primary", 0), ("secondary", size)):
        copy = next((c for c in facts.inspection.copies if c.copy == name and c.offset == at), None)
        wrong = contradiction.backup if contradiction else None
        damage = copy_damage(facts, layout, name, at, size, copy, wrong)
        parts += [_judge(facts, r, damage, copy) for r in headers if at <= r.start < at + size]
    return parts


def _judge(facts: Facts, region: Region, damage: list[Damage] | None, copy: HeaderCopy | None) -> Part:
    """``damage`` is None where nothing tells which bytes are wrong."""
    inside = [d for d in damage or () if d.offset < region.end and d.end > region.start]
    is_good = copy is not None and copy.state == "ok"
    if inside:
        state, why = State.DESTROYED, "; ".join(dict.fromkeys(d.evidence for d in inside))
    elif copy is not None and is_good and (doubt := _differs_from_other(facts, copy)):
        state, why = State.SUSPECT, doubt
    elif is_good or damage is not None:
        state, why = (
            State.INTACT,
            "its checksum holds" if is_good and facts.inspection.format == "luks2" else "as it should be",
        )
    else:
        state, why = State.SUSPECT, copy.why if copy else "nothing there"
    return Part(region.kind, region.name, region.start, region.end, state, why, None, tuple(inside))


def _differs_from_other(facts: Facts, copy: HeaderCopy) -> str:
    """What makes a copy with a good checksum doubtful: the other one is newer, or says something else."""
    other = next((c for c in facts.inspection.copies if c.copy != copy.copy and c.state == "ok"), None)
    if other is None or other.header is None or copy.header is None:
        return ""
    if other.header.seqid > copy.header.seqid:
        return f"older than the other copy: sequence id {copy.header.seqid}, that has {other.header.seqid}"
    same = other.header.seqid < copy.header.seqid or (
        other.header.document == copy.header.document and other.header.uuid == copy.header.uuid
    )
    return "" if same else "its checksum holds, but it contradicts the other copy"


def _first_copy(facts: Facts) -> HeaderCopy | None:
    return facts.inspection.copies[0] if facts.inspection.format == "luks1" else None


def copy_damage(
    facts: Facts,
    layout: VolumeLayout,
    name: str,
    at: int,
    size: int,
    copy: HeaderCopy | None,
    wrong: KnownBackup | None,
) -> list[Damage] | None:
    """What is wrong with one LUKS2 copy: nothing when it is good, None when it is not but nothing says where.

    ``wrong`` is the backup that proves even a copy with a good checksum wrong, if there is one.
    """
    if copy is not None and copy.state == "ok" and wrong is None:
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
        return [Damage(at + SALT_START, CHECKSUM_START + CHECKSUM_BYTES - SALT_START, "changed", words)]
    return [
        Damage(a, b - a, looks_of(facts.start, (a, b), facts.unreadable), f"differs from {reference.source}")
        for a, b in ranges
    ]


def _without_salted(there: bytes, ranges: list[Range], at: int) -> list[Range]:
    """Without salt and checksum, which a copy made from the other one has anew; unless they are blank on the disk."""
    for first, end in ((SALT_START, SALT_END), (CHECKSUM_START, CHECKSUM_START + CHECKSUM_BYTES)):
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
                source = "the other copy" if not is_own else "what repair would make of it"
                if is_own and proposal.evidence is Evidence.CHECKSUM:
                    source = "what its checksum proves"
                return Reference(patch.data, source, is_own)
    return None


def luks1_damage(facts: Facts, layout: VolumeLayout, contradiction: Contradiction | None) -> list[Damage] | None:
    """What is wrong with the LUKS1 header: all that differs from a backup once one is known to be wrong at all; else
    what repair would change, or what the findings name."""
    backup = layout.backup or (contradiction.backup if contradiction else None)
    is_wrong = facts.inspection.is_refused or bool(facts.repair.proposals) or bool(facts.repair.left)
    if backup is None and is_wrong:
        backup = next((b for b in facts.backups if b.inspection.format == "luks1" and b.inspection.header), None)
    if backup is not None:
        source = f"differs from backup {backup.id[:12]}"
        ranges = differing_ranges(facts.start[:LUKS1_BYTES], backup.image[:LUKS1_BYTES])
        return [Damage(a, b - a, looks_of(facts.start, (a, b), facts.unreadable), source) for a, b in ranges]
    damage = []
    for proposal in facts.repair.proposals:
        for patch in proposal.patches:
            there = facts.start[patch.offset : patch.offset + len(patch.data)]
            for a, b in differing_ranges(there, patch.data, patch.offset):
                damage.append(Damage(a, b - a, looks_of(facts.start, (a, b), facts.unreadable), proposal.text))
    if not damage and facts.inspection.is_refused:
        damage = [
            Damage(f.offset, f.length, looks_of(facts.start, (f.offset, f.offset + f.length), facts.unreadable), f.text)
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


def _remains_of(facts: Facts, copy: HeaderCopy) -> Part:
    """A copy of which something is left, though neither it nor the other can be used or mended."""
    size = len(copy.area)
    damage = tuple(_by_class(facts, copy.offset, size)) if facts.inspection.format == "luks2" else ()
    name = f"{copy.copy} header"
    return Part("binary-header", name, copy.offset, copy.offset + size, State.DESTROYED, copy.why, None, damage)


def _unknown_place(facts: Facts, region: Region) -> Part:
    end = min(region.end, len(facts.start))
    # further on, random bytes may be key material and zeros the padding of a layout that nothing tells any more
    usual = (SectorClass.RANDOM, SectorClass.ZEROS)
    runs = [r for r in runs_of(facts.start[:end]) if r.offset == 0 or r.kind not in usual]
    damage = tuple(Damage(r.offset, r.length, r.kind.label, f"{r.kind.label} bytes, no header") for r in runs)
    damage = damage if len(damage) <= 16 else (Damage(0, end, "structured", "other data, no header"),)
    return Part(region.kind, region.name, 0, region.end, State.DESTROYED, "no header copy is left", None, damage)
