"""``luksafe escrow list``: the packets of the vault."""

from __future__ import annotations

import click

from luksafe.cli.app import App, verb
from luksafe.cli.escrow.show import list_packets


@verb
@click.argument("uuid", required=False)
def command(app: App, uuid: str | None) -> int:
    """List the packets of the vault, or those of the volume with this UUID, and which are of no more use."""
    return list_packets(app, uuid)
