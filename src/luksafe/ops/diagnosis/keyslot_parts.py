"""Keyslot areas: damaged, or not? A backup that was seen to open answers for sure, all else with a stated chance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from luksafe.luks.areas import Region
from luksafe.luks.compare import keyslot_fingerprint
from luksafe.luks.key_material import material_range
from luksafe.luks.model import Header, Keyslot
from luksafe.luks.weaknesses import is_in_the_clear
from luksafe.ops.diagnosis.bytes_compare import differing_ranges, looks_of, not_random
from luksafe.ops.diagnosis.facts import Facts
from luksafe.ops.diagnosis.known_backups import KnownBackup
from luksafe.ops.diagnosis.layout import VolumeLayout
from luksafe.ops.diagnosis.model import CERTAIN, LIKELY, Culprit, Damage, KeyslotState, Part, State

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
            parts.append(
                Part(
                    region.kind, region.name, region.start, region.end, State.INACTIVE, why, region.keyslot, (), CERTAIN
                )
            )
    return parts


def states_of(parts: Sequence[Part], header: Header | None) -> list[KeyslotState]:
    """The keyslots of the header with their states, those without an area of key material as unknown."""
    states = [_state(part) for part in parts if part.keyslot is not None]
    seen = {state.slot for state in states}
    rest = [k for k in header.keyslots.values() if k.id not in seen] if header else []
    states += [KeyslotState(k.id, State.INTACT, LIKELY, f"of type {k.type}: it holds no key") for k in rest]
    return sorted(states, key=lambda state: state.slot)


def _state(part: Part) -> KeyslotState:
    return KeyslotState(part.keyslot if part.keyslot is not None else -1, part.state, part.sure, part.why)


def _judge(facts: Facts, header: Header, keyslot: Keyslot, region: Region, culprits: Sequence[Culprit]) -> Part:
    found = _judge_material(facts, keyslot, culprits)
    place = (region.kind, region.name, region.start, region.end)
    return Part(*place, found.state, found.why, keyslot.id, tuple(found.damage), found.sure)


@dataclass(frozen=True, slots=True)
class _Judged:
    state: State
    sure: str
    why: str
    damage: Sequence[Damage] = ()


def _judge_material(facts: Facts, keyslot: Keyslot, culprits: Sequence[Culprit]) -> _Judged:
    material = material_range(keyslot)
    if material is None:
        return _Judged(State.INTACT, LIKELY, f"a keyslot of type {keyslot.type}, which holds no key material")
    start, end = material
    if end > facts.size_bytes:
        missing = Damage(max(start, facts.size_bytes), end - max(start, facts.size_bytes), "missing", "behind the end")
        why = f"the device ends at byte {facts.size_bytes}, in or before it"
        return _Judged(State.DESTROYED, CERTAIN, why, [missing])
    if facts.attempt is not None and facts.attempt.keyslot == keyslot.id:
        return _Judged(State.INTACT, CERTAIN, "the key that was given opens it")
    against = [_against(facts, backup, wanted, keyslot) for backup, wanted in _in_backups(facts.backups, keyslot)]
    # what was seen to open speaks first; of the others, one that differs: no other enrolment has this salt
    against.sort(key=lambda found: (found.sure != CERTAIN, found.state is State.INTACT))
    if against and (against[0].sure == CERTAIN or against[0].state is State.DESTROYED):
        return against[0]
    damage = not_random(facts.start, material, facts.unreadable)
    if damage and not is_in_the_clear(keyslot):
        return _Judged(State.DESTROYED, CERTAIN, _words(damage), damage)
    if against:
        return against[0]
    writer = next((c for c in culprits if _wrote_over(c, material)), None)
    if writer is not None:
        state = State.DESTROYED if writer.name in RANDOM_WRITERS else State.SUSPECT
        sure = CERTAIN if state is State.DESTROYED else LIKELY
        return _Judged(state, sure, f"{writer.name} wrote there as well, though it still looks random")
    return _Judged(State.INTACT, LIKELY, f"every sector looks random, as key material does; {UNSEEN}")


def _wrote_over(culprit: Culprit, material: tuple[int, int]) -> bool:
    return any(
        hit.certain and hit.offset < material[1] and material[0] < hit.offset + hit.length for hit in culprit.hits
    )


def _in_backups(backups: Sequence[KnownBackup], keyslot: Keyslot) -> Iterator[tuple[KnownBackup, bytes]]:
    """The key material that the backups have of the very same enrolment (the salt tells)."""
    for backup in backups:
        header = backup.inspection.header
        stored = header.keyslots.get(keyslot.id) if header else None
        if stored is None or keyslot_fingerprint(stored) != keyslot_fingerprint(keyslot):
            continue
        material = material_range(stored)
        if material is not None and material == material_range(keyslot) and _is_kept(backup, material):
            yield backup, backup.image[material[0] : material[1]]


def _is_kept(backup: KnownBackup, material: tuple[int, int]) -> bool:
    return any(offset <= material[0] and material[1] <= offset + length for offset, length in backup.kept)


def _against(facts: Facts, backup: KnownBackup, wanted: bytes, keyslot: Keyslot) -> _Judged:
    """What one backup says; for sure only if this keyslot of it was seen to open: another may itself be damaged."""
    start, end = material_range(keyslot) or (0, 0)
    name, is_proven = f"backup {backup.id[:12]}", keyslot.id in backup.proven
    ranges = differing_ranges(facts.start[start:end], wanted, start)
    if not ranges:
        doubt = "" if is_proven else ", which was never seen to open: made after a damage it would be the same too"
        return _Judged(State.INTACT, CERTAIN if is_proven else LIKELY, f"the same as in {name}, byte for byte{doubt}")
    source = f"differs from {name}" + ("" if is_proven else ", which was never seen to open")
    damage = [Damage(a, b - a, looks_of(facts.start, (a, b), facts.unreadable), source) for a, b in ranges]
    is_sure = is_proven or not (is_in_the_clear(keyslot) or not not_random(facts.start, (start, end), facts.unreadable))
    return _Judged(State.DESTROYED, CERTAIN if is_sure else LIKELY, _words(damage), damage)


def _words(damage: Sequence[Damage]) -> str:
    total, first = sum(d.length for d in damage), damage[0]
    looks = ", ".join(dict.fromkeys(d.looks for d in damage))
    return f"{total} bytes are not key material ({looks}), from byte {first.offset} on: {first.evidence}"
