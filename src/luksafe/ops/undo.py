"""Undo: put back exactly what a write replaced, or finish a write that was interrupted. Through the same write path."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from luksafe.device.identity import DeviceFacts, describe
from luksafe.device.source import open_source
from luksafe.device.usage import find_uses
from luksafe.errors import NotFound, Refused, StoreError
from luksafe.ops.undo_choice import choose_entry
from luksafe.ops.workspace import Workspace
from luksafe.ops.write.plan import Danger, Phase, Write, WritePlan
from luksafe.ops.write.progress import Progress, Word, clip, progress_of, weigh
from luksafe.ops.write.saving import find_entries, find_foreign_entries, mark_everywhere, read_entry
from luksafe.reader import Reader, read_with_holes
from luksafe.vault.undo import Replacement, UndoEntry, UndoState, heads

Direction = Literal["undo", "finish"]
CHANGED_FLAG = "--allow-changed"
IN_USE_FLAG = "--allow-in-use"
FOREIGN_FLAG = "--allow-foreign-undo"
SMALLER_FLAG = "--allow-smaller"


@dataclass(frozen=True, slots=True)
class UndoPlan:
    """The write that undoes or finishes an entry. ``progress`` says how far the entry's own write had come."""

    entry: UndoEntry
    direction: Direction
    write: WritePlan
    progress: Word

    @property
    def is_needless(self) -> bool:
        """Whether the device holds these bytes already."""
        return self.write.is_needless


def interrupted_entry(workspace: Workspace, target_key: str) -> UndoEntry | None:
    """A write to a device that may have been interrupted, and that nothing followed; None when there is none.

    Of an undo that was interrupted it is the write that it was undoing: that is undone by doing it again.
    """
    entries = find_entries(workspace, target_key)
    for entry in heads(entries, entries):
        if entry.state is UndoState.PENDING:
            source = entry.manifest.facts.get("source") if entry.is_undo else None
            return next((each for each in entries if each.id == source), entry)
    return None


def plan_undo(
    workspace: Workspace, device: Path, *, direction: Direction = "undo", entry_id: str | None = None
) -> UndoPlan:
    """Plan to put back the old bytes of the latest write (or the named one), or to put its new bytes in place.

    Raises NotFound when there is nothing to undo.
    """
    facts = describe(device)
    with open_source(device) as reader:
        entry, store = _find(workspace, facts, reader, direction, entry_id)
        replacements = _read(workspace, entry, facts)
        now = [read_with_holes(reader, part.offset, len(part.old)) for part in replacements]
    progress = progress_of(replacements, now).word
    reachable = [(clip(part, len(seen)), seen) for part, seen in zip(replacements, now, strict=True) if seen]
    lost_bytes = sum(len(part.new) for part in replacements) - sum(len(seen) for seen in now)
    if lost_bytes and (direction == "finish" or not reachable):
        raise _out_of_reach(entry, facts, lost_bytes)
    dangers = [Danger("in-use", use.detail, IN_USE_FLAG) for use in find_uses(device)]
    if progress == "changed":
        dangers.append(Danger("changed-since", _changed_words(entry), CHANGED_FLAG))
    if store:
        dangers.append(Danger("foreign-undo", _foreign_words(entry, store), FOREIGN_FLAG))
    if lost_bytes:
        dangers.append(Danger("smaller-device", _smaller_words(facts, lost_bytes), SMALLER_FLAG))
    plan = WritePlan(
        purpose=direction,
        target=facts,
        phases=tuple(_phases(entry, reachable, direction)),
        dangers=tuple(dangers),
        notes=_notes(entry, progress),
        source=entry.id,
        uuid=str(entry.manifest.facts.get("uuid", "")),
    )
    return UndoPlan(entry, direction, plan, progress)


