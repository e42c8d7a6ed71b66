"""Which of the writes to a device an undo is about: told by what the device holds, never by a number or a date."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence

from luksafe.device.identity import DeviceFacts
from luksafe.errors import NotFound, Refused
from luksafe.ops.write.progress import Progress
from luksafe.vault.undo import UndoEntry, UndoState, heads

Weigh = Callable[[UndoEntry], Progress]


def choose_entry(entries: Sequence[UndoEntry], weigh: Weigh, facts: DeviceFacts, purpose: str) -> UndoEntry:
    """The one write that is on the device and that nothing later replaced, or that was interrupted.

    ``entries`` are all of the device. Raises NotFound when there is none; Refused, which names each, when several fit.
    """
    fitting = _fitting(entries, weigh, purpose)
    if len(fitting) == 1:
        return fitting[0]
    device = shlex.quote(facts.path)
    if not fitting:
        look = f"see what was written to it: luksafe undo --list {device}"
        hint = look if entries else "its bytes were never replaced by luksafe"
        raise NotFound(f"there is nothing to {purpose} on {facts.path}", code="nothing-to-undo", hint=hint)
    option = {"undo": "", "finish": "--finish ", "drop": "--drop "}[purpose]
    what = "; ".join(f"{entry.id} ({entry.manifest.why}, {entry.manifest.when})" for entry in fitting)
    commands = "   or   ".join(f"luksafe undo {option}--entry {entry.id} {device}" for entry in fitting)
    refused = Refused(
        f"{len(fitting)} writes to {facts.path} fit what it holds, and nothing tells which was the last: {what}",
        code="several-undo-entries",
        hint=f"look at each with --dry-run, then choose: {commands}",
    )
    refused.result = {"entries": [entry_to_json(entry) for entry in fitting]}
    raise refused


def entry_to_json(entry: UndoEntry) -> dict[str, object]:
    """An entry as ``undo --list --json`` prints it."""
    state, manifest = entry.state.value, entry.manifest
    return {"id": entry.id, "state": state, "when": manifest.when, "why": manifest.why, "follows": list(entry.follows)}


def _fitting(entries: Sequence[UndoEntry], weigh: Weigh, purpose: str) -> list[UndoEntry]:
    """The candidates of the first kind of which there are any."""
    candidates = [e for e in entries if not e.is_undo and e.state in (UndoState.PENDING, UndoState.DONE)]
    pending = [entry for entry in candidates if entry.state is UndoState.PENDING]
    if purpose == "drop":
        return heads(pending, entries)
    weighed = {entry.id: weigh(entry) for entry in candidates}
    there = [entry for entry in candidates if weighed[entry.id].is_there]
    if purpose == "finish":
        begun = pending or [entry for entry in candidates if weighed[entry.id].word == "between"]
        return heads(begun or there or candidates, entries)
    return heads([entry for entry in candidates if entry in pending or entry in there] or candidates, entries)
