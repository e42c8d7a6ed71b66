"""``luksafe restore``: write a backup to a device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from luksafe.cli.app import EXIT_WARNINGS, App, verb
from luksafe.cli.dangers import danger_options
from luksafe.cli.plans import dry_run_lines, print_plan
from luksafe.cli.prompts import confirm
from luksafe.cli.terminal import echo
from luksafe.cli.text import human_size
from luksafe.errors import Refused
from luksafe.luks.inspection import Inspection
from luksafe.ops.leftovers import REMOVE_GPT
from luksafe.ops.restore import look_again, plan
from luksafe.ops.restore_plan import FLAG_HELP
from luksafe.ops.write.apply import Applied, apply
from luksafe.ops.write.plan import WritePlan


@verb
@click.argument("backup")
@click.argument("device")
@click.option("--dry-run", is_flag=True, help="Stop after the plan.")
@click.option(REMOVE_GPT, is_flag=True, help="Take out a backup GPT at the end too: tools remake the main one of it.")
@danger_options(FLAG_HELP, "Overwrite this foreign signature (ext4, vfat …).")
def command(app: App, backup: str, device: str, dry_run: bool, remove_backup_gpt: bool, accepted: list[str]) -> int:
    """Write BACKUP (of the vault, or a header file) to DEVICE: plan, confirm, save, write, read back, verify.

    What is on the device now is saved in two places first; 'luksafe undo DEVICE' puts it back.
    """
    workspace = app.workspace()
    planned = plan(workspace, backup, device, remove_backup_gpt=remove_backup_gpt)
    if dry_run:
        app.emit({"plan": planned.to_json()}, lambda: dry_run_lines(app, planned, accepted))
        return Refused.exit_status if planned.dangers_left(accepted) else 0
    if not app.quiet and not app.json:
        print_plan(app, planned)
    planned.refuse_dangers(accepted)
    if planned.is_needless:
        return _nothing_to_write(app, planned, device)
    confirm(app, f"Write this to {planned.target.path}?")
    done = apply(planned, workspace, allow_in_use="--allow-in-use" in accepted, say=app.say)
    seen = look_again(Path(device))
    app.emit(
        {"plan": planned.to_json(), "done": True, **outcome_to_json(done, seen)},
        lambda: _print(device, done, seen),
    )
    return EXIT_WARNINGS if seen.is_refused or seen.all_findings else 0


def _nothing_to_write(app: App, planned: WritePlan, device: str) -> int:
    """The device holds these bytes: no write, and no undo entry, which would put the same bytes back."""
    seen = look_again(Path(device))
    result = {"done": True, "bytes": 0, "undo": None, "valid": not seen.is_refused}
    findings = [finding.text for finding in seen.all_findings]
    app.emit(
        {"plan": planned.to_json(), **result, "saved_in": [], "read_back": "", "findings": findings},
        lambda: echo(f"nothing to write: {device} holds these bytes"),
    )
    return EXIT_WARNINGS if seen.is_refused or seen.all_findings else 0


def outcome_to_json(done: Applied, seen: Inspection) -> dict[str, Any]:
    """What was written and what is there now."""
    return {
        "bytes": done.size_bytes,
        "undo": done.saved.entry.id,
        "saved_in": [str(place) for place in done.saved.places],
        "read_back": done.read_back,
        "valid": not seen.is_refused,
        "findings": [finding.text for finding in seen.all_findings],
    }


def _print(device: str, done: Applied, seen: Inspection) -> None:
    how = "past the page cache" if done.read_back == "direct" else "after dropping cached pages"
    echo(f"restored: {human_size(done.size_bytes)} written, read back {how}, equal")
    if seen.is_refused or seen.all_findings:
        state = "not valid" if seen.is_refused else "damaged in part"
        echo(f"warning: the header on the device is {state}: " + "; ".join(f.text for f in seen.all_findings))
    echo(f"saved as undo entry {done.saved.entry.id} in {', '.join(map(str, done.saved.places))}")
    echo(f"next: luksafe prove {device}   (to take it back: luksafe undo {device})")
