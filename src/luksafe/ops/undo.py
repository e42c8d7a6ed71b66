"""Undo: put back exactly what a write replaced, or finish a write that was interrupted. Through the same write path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from luksafe.device.identity import DeviceFacts, describe
from luksafe.device.source import open_source
from luksafe.errors import NotFound, StoreError
from luksafe.ops.workspace import Workspace
from luksafe.ops.write.plan import Danger, Phase, Write, WritePlan
from luksafe.ops.write.saving import find_entries, mark_everywhere, read_entry
from luksafe.reader import Reader
from luksafe.vault.undo import Replacement, UndoEntry, UndoState

Direction = Literal["undo", "finish"]
CHANGED_FLAG = "--allow-changed"
SECTOR_BYTES = 512


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


def interrupted_entry(workspace: Workspace, facts: DeviceFacts) -> UndoEntry | None:
    """The latest write to a device, if it was interrupted half way; None too where there is no vault.

    One that was never noted as done, but whose bytes are all in place (or none of them), did no harm.
    """
    try:
        latest = next(iter(find_entries(workspace, facts.target_key)), None)
    except NotFound:
        return None
    if latest is None or latest.state is not UndoState.PENDING:
        return None
    try:
        parts, now = _compare_with_device(workspace, latest, Path(facts.path))
    except (StoreError, OSError):
        return latest  # it cannot be told that it did no harm
    return latest if _progress(parts, now) in ("between", "changed") else None


def plan_undo(
    workspace: Workspace, device: Path, *, direction: Direction = "undo", entry_id: str | None = None
) -> UndoPlan:
    """Plan to put back the old bytes of the latest write (or the named one), or to put its new bytes in place.

    Raises NotFound when there is nothing to undo.
    """
    facts = describe(device)
    entry, replacements, now = _choose(workspace, facts, entry_id, direction)
    progress = _progress(replacements, now)
    phases = _phases(entry, replacements, now, direction)
    dangers = [Danger("changed-since", _changed_words(entry), CHANGED_FLAG)] if progress == "changed" else []
    plan = WritePlan(
        purpose=direction,
        target=facts,
        phases=tuple(phases),
        dangers=tuple(dangers),
        notes=(f"the write of {entry.manifest.when}: {entry.manifest.why}", _PROGRESS_WORDS[progress]),
        source=entry.id,
        uuid=str(entry.manifest.facts.get("uuid", "")),
    )
    return UndoPlan(entry, direction, plan, progress)


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


def _changed_words(entry: UndoEntry) -> str:
    return f"the header was changed after the write of {entry.manifest.when}; undoing it loses those changes"


def _choose(
    workspace: Workspace, facts: DeviceFacts, entry_id: str | None, direction: Direction
) -> tuple[UndoEntry, list[Replacement], list[bytes]]:
    """The entry to work on, its contents, and what the device holds in their place."""
    entries = find_entries(workspace, facts.target_key)
    for entry in entries:
        if entry.id != entry_id and (entry_id or _is_undo(entry) or entry.state not in _UNDOABLE):
            continue
        parts, now = _compare_with_device(workspace, entry, Path(facts.path))
        # a write that died before its first byte is nothing to undo: the one before it is meant
        never_begun = entry.state is UndoState.PENDING and _progress(parts, now) == "old"
        if entry_id or direction == "finish" or not never_begun:
            return entry, parts, now
    hint = f"see what was written to it: luksafe undo {facts.path} --list" if entries else ""
    raise NotFound(f"there is nothing to {direction} on {facts.path}", code="nothing-to-undo", hint=hint)


_UNDOABLE = (UndoState.PENDING, UndoState.DONE)


def _compare_with_device(workspace: Workspace, entry: UndoEntry, device: Path) -> tuple[list[Replacement], list[bytes]]:
    parts = read_entry(workspace, entry)
    with open_source(device) as reader:
        return parts, [_read(reader, part) for part in parts]


def _is_undo(entry: UndoEntry) -> bool:
    """Whether the entry is itself an undo or a finish: what those began is done by doing them again."""
    return entry.manifest.facts.get("purpose") in ("undo", "finish")


def _read(reader: Reader, part: Replacement) -> bytes:
    try:
        return reader.read_at(part.offset, len(part.old))
    except OSError:
        return bytes(len(part.old))


def _progress(parts: Sequence[Replacement], now: Sequence[bytes]) -> Literal["old", "new", "between", "changed"]:
    if all(seen == part.new for part, seen in zip(parts, now, strict=True)):
        return "new"
    if all(seen == part.old for part, seen in zip(parts, now, strict=True)):
        return "old"
    torn = all(_is_torn(seen, part) for part, seen in zip(parts, now, strict=True))
    return "between" if torn else "changed"


def _is_torn(seen: bytes, part: Replacement) -> bool:
    """Whether every sector is old, new, or begun with the new bytes and not ended: what a dying write leaves."""
    for at in range(0, len(seen), SECTOR_BYTES):
        now, old, new = (data[at : at + SECTOR_BYTES] for data in (seen, part.old, part.new))
        if now in (old, new):
            continue
        begun = next(place for place, byte in enumerate(now) if byte != new[place])
        if now[begun:] != old[begun:]:
            return False
    return True


def _phases(entry: UndoEntry, parts: Sequence[Replacement], now: Sequence[bytes], direction: Direction) -> list[Phase]:
    """The phases of the write itself: key material first, the header last, whichever way."""
    undoing = direction == "undo"
    writes = {
        part.offset: Write(part.offset, seen, part.old if undoing else part.new, f"{direction} of {entry.id}")
        for part, seen in zip(parts, now, strict=True)
    }
    order = entry.manifest.facts.get("order")
    listed = [group for group in order if isinstance(group, list)] if isinstance(order, list) else []
    groups = [[at for at in group if isinstance(at, int) and at in writes] for group in listed]
    rest = sorted(set(writes) - {offset for group in groups for offset in group})
    return [
        Phase(f"part {number} of {len(groups) or 1}", tuple(writes[offset] for offset in group))
        for number, group in enumerate([*groups, rest] if rest else groups, 1)
        if group
    ]
