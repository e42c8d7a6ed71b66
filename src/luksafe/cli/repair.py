"""``luksafe repair``: rewrite damaged metadata from what survives."""

from __future__ import annotations

import shlex
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Literal, Self

import click

from luksafe.cli.app import EXIT_NEGATIVE, EXIT_WARNINGS, App, verb
from luksafe.cli.dangers import danger_options
from luksafe.cli.keys import KeyOptions, key_options
from luksafe.cli.plans import dry_run_lines, print_plan
from luksafe.cli.prompts import confirm, has_terminal
from luksafe.cli.restore import outcome_to_json
from luksafe.cli.terminal import REDRAW, echo, shown
from luksafe.cli.text import human_size
from luksafe.errors import Refused
from luksafe.luks.inspection import Inspection
from luksafe.luks.repair.effort import Effort
from luksafe.ops.keyslot_health import destroyed_words
from luksafe.ops.leftovers import LUKS, REMOVE_GPT
from luksafe.ops.repair import FLAG_HELP, RepairPlan, RepairRequest, plan_repair
from luksafe.ops.restore import look_again
from luksafe.ops.workspace import Workspace
from luksafe.ops.write.apply import Applied, apply
from luksafe.ops.write.plan import WritePlan

DEFAULT_SECONDS = 600
KEYSLOT_SECONDS = 86400
_REDRAW_SECONDS, _LINE_SECONDS, _WORTH_SAYING_SECONDS = 0.2, 60.0, 5.0


@verb
@click.argument("device")
@click.option("--dry-run", is_flag=True, help="Stop after the plan.")
@click.option("--take", type=click.Choice(["primary", "secondary"]), help="The copy to keep where the two contradict.")
@click.option("--uuid", default="", help="The UUID to write where it is lost (LUKS1).")
@click.option("--keyslot", type=click.IntRange(0, 31), help="Search this keyslot for the bit that keeps it shut.")
@click.option(
    "--time", "seconds", type=click.IntRange(1), help="Search at most so long (s; default 600, keyslot 86400)."
)
@click.option(
    "--from", "sources", multiple=True, metavar="FILE", help="Take what is damaged from this image or backup."
)
@click.option("--wipe-signature", "wipe", multiple=True, metavar="NAME", help="Take out this foreign signature.")
@click.option(REMOVE_GPT, is_flag=True, help="Take out a backup GPT at the end: tools remake the main one of it.")
@key_options
@danger_options(FLAG_HELP, "Overwrite this filesystem (ext4, vfat …).")
def command(
    app: App,
    device: str,
    dry_run: bool,
    take: Literal["primary", "secondary"] | None,
    uuid: str,
    keyslot: int | None,
    seconds: int | None,
    sources: tuple[str, ...],
    wipe: tuple[str, ...],
    remove_backup_gpt: bool,
    key: KeyOptions,
    accepted: list[str],
) -> int:
    """Mend the header on DEVICE from what survives of it: plan, confirm, save, write, read back, verify.

    Checksums, the other copy and (with a key option) the passphrase judge; where the evidence is split it refuses and
    shows both sides. 'luksafe undo DEVICE' puts the damaged bytes back.
    """
    workspace = app.workspace()
    passphrase = key.passphrase(device) if key.is_given or keyslot is not None else None
    request = RepairRequest(take, uuid, passphrase, keyslot, sources, wipe, remove_backup_gpt, key.limits)
    seconds = seconds or (DEFAULT_SECONDS if keyslot is None else KEYSLOT_SECONDS)
    planned = _plan(app, workspace, device, request, seconds)
    if planned.wants_key(accepted) and not (app.yes or app.json or dry_run) and has_terminal():
        app.say("the passphrase would prove what is only a guess without it (nothing is written yet)")
        request = replace(request, passphrase=key.passphrase(device))
        planned = _plan(app, workspace, device, request, seconds)
    if planned.plan is None:
        return _report_nothing(app, device, planned)
    if dry_run:
        return _report_plan(app, planned, planned.plan, accepted)
    if not app.quiet and not app.json:
        print_plan(app, planned.plan)
    planned.plan.refuse_dangers(accepted)
    confirm(app, f"Write this to {planned.plan.target.path}?")
    done = apply(planned.plan, workspace, allow_in_use="--allow-in-use" in accepted, say=app.say)
    seen = look_again(Path(device))
    result = {**planned.to_json(), "done": True, **outcome_to_json(done, seen)}
    app.emit(result, lambda: _print(device, planned, done, seen))
    return EXIT_WARNINGS if seen.is_refused or planned.outcome.left else 0