def drop_entry(workspace: Workspace, device: Path, entry_id: str | None = None) -> UndoEntry:
    """Set an interrupted write aside: the device stays as it is. The entry stays too, and can be undone by its name.

    Raises NotFound when no write was interrupted, Refused when several were.
    """
    facts = describe(device)
    entries = find_entries(workspace, facts.target_key)
    if entry_id is None:
        interrupted = [entry for entry in entries if entry.is_undo and entry.state is UndoState.PENDING]
        try:
            entry = choose_entry(entries, lambda _: Progress("changed", is_there=False), facts, "drop")
        except NotFound:
            if not interrupted:
                raise
            entry = interrupted[0]
    else:
        entry = _named(entries, facts, entry_id)
    for each in entries:
        is_attempt = each.is_undo and each.manifest.facts.get("source") == entry.id
        if each.id == entry.id or (is_attempt and each.state is UndoState.PENDING):
            mark_everywhere(each.id, facts.target_key, UndoState.DROPPED, workspace)
    return entry


def _find(
    workspace: Workspace, facts: DeviceFacts, reader: Reader, direction: Direction, entry_id: str | None
) -> tuple[UndoEntry, str]:
    """The entry, and the store that has it where that is not the user's own."""
    entries = find_entries(workspace, facts.target_key)
    if entry_id is None:
        return choose_entry(entries, partial(weigh, workspace, reader), facts, direction), ""
    if not any(entry.id == entry_id for entry in entries):
        found = find_foreign_entries(workspace, facts.target_key)
        for entry, store in found:
            if entry.id == entry_id:
                return entry, store
    return _named(entries, facts, entry_id), ""


def _named(entries: Sequence[UndoEntry], facts: DeviceFacts, entry_id: str) -> UndoEntry:
    for entry in entries:
        if entry.id == entry_id:
            return entry
    look = f"see what was written to it: luksafe undo --list {shlex.quote(facts.path)}"
    raise NotFound(f"{facts.path} has no undo entry {entry_id!r}", code="no-such-entry", hint=look)


def _read(workspace: Workspace, entry: UndoEntry, facts: DeviceFacts) -> list[Replacement]:
    try:
        return read_entry(workspace, entry)
    except StoreError as problem:
        problem.hint = f"{problem.hint}; or leave the device as it is: {drop_command(entry, facts)}"
        raise


def drop_command(entry: UndoEntry, facts: DeviceFacts) -> str:
    """The command that sets an entry aside."""
    return f"luksafe undo --drop --entry {entry.id} {shlex.quote(facts.path)}"


def _out_of_reach(entry: UndoEntry, facts: DeviceFacts, lost_bytes: int) -> Refused:
    undo = f"luksafe undo --entry {entry.id} {SMALLER_FLAG} {shlex.quote(facts.path)}"
    return Refused(
        f"{facts.path} ends at byte {facts.size_bytes} now, before {lost_bytes} bytes of that write",
        code="out-of-reach",
        hint=f"put back what can be reached: {undo}   or leave the device as it is: {drop_command(entry, facts)}",
    )


def _smaller_words(facts: DeviceFacts, lost_bytes: int) -> str:
    return f"{facts.path} ends at byte {facts.size_bytes} now: {lost_bytes} bytes lie beyond it and are not put back"


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
        if entry.is_undo and entry.state is UndoState.PENDING and entry.manifest.facts.get("source") == plan.entry.id:
            mark_everywhere(entry.id, target, UndoState.DROPPED, workspace)


_PROGRESS_WORDS = {
    "old": "none of it is on the device: it holds what was there before",
    "new": "all of it is on the device",
    "between": "it was interrupted: part of it is on the device",
    "changed": "the device changed since: it holds neither the old nor the new bytes in places",
    "gone": "the device ends before it by now",
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


def _phases(entry: UndoEntry, parts: Sequence[tuple[Replacement, bytes]], direction: Direction) -> list[Phase]:
    """The phases of the write itself: key material first, the header last, whichever way."""
    undoing = direction == "undo"
    writes = {
        part.offset: Write(part.offset, seen, part.old if undoing else part.new, f"{direction} of {entry.id}")
        for part, seen in parts
    }
    order = entry.manifest.facts.get("order")
    groups = [[offset for offset in group if offset in writes] for group in order] if isinstance(order, list) else []
    rest = sorted(set(writes) - {offset for group in groups for offset in group})
    return [
        Phase(f"part {number} of {len(groups) or 1}", tuple(writes[offset] for offset in group))
        for number, group in enumerate([*groups, rest] if rest else groups, 1)
        if group
    ]
