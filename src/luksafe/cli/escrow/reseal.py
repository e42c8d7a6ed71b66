"""``luksafe escrow reseal``: a packet's contents to other recipients."""

from __future__ import annotations

from collections.abc import Iterator

import click

from luksafe.cli.app import EXIT_WARNINGS, App, verb
from luksafe.cli.escrow.identities import Openers, opener_options
from luksafe.cli.escrow.sealing import SealOptions, has_warnings, seal_options
from luksafe.ops.escrow.found import find_packet
from luksafe.ops.escrow.reseal import reseal
from luksafe.ops.escrow.save import SaveOrder


@verb
@click.argument("packet")
@opener_options
@seal_options
def command(app: App, packet: str, openers: Openers, sealing: SealOptions) -> int:
    """Open PACKET and seal what it holds to other recipients. The old packet stays; nothing is written to the device.

    Whoever could open the old packet still can, as long as he has a copy of it.
    """
    found = find_packet(app.workspace(), packet)
    groups = sealing.groups(app)
    opened = openers.open(app, found)
    kept = reseal(
        app.workspace(), opened.found, opened.contents, SaveOrder(groups, (), sealing.reason, folder=sealing.output)
    )
    shown = sealing.hand_out(app, kept)

    def lines() -> Iterator[str]:
        yield from sealing.lines(kept)
        yield f"the old packet is still there; to remove it: luksafe forget {opened.contents.packet_id}"

    app.emit({"packets": shown, "from": opened.contents.packet_id}, lines)
    return EXIT_WARNINGS if has_warnings(kept) else 0