def _plan(app: App, workspace: Workspace, device: str, request: RepairRequest, seconds: int) -> RepairPlan:
    with _SearchDisplay(app) as display:
        return plan_repair(workspace, device, request, Effort(seconds, display.progress, display.announce))


def _report_nothing(app: App, device: str, planned: RepairPlan) -> int:
    """Nothing to write: because nothing is wrong, or because nothing here can mend it."""
    app.emit({**planned.to_json(), "done": False}, lambda: _print_nothing(device, planned))
    return EXIT_NEGATIVE if planned.outcome.left or planned.destroyed else 0


def _print_nothing(device: str, planned: RepairPlan) -> None:
    if planned.outcome.left:
        echo(f"{device}: cannot be repaired")
        for text in planned.outcome.left:
            echo(f"  {text}")
        for text in planned.outcome.helps:
            echo(f"  next: {text}")
        return
    if planned.destroyed:
        echo(f"{device}: nothing to repair in the metadata, and a keyslot is lost")
        echo(f"  {destroyed_words(planned.destroyed, device)}, and no repair brings it back")
        echo(f"  next: luksafe diagnose {device}   (what still opens it, and which backup has the keyslot)")
    else:
        echo(f"{device}: nothing to repair, as far as the header itself can tell")
        echo(f"  if a passphrase is not accepted: luksafe diagnose {device}")
    for name in planned.wipeable:
        if name == LUKS:
            echo("  a stale second header lies in unused bytes; cryptsetup may put it back over this one")
        else:
            echo(f"  a {name} signature lies in unused bytes; blkid may report it instead of LUKS")
        echo(f"  next: luksafe repair {device} --wipe-signature {name}")
    if planned.backup_gpt:
        echo(f"  {planned.backup_gpt}")
        echo(f"  next: luksafe repair {shlex.quote(device)} {REMOVE_GPT}")


def _report_plan(app: App, planned: RepairPlan, plan: WritePlan, accepted: list[str]) -> int:
    app.emit({**planned.to_json(), "done": False}, lambda: dry_run_lines(app, plan, accepted))
    return Refused.exit_status if plan.dangers_left(accepted) else 0


def _print(device: str, planned: RepairPlan, done: Applied, seen: Inspection) -> None:
    echo(f"repaired: {human_size(done.size_bytes)} written, read back, equal")
    for proposal in planned.outcome.proposals:
        echo(f"  {proposal.text}")
    for text in planned.outcome.left:
        echo(f"warning: not mended: {text}")
    if seen.is_refused:
        echo("warning: the header on the device is not valid: " + "; ".join(f.text for f in seen.findings))
    echo(f"saved as undo entry {done.saved.entry.id} in {', '.join(map(str, done.saved.places))}")
    echo(f"next: luksafe prove {device}   (to take it back: luksafe undo {device})")


class _SearchDisplay:
    """On stderr how far a search is: one line that is drawn anew on a terminal, elsewhere a line each minute."""

    def __init__(self, app: App) -> None:
        self._app, self._is_terminal = app, sys.stderr.isatty()
        self._label, self._begun, self._drawn = "", 0.0, 0.0

    def __enter__(self) -> Self:
        return self

    def announce(self, label: str, even: float, most: float) -> None:
        """Before a search that takes long: how long."""
        if most < _WORTH_SAYING_SECONDS:
            return
        odds = f"as likely as not found within {_duration(even)}, {_duration(most)} at most"
        self._clear()
        self._app.say(f"searching for {label}: {odds} (measured with the machine as busy as it is)")

    def progress(self, label: str, done: int, total: int) -> None:
        """How much of a search is done, and what is left at the speed that it had so far."""
        now, share = time.monotonic(), done / max(total, 1)
        if label != self._label:
            self._label, self._begun, self._drawn = label, now, now
        if self._app.quiet or now - self._drawn < (_REDRAW_SECONDS if self._is_terminal else _LINE_SECONDS):
            return
        self._drawn = now
        left = f", {_duration((now - self._begun) * (1 - share) / share)} left at most" if share > 0 else ""
        text = f"{label}: {share:.0%} of the search done{left}"
        if self._is_terminal:
            sys.stderr.write(f"{REDRAW}{shown(text)}")
            sys.stderr.flush()
        else:
            self._app.say(text)

    def __exit__(self, *_: object) -> None:
        self._clear()

    def _clear(self) -> None:
        if self._is_terminal and not self._app.quiet:
            sys.stderr.write(REDRAW)


def _duration(seconds: float) -> str:
    """``12 s``, ``3 min``, ``5 h``."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(1, round(seconds))} s"
