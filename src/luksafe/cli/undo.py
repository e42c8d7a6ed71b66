"""``luksafe undo``: put back what the last write replaced."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import click

from luksafe.cli.app import EXIT_WARNINGS, App, verb
from luksafe.cli.plans import dry_run_lines, print_plan
from luksafe.cli.prompts import confirm
from luksafe.cli.restore import outcome_to_json
from luksafe.cli.terminal import echo
from luksafe.cli.text import count, table
from luksafe.device.identity import describe
from luksafe.errors import Refused
from luksafe.luks.inspection import Inspection
from luksafe.ops.restore import look_again
from luksafe.ops.undo import (
    CHANGED_FLAG,
    FOREIGN_FLAG,
    IN_USE_FLAG,
    SMALLER_FLAG,
    UndoPlan,
    drop_entry,
    note_outcome,
    plan_undo,
)
from luksafe.ops.undo_choice import entry_to_json
from luksafe.ops.write.apply import Applied, apply
from luksafe.ops.write.saving import find_entries, find_foreign_entries
from luksafe.vault.undo import UndoEntry, UndoState


@verb
@click.argument("device")
@click.option("--finish", is_flag=True, help="Finish an interrupted write instead of undoing it.")
@click.option("--entry", help="This entry, not the latest.")
@click.option("--drop", is_flag=True, help="Leave DEVICE as it is and set an interrupted write aside; writes nothing.")
@click.option("--list", "only_list", is_flag=True, help="What luksafe wrote to DEVICE.")
@click.option("--dry-run", is_flag=True, help="Stop after the plan.")
@click.option(CHANGED_FLAG, "allow_changed", is_flag=True, help="Undo although the device changed since.")
@click.option(IN_USE_FLAG, "allow_in_use", is_flag=True, help="The device is mounted, mapped or otherwise in use.")
@click.option(FOREIGN_FLAG, "allow_foreign", is_flag=True, help="Use an entry of a store that is not your own.")
@click.option(SMALLER_FLAG, "allow_smaller", is_flag=True, help="Put back what can be reached on a smaller DEVICE.")
def command(
    app: App,
    device: str,
    finish: bool,
    drop: bool,
    entry: str | None,
    only_list: bool,
    dry_run: bool,
    allow_changed: bool,
    allow_in_use: bool,
    allow_foreign: bool,
    allow_smaller: bool,
) -> int:
    """Put back, byte for byte, what the last write to DEVICE replaced.

    The last is the one whose bytes are on the device and that nothing later replaced. Where several fit, all are named.
    """
    workspace = app.workspace()
    if only_list:
        return _list(app, device)
    if drop:
        return _drop(app, device, entry)
    planned = plan_undo(workspace, Path(device), direction="finish" if finish else "undo", entry_id=entry)
    flags = {
        CHANGED_FLAG: allow_changed,
        IN_USE_FLAG: allow_in_use,
        FOREIGN_FLAG: allow_foreign,
        SMALLER_FLAG: allow_smaller,
    }
    accepted = [flag for flag, is_given in flags.items() if is_given]
    if dry_run:
        app.emit(_to_json(planned), lambda: dry_run_lines(app, planned.write, accepted))
        return Refused.exit_status if planned.write.dangers_left(accepted) else 0
    if not app.quiet and not app.json:
        print_plan(app, planned.write)
    if planned.is_needless:
        note_outcome(workspace, planned)
        app.emit({**_to_json(planned), "done": True}, lambda: echo(f"nothing to write: {device} holds these bytes"))
        return 0
    planned.write.refuse_dangers(accepted)
    confirm(app, f"Write this to {planned.write.target.path}?")
    done = apply(planned.write, workspace, allow_in_use=allow_in_use, say=app.say)
    note_outcome(workspace, planned)
    seen = look_again(Path(device))
    result = {**_to_json(planned), "done": True, **outcome_to_json(done, seen)}
    app.emit(result, lambda: _outcome(planned, done, seen, shlex.quote(device)))
    return EXIT_WARNINGS if finish and seen.is_refused else 0


def _to_json(planned: UndoPlan) -> dict[str, object]:
    return {
        "plan": planned.write.to_json(),
        "entry": planned.entry.id,
        "progress": planned.progress,
        "direction": planned.direction,
    }


def _outcome(planned: UndoPlan, done: Applied, seen: Inspection, device: str) -> Iterator[str]:
    word = "finished" if planned.direction == "finish" else "undone"
    yield f"{word}: {count(len(planned.write.writes), 'range')} written, read back, equal"
    yield f"saved as undo entry {done.saved.entry.id} in {', '.join(map(str, done.saved.places))}"
    verb = "diagnose" if seen.is_refused or seen.all_findings else "prove"
    yield f"next: luksafe {verb} {device}   (to take it back: luksafe undo --entry {done.saved.entry.id} {device})"


def _drop(app: App, device: str, entry_id: str | None) -> int:
    entry = drop_entry(app.workspace(), Path(device), entry_id)
    again = f"luksafe undo --entry {entry.id} {shlex.quote(device)}"
    app.emit(
        {"entry": entry.id, "state": UndoState.DROPPED.value, "done": True},
        lambda: echo(f"set aside: undo entry {entry.id} ({entry.manifest.why}); to undo it all the same: {again}"),
    )
    return 0


def _list(app: App, device: str) -> int:
    workspace, target_key = app.workspace(), describe(device).target_key
    listed = [(entry, _state_words(entry), "") for entry in find_entries(workspace, target_key)]
    foreign = find_foreign_entries(workspace, target_key)
    listed += [(entry, f"only in {store}, not your own", store) for entry, store in foreign]
    result = [{**entry_to_json(e), "foreign_store": store} for e, _, store in listed]
    rows = [(e.id, state, e.manifest.when, e.manifest.why) for e, state, _ in listed]
    app.emit({"entries": result}, lambda: table(rows, ("entry", "state", "when", "what")))
    return 0


def _state_words(entry: UndoEntry) -> str:
    """For people; a first copy is set aside from the beginning, and still there to be put back."""
    return "kept" if entry.is_first_copy and entry.state is UndoState.DROPPED else entry.state.value
