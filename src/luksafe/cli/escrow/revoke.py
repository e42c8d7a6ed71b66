"""``luksafe escrow revoke``: the passphrase in a packet opens the device no more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from luksafe.cli.app import EXIT_WARNINGS, App, plain, verb
from luksafe.cli.dangers import damaged_keyslot_option
from luksafe.cli.escrow.identities import Openers, opener_options
from luksafe.cli.prompts import confirm
from luksafe.cli.targets import header_option
from luksafe.luks.model import Json
from luksafe.ops.escrow.found import FoundPacket, find_packet
from luksafe.ops.escrow.revoke import LAST_FLAG, RevokePlan, StillOpened, plan_revoke, revoke, still_opened
from luksafe.ops.escrow.verify import find_device
from luksafe.ops.target import open_target


@verb
@click.argument("packet")
@click.argument("device", required=False)
@header_option
@click.option("--dry-run", is_flag=True, help="Stop after the plan.")
@click.option(LAST_FLAG, "allow_last", is_flag=True, help="Also when it is the only keyslot.")
@damaged_keyslot_option
@opener_options
def command(
    app: App,
    packet: str,
    device: str | None,
    header_file: str | None,
    dry_run: bool,
    allow_last: bool,
    allow_damaged: bool,
    openers: Openers,
) -> int:
    """Erase the keyslot of DEVICE that the passphrase in PACKET opens, and list what it still opens.

    Without anything to open it with, the keyslot is the one noted when the packet was last proven.
    """
    workspace = app.workspace()
    found = find_packet(workspace, packet)
    opened = openers.open(app, found) if openers.is_given else None
    contents = opened.contents if opened else None
    if device is None:
        device, header_file = find_device(
            contents.volume.uuid if contents else found.public.uuid if found.public else ""
        )
    with open_target(workspace, device, header_file) as target:
        plan = plan_revoke(workspace, found, contents, target, allow_damaged=allow_damaged)
        if dry_run:
            app.emit({"plan": plan.to_json(), **_still(still_opened(workspace, plan))}, plan.lines)
            return 0
        for line in plan.lines():
            app.say(line)
        if plan.slot is not None:
            confirm(app, f"Erase keyslot {plan.slot} of {plan.live.path}?")
        revoke(workspace, plan, target, app.say, allow_last=allow_last)
    still = still_opened(workspace, plan)
    app.emit({"plan": plan.to_json(), "done": True, **_still(still)}, lambda: lines(found, plan, still))
    return EXIT_WARNINGS if still or app.warned else 0


def _still(still: Sequence[StillOpened]) -> Json:
    return {
        "still_open": [
            {
                "id": each.backup.id,
                "created": each.backup.record.created,
                "stores": [copy.store for copy in each.backup.copies],
                "keep": plain(each.keep) if each.keep else None,
            }
            for each in still
        ]
    }


def lines(found: FoundPacket, plan: RevokePlan, still: Sequence[StillOpened]) -> Iterator[str]:
    """What was revoked, and what still opens with it."""
    if plan.slot is None:
        yield f"{plan.live.path}: no keyslot opens with it any more"
    else:
        yield f"{plan.live.path}: keyslot {plan.slot} is erased"
    for each in still:
        names = ", ".join(copy.store for copy in each.backup.copies)
        why = f"; keep it: {each.keep.text}" if each.keep else ""
        yield f"  still opens backup {each.backup.id[:12]} of {each.backup.record.created} ({names}){why}"
    needed = next((each.keep.next for each in still if each.keep and each.keep.next), "")
    free = [each.backup.id[:12] for each in still if each.keep is None]
    if needed or free:
        yield f"  next: {needed or 'luksafe forget ' + ' '.join(free)}"
    yield "  a passphrase that leaked is cured only by a new volume key: cryptsetup reencrypt"
    ended = [found.public.packet_id] if found.vault_id and found.public else []
    if ended := [*ended, *plan.others]:
        what = "the packet is" if len(ended) == 1 else f"{len(ended)} packets, which hold it, are"
        yield f"  {what} of no more use: luksafe forget {' '.join(ended)}"
