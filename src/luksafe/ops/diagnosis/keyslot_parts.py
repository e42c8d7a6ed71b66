"""Keyslot areas: damaged, or not? A backup answers for sure, statistics with a stated chance."""

from __future__ import annotations

from collections.abc import Sequence

from luksafe.luks.areas import Region
from luksafe.luks.compare import keyslot_fingerprint
from luksafe.luks.key_material import material_range
from luksafe.luks.model import Header, Keyslot
from luksafe.ops.diagnosis.bytes_compare import differing_ranges, looks_of, not_random
from luksafe.ops.diagnosis.facts import Facts
from luksafe.ops.diagnosis.known_backups import KnownBackup
from luksafe.ops.diagnosis.layout import VolumeLayout
from luksafe.ops.diagnosis.model import Culprit, Damage, KeyslotState, Part, State
from luksafe.ops.keyslot_health import is_area_clear

CERTAIN, LIKELY = "certain", "likely"
PROVEN = ("the same as in backup", "the key that was given opens it")
RANDOM_WRITERS = frozenset({"crypto_LUKS", "squashfs", "erofs", "squashfs3"})
"""What these wrote looks as random as key material, so that statistics do not see it."""
UNSEEN = (
    "statistics see a sector of zeros, text or structures, not a change of a few bytes: only a backup or a passphrase"
    " proves it whole"
)


def judge_keyslot_parts(facts: Facts, layout: VolumeLayout, culprits: Sequence[Culprit]) -> list[Part]:
    """A part for every region that belongs to a keyslot, in use or not."""
    parts = []
    for region in layout.regions:
        if region.kind == "keyslot" and region.keyslot is not None and layout.header is not None:
            parts.append(_judge(facts, layout.header, layout.header.keyslots[region.keyslot], region, culprits))
        elif region.kind == "inactive-keyslot":
            why = "holds no key"
            parts.append(Part(region.kind, region.name, region.start, region.end, State.INACTIVE, why, region.keyslot))
    return parts


def states_of(parts: Sequence[Part], header: Header | None) -> list[KeyslotState]:
    """The keyslots of the header with their states, those without an area of key material as unknown."""
    states = [_state(part) for part in parts if part.keyslot is not None]
    seen = {state.slot for state in states}
    rest = [k for k in header.keyslots.values() if k.id not in seen] if header else []
    states += [KeyslotState(k.id, State.INTACT, LIKELY, f"of type {k.type}: it holds no key") for k in rest]
    return sorted(states, key=lambda state: state.slot)


def _state(part: Part) -> KeyslotState:
    slot = part.keyslot if part.keyslot is not None else -1
    is_sure = part.state in (State.DESTROYED, State.INACTIVE) or part.why.startswith(PROVEN)
    return KeyslotState(slot, part.state, CERTAIN if is_sure else LIKELY, part.why)


def _judge(facts: Facts, header: Header, keyslot: Keyslot, region: Region, culprits: Sequence[Culprit]) -> Part:
    state, why, damage = _judge_material(facts, header, keyslot, culprits)
    return Part(region.kind, region.name, region.start, region.end, state, why, keyslot.id, tuple(damage))


def _judge_material(
    facts: Facts, header: Header, keyslot: Keyslot, culprits: Sequence[Culprit]
) -> tuple[State, str, list[Damage]]:
    material = material_range(keyslot)
    if material is None:
        return State.INTACT, f"a keyslot of type {keyslot.type}, which holds no key material", []
    start, end = material
    if end > facts.size_bytes:
        missing = Damage(max(start, facts.size_bytes), end - max(start, facts.size_bytes), "missing", "behind the end")
        return State.DESTROYED, f"the device ends at byte {facts.size_bytes}, in or before it", [missing]
    if facts.attempt is not None and facts.attempt.keyslot == keyslot.id:
        return State.INTACT, "the key that was given opens it", []
    # a backup that was seen to open speaks first: another may have been made of damaged key material
    for backup in sorted(facts.backups, key=lambda known: keyslot.id not in known.proven):
        if (same := _in_backup(backup, keyslot)) is not None:
            return _against(facts, backup, same, material)
    damage = not_random(facts.start, material, facts.unreadable)
    if damage and not is_area_clear(keyslot):
        return State.DESTROYED, _words(damage), damage
    writer = next((c for c in culprits if _wrote_over(c, material)), None)
    if writer is not None:
        state = State.DESTROYED if writer.name in RANDOM_WRITERS else State.SUSPECT
        return state, f"{writer.name} wrote there as well, though it still looks random", []
    return State.INTACT, f"every sector looks random, as key material does; {UNSEEN}", []


def _wrote_over(culprit: Culprit, material: tuple[int, int]) -> bool:
    return any(
        hit.certain and hit.offset < material[1] and material[0] < hit.offset + hit.length for hit in culprit.hits
    )


def _in_backup(backup: KnownBackup, keyslot: Keyslot) -> bytes | None:
    """The key material that a backup has of the very same enrolment (the salt tells)."""
    header = backup.inspection.header
    stored = header.keyslots.get(keyslot.id) if header else None
    if stored is None or keyslot_fingerprint(stored) != keyslot_fingerprint(keyslot):
        return None
    material = material_range(stored)
    if material != material_range(keyslot) or material is None or not _is_kept(backup, material):
        return None
    return backup.image[material[0] : material[1]]


def _is_kept(backup: KnownBackup, material: tuple[int, int]) -> bool:
    return any(offset <= material[0] and material[1] <= offset + length for offset, length in backup.kept)


def _against(
    facts: Facts, backup: KnownBackup, wanted: bytes, material: tuple[int, int]
) -> tuple[State, str, list[Damage]]:
    ranges = differing_ranges(facts.start[material[0] : material[1]], wanted, material[0])
    if not ranges:
        return State.INTACT, f"the same as in backup {backup.id[:12]}, byte for byte", []
    source = f"differs from backup {backup.id[:12]}"
    damage = [Damage(a, b - a, looks_of(facts.start, (a, b), facts.unreadable), source) for a, b in ranges]
    return State.DESTROYED, _words(damage), damage


def _words(damage: Sequence[Damage]) -> str:
    total, first = sum(d.length for d in damage), damage[0]
    looks = ", ".join(dict.fromkeys(d.looks for d in damage))
    return f"{total} bytes are not key material ({looks}), from byte {first.offset} on: {first.evidence}"
