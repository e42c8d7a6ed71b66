"""``luksafe escrow reseal``: a packet's contents to other recipients."""

from __future__ import annotations

from collections.abc import Iterator

import click

from luksafe.cli.app import EXIT_WARNINGS, App, verb
from luksafe.cli.escrow.identities import Openers, opener_options
from luksafe.cli.escrow.sealing import SealOptions, has_warnings, seal_options
from luksafe.cli.text import count
from luksafe.ops.escrow.found import find_packet
from luksafe.ops.escrow.reseal import reseal
from luksafe.ops.escrow.revoke import packets_alike
from luksafe.ops.escrow.save import SaveOrder


@verb
@click.argument("packet")
@opener_options
@seal_options
def command(app: App, packet: str, openers: Openers, sealing: SealOptions) -> int:
    """Open PACKET and seal what it holds to other recipients. The old packet stays; nothing is written to the device.

    Whoever could open the old packet still can, as long as he has a copy of it.
    """
    sealing.require_folders()
    found = find_packet(app.workspace(), packet)
    groups = sealing.groups(app)
    opened = openers.open(app, found)
    older = packets_alike(app.workspace(), found)
    kept = reseal(
        app.workspace(), opened.found, opened.contents, SaveOrder(groups, (), sealing.reason, folder=sealing.output)
    )
    shown = sealing.hand_out(app, kept)

    def lines() -> Iterator[str]:
        yield from sealing.lines(kept)
        yield f"the old packet is still there; to remove it: luksafe forget {opened.contents.packet_id}"
        if older:
            yield f"{count(len(older), 'more packet')} with the same secret opens to whom it was sealed; to remove:"
            yield f"  luksafe forget {' '.join(older)}"

    app.emit({"packets": shown, "from": opened.contents.packet_id, "others": older}, lines)
    return EXIT_WARNINGS if has_warnings(kept) else 0
