"""``luksafe escrow apply``: a new passphrase for a volume, by what a packet holds."""

from __future__ import annotations

import os
from pathlib import Path

import click

from luksafe.cli.app import App, verb
from luksafe.cli.dangers import danger_options
from luksafe.cli.escrow.identities import Openers, opener_options
from luksafe.cli.prompts import confirm
from luksafe.cli.rebuild_options import NewKey, new_key_options
from luksafe.cli.rebuild_steps import carry_out
from luksafe.cli.targets import header_option
from luksafe.errors import DamagedInput, UsageError
from luksafe.escrow.contents import Contents
from luksafe.ops.escrow.apply import apply_packet, plan_apply, volume_from_packet
from luksafe.ops.escrow.found import find_packet
from luksafe.ops.escrow.verify import find_device
from luksafe.ops.rebuild.from_packet import key_of_packet
from luksafe.ops.rebuild.known import gather, look
from luksafe.ops.rebuild.plan import FLAG_HELP
from luksafe.ops.target import VAULT_PREFIX, Target, open_target


@verb
@click.argument("packet")
@click.argument("device", required=False)
@header_option
@click.option("--dry-run", is_flag=True, help="Stop after the plan.")
@new_key_options
@opener_options
@danger_options(FLAG_HELP, "Overwrite this foreign signature.")
def command(
    app: App,
    packet: str,
    device: str | None,
    header_file: str | None,
    dry_run: bool,
    new_key: NewKey,
    openers: Openers,
    accepted: list[str],
) -> int:
    """Open PACKET and give DEVICE (found by its UUID when not named) a new passphrase.

    An intact header gets it in a free keyslot. A destroyed one is made anew round the volume key, as ``luksafe
    rebuild`` does it; a detached one goes to the new file that --header names. The data are not touched.
    """
    found = find_packet(app.workspace(), packet)
    contents = openers.open(app, found).contents
    if device is None:
        device, header_file = find_device(contents.volume.uuid)
    if header_file is None or os.path.lexists(header_file) or header_file.startswith(VAULT_PREFIX):
        with open_target(app.workspace(), device, header_file) as target:
            if target.inspection.header is not None:
                return _add_keyslot(app, contents, target, device, new_key, dry_run=dry_run)
            _require_rebuildable(contents, target, device, packet, header_file)
    return _rebuild(app, contents, device, header_file, new_key, dry_run=dry_run, accepted=accepted)


def _add_keyslot(app: App, contents: Contents, target: Target, device: str, new_key: NewKey, *, dry_run: bool) -> int:
    """A new passphrase in a free keyslot of a whole header."""
    volume = volume_from_packet(contents, target)
    with volume.volume_key:
        plan = plan_apply(app.workspace(), volume)
        if dry_run:
            app.emit({"plan": plan.to_json()}, plan.lines)
            return 0
        for line in plan.lines():
            app.say(line)
        with new_key.passphrase(f"{device} ({volume.header.uuid})") as passphrase:
            confirm(app, f"Add the passphrase to {plan.live.path}?")
            before, after = apply_packet(app.workspace(), volume, plan, passphrase, _cost(new_key), app.say)
    app.emit(
        {"plan": plan.to_json(), "done": True, "keyslot": plan.slot, "backups": {"before": before, "after": after}},
        lambda: (
            f"keyslot {plan.slot} of {device} opens with the new passphrase",
            f"to take it back: cryptsetup luksKillSlot {plan.live.path} {plan.slot}",
            f"next: luksafe check {device}",
        ),
    )
    return 0


def _rebuild(
    app: App,
    contents: Contents,
    device: str,
    header_file: str | None,
    new_key: NewKey,
    *,
    dry_run: bool,
    accepted: list[str],
) -> int:
    """A new header round the packet's volume key, on the device or in the new file for a detached one."""
    if header_file:
        app.say(f"{header_file} is not there: a new header goes into it, nothing is written to {device}")
    else:
        app.say(f"{device} has no usable header: a new one is made round the volume key")
    to_file = Path(header_file) if header_file else None
    with look(device) as volume:
        source = key_of_packet(contents, f"packet {contents.packet_id}", volume.facts)
        with gather(app.workspace(), volume, source) as known:
            return carry_out(app, volume, known, new_key, to_file=to_file, dry_run=dry_run, accepted=accepted)


def _require_rebuildable(contents: Contents, target: Target, device: str, packet: str, header_file: str | None) -> None:
    """A destroyed header is made anew on a device; a file is never written over, and is wanted for a detached one."""
    if header_file is not None:
        raise DamagedInput(
            f"{header_file} holds no usable header, and a file is not written over",
            code="header-damaged",
            hint=f"name a new file: luksafe escrow apply {packet} {device} --header NEW-FILE",
            findings=target.inspection.all_findings,
        )
    if contents.volume.is_complete and contents.volume.data_offset == 0:
        raise UsageError(
            f"the header of this volume was a file of its own: the data of {device} begin at byte 0",
            hint=f"name a new file for it: luksafe escrow apply {packet} {device} --header NEW-FILE",
        )


def _cost(new_key: NewKey) -> list[str]:
    """What was asked for, in cryptsetup's words; it chooses the rest for this machine."""
    given = {
        "--pbkdf": new_key.pbkdf,
        "--pbkdf-force-iterations": new_key.pbkdf_force_iterations,
        "--pbkdf-memory": new_key.pbkdf_memory,
        "--pbkdf-parallel": new_key.pbkdf_parallel,
        "--hash": new_key.hash_,
    }
    return [word for name, value in given.items() if value is not None for word in (name, str(value))]
