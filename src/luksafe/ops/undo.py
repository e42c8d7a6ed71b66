"""Undo: put back exactly what a write replaced, or finish a write that was interrupted. Through the same write path."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

from luksafe.device.identity import DeviceFacts, describe
from luksafe.device.source import open_source
from luksafe.device.usage import find_uses
from luksafe.errors import NotFound
from luksafe.ops.workspace import Workspace
from luksafe.ops.write.plan import Danger, Phase, Write, WritePlan
from luksafe.ops.write.saving import find_entries, find_foreign_entries, mark_everywhere, read_entry
from luksafe.reader import read_with_holes
from luksafe.vault.undo import Replacement, UndoEntry, UndoState

Direction = Literal["undo", "finish"]
CHANGED_FLAG = "--allow-changed"
IN_USE_FLAG = "--allow-in-use"
FOREIGN_FLAG = "--allow-foreign-undo"
_SECTOR_BYTES = 512


@dataclass(frozen=True, slots=True)
class UndoPlan:
    """The write that undoes or finishes an entry. ``progress`` says how far the entry's own write had come."""

    entry: UndoEntry
    direction: Direction
    write: WritePlan
    progress: Literal["old", "new", "between", "changed"]

    @property
    def is_needless(self) -> bool:
        """Whether the device holds these bytes already."""
        return all(write.old == write.new for write in self.write.writes)


def interrupted_entry(workspace: Workspace, target_key: str) -> UndoEntry | None:
    """The latest write to a device that may have been interrupted; None when there is none, or no vault."""
    latest = next(iter(find_entries(workspace, target_key)), None)
    return latest if latest is not None and latest.state is UndoState.PENDING else None


def plan_undo(
    workspace: Workspace, device: Path, *, direction: Direction = "undo", entry_id: str | None = None
) -> UndoPlan:
    """Plan to put back the old bytes of the latest write (or the named one), or to put its new bytes in place.

    Raises NotFound when there is nothing to undo.
    """
    facts = describe(device)
    entries = find_entries(workspace, facts.target_key)
    foreign = _named_foreign(workspace, facts, entries, entry_id)
    entry = foreign[0] if foreign else _choose(entries, facts, entry_id, direction)
    replacements = read_entry(workspace, entry)
    with open_source(device) as reader:
        now = [read_with_holes(reader, part.offset, len(part.old)) for part in replacements]
    progress = _progress(replacements, now)
    phases = _phases(entry, replacements, now, direction)
    dangers = [Danger("in-use", use.detail, IN_USE_FLAG) for use in find_uses(device)]
    if progress == "changed":
        dangers.append(Danger("changed-since", _changed_words(entry), CHANGED_FLAG))
    if foreign:
        dangers.append(Danger("foreign-undo", _foreign_words(*foreign), FOREIGN_FLAG))
    plan = WritePlan(
        purpose=direction,
        target=facts,
        phases=tuple(phases),
        dangers=tuple(dangers),
        notes=_notes(entry, progress),
        source=entry.id,
        uuid=str(entry.manifest.facts.get("uuid", "")),
    )
    return UndoPlan(entry, direction, plan, progress)


def _named_foreign(
    workspace: Workspace, facts: DeviceFacts, own: Sequence[UndoEntry], entry_id: str | None
) -> tuple[UndoEntry, str] | None:
    """The entry of this name, and its store, where only a store has it that is not the user's own."""
    if entry_id is None or any(entry.id == entry_id for entry in own):
        return None
    found = find_foreign_entries(workspace, facts.target_key)
    return next(((entry, store) for entry, store in found if entry.id == entry_id), None)


def _foreign_words(entry: UndoEntry, store: str) -> str:
    return (
        f"undo entry {entry.id} is in the store {store} only, which is not your own: "
        "whoever writes to it has chosen these bytes"
    )


def note_outcome(workspace: Workspace, plan: UndoPlan) -> None:
    """Mark the entry when its bytes are back (or all in place)."""
    target = plan.entry.manifest.target
    state = UndoState.UNDONE if plan.direction == "undo" else UndoState.DONE
    mark_everywhere(plan.entry.id, target, state, workspace)
    for entry in find_entries(workspace, target):
        # an earlier attempt at the same that was interrupted: this one has done its work
        if _is_undo(entry) and entry.state is UndoState.PENDING and entry.manifest.facts.get("source") == plan.entry.id:
            mark_everywhere(entry.id, target, UndoState.DROPPED, workspace)


