"""``luksafe escrow rotate``: a fresh recovery key in the place of the one in a packet."""

from __future__ import annotations

from itertools import chain

import click

from luksafe.cli.app import EXIT_WARNINGS, App, verb
from luksafe.cli.dangers import damaged_keyslot_option
from luksafe.cli.escrow.identities import Openers, opener_options
from luksafe.cli.escrow.revoke import lines
from luksafe.cli.escrow.sealing import SealOptions, seal_options
from luksafe.cli.prompts import confirm
from luksafe.cli.targets import header_option
from luksafe.ops.escrow.apply import volume_from_packet
from luksafe.ops.escrow.found import find_packet
from luksafe.ops.escrow.recovery import plan_recovery, save_recovery_key
from luksafe.ops.escrow.revoke import plan_revoke, revoke, still_opened
from luksafe.ops.escrow.save import SaveOrder
from luksafe.ops.escrow.verify import find_device
from luksafe.ops.target import open_target


@verb
@click.argument("packet")
@click.argument("device", required=False)
@header_option
@click.option("--dry-run", is_flag=True, help="Stop after the plan.")
@damaged_keyslot_option
@opener_options
@seal_options
def command(
    app: App,
    packet: str,
    device: str | None,
    header_file: str | None,
    dry_run: bool,
    allow_damaged: bool,
    openers: Openers,
    sealing: SealOptions,
) -> int:
    """Open PACKET, add a fresh recovery key to DEVICE, seal it, and only then erase the old keyslot."""
    sealing.require_folders()
    workspace = app.workspace()
    found = find_packet(workspace, packet)
    groups = () if dry_run else sealing.groups(app)
    opened = openers.open(app, found)
    if device is None:
        device, header_file = find_device(opened.contents.volume.uuid)
    with open_target(workspace, device, header_file) as target:
        old = plan_revoke(workspace, found, opened.contents, target, allow_damaged=allow_damaged)
        volume = volume_from_packet(opened.contents, target)
        plan = plan_recovery(workspace, volume, allow_damaged=allow_damaged)
        shown = [*plan.lines(), "then:", *old.lines()]
        if dry_run:
            app.emit({"plan": plan.to_json(), "revoke": old.to_json()}, lambda: shown)
            return 0
        for line in shown:
            app.say(line)
        confirm(app, f"Replace the recovery key of {plan.live.path}?")
        kinds = ("volume-key",) if "volume-key" in opened.contents.kinds else ()
        order = SaveOrder(groups, kinds, sealing.reason, folder=sealing.output, recovery_key=True)  # type: ignore[arg-type]
        done = save_recovery_key(workspace, volume, plan, order, app.say)
    with open_target(workspace, device, header_file) as target:
        again = plan_revoke(workspace, found, opened.contents, target, allow_damaged=allow_damaged)
        revoke(workspace, again, target, app.say, volume_key=volume.volume_key)
    still = still_opened(workspace, again)
    app.emit(
        {
            "packets": sealing.hand_out(app, done.kept),
            "revoked": again.to_json(),
            "still_open": [{"id": each.backup.id, "created": each.backup.record.created} for each in still],
        },
        lambda: chain(sealing.lines(done.kept), lines(found, again, still)),
    )
    return EXIT_WARNINGS if still or app.warned else 0
