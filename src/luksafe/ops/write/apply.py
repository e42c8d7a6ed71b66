"""Carry out a plan: save, write phase by phase, sync, read back from the medium, compare. Nothing else writes."""

from __future__ import annotations

import shlex
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

    Raises Busy or Refused before anything is written; WriteFailed, which says what was written and how to undo, after.
    """
    with open_for_writing(plan.target.path, plan.target, allow_in_use=allow_in_use) as device:
        _require_unchanged(device, plan.writes)
        saved = save_everywhere(plan, workspace)
        say(f"saved what is there now: {', '.join(map(str, saved.places))}")
        synced: list[str] = []
        try:
            _require_room(device, plan)
            read_back = _write(device, plan, synced, say)
        except (OSError, LuksafeError) as problem:
            if isinstance(problem, Refused) and not device.written_bytes:
                _mark(saved, plan, UndoState.UNDONE, workspace)
                raise
            raise _failure(device, plan, saved, synced, getattr(problem, "strerror", "") or str(problem)) from problem
        except KeyboardInterrupt:
            failure = _failure(device, plan, saved, synced, "it was interrupted")
            workspace.warn(f"{failure}; {failure.hint}")
            raise
    _mark(saved, plan, UndoState.DONE, workspace)
    return Applied(saved, plan.size_bytes, read_back)


def _mark(saved: Saved, plan: WritePlan, state: UndoState, workspace: Workspace) -> None:
    """Note what became of the write. Where that fails the write counts as interrupted, and undo looks at the device."""
    try:
        mark_everywhere(saved.entry.id, plan.target.target_key, state, workspace)
    except (OSError, LuksafeError) as problem:
        workspace.warn(f"that undo entry {saved.entry.id} is {state.value} could not be noted: {problem}")


def _require_room(device: WritableDevice, plan: WritePlan) -> None:
    for write in plan.writes:
        device.require_room(write.offset, len(write.new))


def _require_unchanged(device: WritableDevice, writes: Sequence[Write]) -> None:
    """The plan was made, and confirmed, for these bytes (zeros where they cannot be read)."""
    for write in writes:
        if read_with_holes(device, write.offset, len(write.old)) != write.old:
            raise Refused(
                f"{device.path} changed since the plan was made: {write.what} at byte {write.offset}",
                code="changed-since-plan",
                hint="nothing was written; run the command again to see the new plan",
            )


def _write(device: WritableDevice, plan: WritePlan, synced: list[str], say: Say) -> str:
    """Writes all phases, and notes the name of each in ``synced``; gives how it was read back."""
    for phase in plan.phases:
        for write in phase.writes:
            device.write_at(write.offset, write.new)
        device.sync()
        synced.append(phase.name)
        say(f"written and synced: {phase.name}")
    method = ""
    for write in plan.writes:
        seen = device.read_uncached(write.offset, len(write.new))
        if seen.data != write.new:
            raise OSError(None, f"{write.what} at byte {write.offset} reads back differently: the disk may be failing")
        method = seen.method
    return method


def _failure(device: WritableDevice, plan: WritePlan, saved: Saved, synced: Sequence[str], why: str) -> WriteFailed:
    path = plan.target.path
    name = shlex.quote(path)
    size = device.size_now()
    undo = f"luksafe undo {name}   (or, when the disk works again: luksafe undo --finish {name})"
    if any(write.end > size for write in plan.writes):
        undo = f"luksafe undo --allow-smaller {name}   (or leave it as it is: luksafe undo --drop {name})"
    return WriteFailed(
        f"the write to {path} failed half way: {why}. {_account(device, plan, synced)}. "
        f"What was there is saved in {saved.places[0]}",
        hint=undo,
    )


def _account(device: WritableDevice, plan: WritePlan, synced: Sequence[str]) -> str:
    """What is on the device of the write, in words."""
    if not device.written_bytes:
        return "As far as the system tells, nothing was written"
    names = [phase.name for phase in plan.phases]
    begun, left = names[len(synced) : len(synced) + 1], names[len(synced) + 1 :]
    parts = [f"written: {', '.join(synced)}" if synced else "", f"written in part: {begun[0]}" if begun else ""]
    parts += [f"not written: {', '.join(left)}" if left else ""]
    account = "; ".join(part for part in parts if part)
    return account[0].upper() + account[1:]
