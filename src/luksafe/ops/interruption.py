"""A write that was interrupted must be finished or undone before anything else is done to the device."""

from __future__ import annotations

import shlex

from luksafe.device.identity import DeviceFacts
from luksafe.errors import Refused
from luksafe.ops.undo import interrupted_entry
from luksafe.ops.workspace import Workspace
from luksafe.vault.undo import UndoEntry


def interruption_words(workspace: Workspace, facts: DeviceFacts) -> str:
    """What to tell about an interrupted write to this device; empty when there is none."""
    entry = interrupted_entry(workspace, facts.target_key)
    return _words(entry, facts) if entry else ""


def require_no_interruption(workspace: Workspace, facts: DeviceFacts) -> None:
    """Raise Refused when a write to this device was interrupted."""
    entry = interrupted_entry(workspace, facts.target_key)
    if entry is not None:
        which = f"--entry {entry.id} {shlex.quote(facts.path)}"
        raise Refused(
            _words(entry, facts),
            code="interrupted-write",
            hint=f"luksafe undo {which}   (or finish it: luksafe undo --finish {which};"
            f" or leave the device as it is: luksafe undo --drop {which})",
        )


def _words(entry: UndoEntry, facts: DeviceFacts) -> str:
    return f"a write to {facts.path} was interrupted ({entry.manifest.why}, {entry.manifest.when})"
