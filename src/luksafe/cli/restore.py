"""``luksafe restore``: write a backup to a device."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click

from luksafe.cli.app import EXIT_WARNINGS, App, verb
from luksafe.cli.dangers import danger_options
from luksafe.cli.escrow.identities import Openers
from luksafe.cli.keys import KeyOptions, ask_passphrase, key_options
from luksafe.cli.plans import dry_run_lines, print_plan
from luksafe.cli.prompts import confirm
from luksafe.cli.proof_keys import packet_openers, proof_key
from luksafe.cli.terminal import echo
from luksafe.cli.text import human_size
from luksafe.errors import KeyRejected, Refused, UsageError
from luksafe.luks.inspection import Inspection
from luksafe.ops.leftovers import REMOVE_GPT
from luksafe.ops.proof import ProofKey, ProofReport, note_proof
from luksafe.ops.restore import look_again, plan_with_proof
from luksafe.ops.restore_plan import FLAG_HELP
from luksafe.ops.write.apply import Applied, apply
from luksafe.ops.write.plan import WritePlan
from luksafe.secret import SecretBytes

MOST_TRIES = 3
BACKUP_ID = re.compile("[0-9a-f]{4,}")
SHORT_ID = 12

Planner = Callable[..., tuple[WritePlan, ProofReport | None]]


@verb
@click.argument("backup")
@click.argument("device")
@click.option("--dry-run", is_flag=True, help="Stop after the plan.")
@click.option(REMOVE_GPT, is_flag=True, help="Take out a backup GPT at the end too: tools remake the main one of it.")
@packet_openers
@key_options
@danger_options(FLAG_HELP, "Overwrite this foreign signature (ext4, vfat …).")
def command(
    app: App,
    backup: str,
    device: str,
    dry_run: bool,
    remove_backup_gpt: bool,
    key: KeyOptions,
    openers: Openers,
    accepted: list[str],
) -> int:
    """Write BACKUP (of the vault, or a header file) to DEVICE: plan, confirm, save, write, read back, verify.

    With a key the backup is opened first, and the data on DEVICE decrypted by it. What is on the device now is saved in
    two places; 'luksafe undo DEVICE' puts it back.
    """
    workspace = app.workspace()
    planner = partial(plan_with_proof, workspace, backup, device, remove_backup_gpt=remove_backup_gpt)
    if key.is_given:
        with proof_key(app, key, backup, openers) as given:
            planned, proof = planner(given)
    elif dry_run or app.yes or app.json:
        planned, proof = planner()
    else:
        planned, proof = _plan_with_offered_key(app, planner, backup, device, key)
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
    if proof is not None and proof.noted_with:
        note_proof(workspace, proof, Path(device))
    app.emit(
        {"plan": planned.to_json(), "done": True, **outcome_to_json(done, seen)},
        lambda: _print(device, done, seen, proof),
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


def _plan_with_offered_key(
    app: App, planner: Planner, backup: str, device: str, key: KeyOptions
) -> tuple[WritePlan, ProofReport | None]:
    """The plan, proven by a passphrase that is typed; unproven where none is."""
    for typed in _offered(backup, device):
        try:
            with typed:
                return planner(ProofKey(passphrase=typed, keyslot=key.key_slot, limits=key.limits))
        except KeyRejected as problem:
            app.warn(f"{problem}; type it again, or press Enter to go on without")
    return planner()


def _offered(backup: str, device: str) -> Iterator[SecretBytes]:
    """Passphrases as they are typed, until one is empty; none without a terminal."""
    what = f"backup {backup[:SHORT_ID]}" if BACKUP_ID.fullmatch(backup) else backup
    for _ in range(MOST_TRIES):
        try:
            typed = ask_passphrase(f"Passphrase for {what}, to prove it on {device} (Enter skips): ")
        except UsageError:
            return
        if not len(typed):
            return
        yield typed


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


def _print(device: str, done: Applied, seen: Inspection, proof: ProofReport | None) -> None:
    how = "past the page cache" if done.read_back == "direct" else "after dropping cached pages"
    echo(f"restored: {human_size(done.size_bytes)} written, read back {how}, equal")
    if seen.is_refused or seen.all_findings:
        state = "not valid" if seen.is_refused else "damaged in part"
        echo(f"warning: the header on the device is {state}: " + "; ".join(f.text for f in seen.all_findings))
    echo(f"saved as undo entry {done.saved.entry.id} in {', '.join(map(str, done.saved.places))}")
    if proof is not None and proof.noted_with:
        echo(f"proven: the data decrypt to {proof.data.found}; noted with backup {proof.noted_with[:12]}")
    echo(f"next: luksafe prove {device}   (to take it back: luksafe undo {device})")