_PROGRESS_WORDS = {
    "old": "none of it is on the device: it holds what was there before",
    "new": "all of it is on the device",
    "between": "it was interrupted: part of it is on the device",
    "changed": "the device changed since: it holds neither the old nor the new bytes in places",
}


def _notes(entry: UndoEntry, progress: str) -> tuple[str, ...]:
    if entry.is_first_copy:
        return (f"the first copy of a rescue, of {entry.manifest.when}: the device as it was found",)
    return (f"the write of {entry.manifest.when}: {entry.manifest.why}", _PROGRESS_WORDS[progress])


def _changed_words(entry: UndoEntry) -> str:
    if entry.is_first_copy:
        return (
            f"the device was changed after the first copy of {entry.manifest.when}; putting it back loses those changes"
        )
    return f"the header was changed after the write of {entry.manifest.when}; undoing it loses those changes"


def _choose(entries: Sequence[UndoEntry], facts: DeviceFacts, entry_id: str | None, direction: Direction) -> UndoEntry:
    if entry_id is not None:
        named = [entry for entry in entries if entry.id == entry_id]
    else:
        named = [e for e in entries if not _is_undo(e) and e.state in (UndoState.PENDING, UndoState.DONE)]
    if named:
        return named[0]
    look = f"see what was written to it: luksafe undo --list {shlex.quote(facts.path)}"
    if entry_id is not None:
        raise NotFound(f"{facts.path} has no undo entry {entry_id!r}", code="no-such-entry", hint=look)
    hint = look if entries else "its bytes were never replaced by luksafe"
    raise NotFound(f"there is nothing to {direction} on {facts.path}", code="nothing-to-undo", hint=hint)


def _is_undo(entry: UndoEntry) -> bool:
    """Whether the entry is itself an undo or a finish: what those began is done by doing them again."""
    return entry.manifest.facts.get("purpose") in ("undo", "finish")


def _progress(parts: Sequence[Replacement], now: Sequence[bytes]) -> Literal["old", "new", "between", "changed"]:
    if all(seen == part.new for part, seen in zip(parts, now, strict=True)):
        return "new"
    if all(seen == part.old for part, seen in zip(parts, now, strict=True)):
        return "old"
    if all(_is_partly_written(part, seen) for part, seen in zip(parts, now, strict=True)):
        return "between"
    return "changed"


def _is_partly_written(part: Replacement, seen: bytes) -> bool:
    """Whether each sector is the old or the new one, or torn: the one in front and the other behind."""
    first = -part.offset % _SECTOR_BYTES
    bounds = [0, *range(first or _SECTOR_BYTES, len(seen), _SECTOR_BYTES), len(seen)]
    for start, end in pairwise(bounds):
        sector, old, new = (whole[start:end] for whole in (seen, part.old, part.new))
        if not (_is_torn(sector, new, old) or _is_torn(sector, old, new)):
            return False
    return True


def _is_torn(sector: bytes, front: bytes, back: bytes) -> bool:
    length = next((at for at, (seen, byte) in enumerate(zip(sector, front, strict=True)) if seen != byte), len(sector))
    return sector[length:] == back[length:]


def _phases(entry: UndoEntry, parts: Sequence[Replacement], now: Sequence[bytes], direction: Direction) -> list[Phase]:
    """The phases of the write itself: key material first, the header last, whichever way."""
    undoing = direction == "undo"
    writes = {
        part.offset: Write(part.offset, seen, part.old if undoing else part.new, f"{direction} of {entry.id}")
        for part, seen in zip(parts, now, strict=True)
    }
    order = entry.manifest.facts.get("order")
    groups = [[offset for offset in group if offset in writes] for group in order] if isinstance(order, list) else []
    rest = sorted(set(writes) - {offset for group in groups for offset in group})
    return [
        Phase(f"part {number} of {len(groups) or 1}", tuple(writes[offset] for offset in group))
        for number, group in enumerate([*groups, rest] if rest else groups, 1)
        if group
    ]
