"""Carry out a plan: save, write phase by phase, sync, read back from the medium, compare. Nothing else writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from luksafe.device.exclusive import WritableDevice, open_for_writing
from luksafe.errors import LuksafeError, Refused
from luksafe.ops.workspace import Workspace
from luksafe.ops.write.plan import Write, WritePlan
from luksafe.ops.write.saving import Saved, mark_everywhere, save_everywhere
from luksafe.reader import read_with_holes
from luksafe.vault.undo import UndoState

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done: the undo entry and where it stands, how many bytes, how they were read back."""

    saved: Saved
    size_bytes: int
    read_back: str


class WriteFailed(LuksafeError):
    """The write began and did not end; the undo entry has both the old and the new bytes."""

    code = "write-failed"


def apply(plan: WritePlan, workspace: Workspace, *, allow_in_use: bool = False, say: Say = lambda _: None) -> Applied:
    """Write what the plan says and prove that it is there. The dangers must have been accepted before.

    Raises Busy or Refused before anything is written; WriteFailed, which says how to undo, after.
    """
    with open_for_writing(plan.target.path, plan.target, allow_in_use=allow_in_use) as device:
        _require_unchanged(device, plan.writes)
        saved = save_everywhere(plan, workspace)
        say(f"saved what is there now: {', '.join(map(str, saved.places))}")
        try:
            read_back = _write(device, plan, say)
        except OSError as problem:
            raise _failure(plan, saved, problem.strerror or str(problem)) from problem
    mark_everywhere(saved.entry.id, plan.target.target_key, UndoState.DONE, workspace)
    return Applied(saved, plan.size_bytes, read_back)


def _require_unchanged(device: WritableDevice, writes: Sequence[Write]) -> None:
    """The plan was made, and confirmed, for these bytes (zeros where they cannot be read)."""
    for write in writes:
        if read_with_holes(device, write.offset, len(write.old)) != write.old:
            raise Refused(
                f"{device.path} changed since the plan was made: {write.what} at byte {write.offset}",
                code="changed-since-plan",
                hint="nothing was written; run the command again to see the new plan",
            )


def _write(device: WritableDevice, plan: WritePlan, say: Say) -> str:
    for phase in plan.phases:
        for write in phase.writes:
            device.write_at(write.offset, write.new)
        device.sync()
        say(f"written and synced: {phase.name}")
    method = ""
    for write in plan.writes:
        seen = device.read_uncached(write.offset, len(write.new))
        if seen.data != write.new:
            raise OSError(None, f"{write.what} at byte {write.offset} reads back differently: the disk may be failing")
        method = seen.method
    return method


def _failure(plan: WritePlan, saved: Saved, why: str) -> WriteFailed:
    path = plan.target.path
    return WriteFailed(
        f"the write to {path} failed half way: {why}. What was there is saved in {saved.places[0]}",
        hint=f"luksafe undo {path}   (or, when the disk works again: luksafe undo --finish {path})",
    )
