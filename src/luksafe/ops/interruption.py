"""A write that was interrupted must be finished or undone before anything else is done to the device."""

from __future__ import annotations

from luksafe.device.identity import DeviceFacts
from luksafe.errors import Refused
from luksafe.ops.undo import interrupted_entry
from luksafe.ops.workspace import Workspace


def interruption_words(workspace: Workspace, facts: DeviceFacts) -> str:
    """What to tell about an interrupted write to this device; empty when there is none."""
    entry = interrupted_entry(workspace, facts.target_key)
    if entry is None:
        return ""
    return f"a write to {facts.path} was interrupted ({entry.manifest.why}, {entry.manifest.when})"


def require_no_interruption(workspace: Workspace, facts: DeviceFacts) -> None:
    """Raise Refused when a write to this device was interrupted."""
    words = interruption_words(workspace, facts)
    if words:
        raise Refused(
            words,
            code="interrupted-write",
            hint=f"luksafe undo {facts.path}   (or finish it: luksafe undo --finish {facts.path})",
        )
