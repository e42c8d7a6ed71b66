"""``luksafe escrow apply``: a new passphrase for a volume, by what a packet holds."""

from __future__ import annotations

import click

from luksafe.cli.app import App, verb
from luksafe.cli.escrow.identities import Openers, opener_options
from luksafe.cli.prompts import confirm
from luksafe.cli.rebuild_options import NewKey, new_key_options
from luksafe.cli.targets import header_option
from luksafe.errors import DamagedInput
from luksafe.ops.escrow.apply import apply_packet, plan_apply, volume_from_packet
from luksafe.ops.escrow.found import find_packet
from luksafe.ops.escrow.verify import find_device
from luksafe.ops.target import Target, open_target


@verb
@click.argument("packet")
@click.argument("device", required=False)
@header_option
@click.option("--dry-run", is_flag=True, help="Stop after the plan.")
@new_key_options
@opener_options
def command(
    app: App,
    packet: str,
    device: str | None,
    header_file: str | None,
    dry_run: bool,
    new_key: NewKey,
    openers: Openers,
) -> int:
    """Open PACKET and give DEVICE (found by its UUID when not named) a new passphrase, in a free keyslot.

    A device whose header is destroyed is for: luksafe rebuild DEVICE --packet PACKET.
    """
    workspace = app.workspace()
    found = find_packet(workspace, packet)
    opened = openers.open(app, found)
    if device is None:
        device, header_file = find_device(opened.contents.volume.uuid)
    with open_target(workspace, device, header_file) as target:
        _require_header(target, packet, device)
        volume = volume_from_packet(opened.contents, target)
        with volume.volume_key:
            plan = plan_apply(volume)
            if dry_run:
                app.emit({"plan": plan.to_json()}, plan.lines)
                return 0
            for line in plan.lines():
                app.say(line)
            with new_key.passphrase(f"{device} ({volume.header.uuid})") as passphrase:
                confirm(app, f"Add the passphrase to {plan.live.path}?")
                cost = _cost(new_key)
                before, after = apply_packet(workspace, volume, plan, passphrase, cost, app.say)
    app.emit(
        {"plan": plan.to_json(), "done": True, "keyslot": plan.slot, "backups": {"before": before, "after": after}},
        lambda: (
            f"keyslot {plan.slot} of {device} opens with the new passphrase",
            f"next: luksafe check {device}   (to take it back: cryptsetup luksKillSlot {plan.live.path} {plan.slot})",
        ),
    )
    return 0


def _require_header(target: Target, packet: str, device: str) -> None:
    if target.inspection.header is None:
        raise DamagedInput(
            f"{device} has no usable header: there is no keyslot to put a passphrase into",
            code="header-damaged",
            hint=f"restore a backup (luksafe list), or make a new header: luksafe rebuild {device} --packet {packet}",
            findings=target.inspection.all_findings,
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
