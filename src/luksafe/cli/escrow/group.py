"""``luksafe escrow``: the group of its verbs, each imported only when it is called."""

from __future__ import annotations

import importlib

import click

VERBS = {
    "save": ("save", "Seal the key of DEVICE to the people who may need it."),
    "list": ("list", "The packets of the vault, by volume; which are of no more use."),
    "show": ("show", "What a packet is, without opening it."),
    "open": ("open_", "Open a packet: its secret, alone, on standard output."),
    "verify": ("verify", "Does a packet still open its device? With --all: each of them."),
    "apply": ("apply", "Give DEVICE a new passphrase by what a packet holds."),
    "reseal": ("reseal", "Seal what a packet holds to other recipients."),
    "rotate": ("rotate", "A fresh recovery key in the place of the one in a packet."),
    "revoke": ("revoke", "Erase the keyslot that a packet opens; say what it still opens."),
    "import": ("import_", "Packets of volume_key, dumps, keys, CSV tables, whole folders: into packets."),
    "export": ("export", "A packet as files, or as one that volume_key reads."),
}


class EscrowGroup(click.Group):
    """Finds its verbs in the table."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs, in the order of the table."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command behind a verb; None when there is no such verb."""
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"luksafe.cli.escrow.{VERBS[cmd_name][0]}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The verbs from the table alone."""
        with formatter.section("Verbs"):
            formatter.write_dl([(name, text) for name, (_, text) in VERBS.items()])


@click.group(cls=EscrowGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
def command() -> None:
    """Packets that hold a volume's key, sealed to the people who may need it.

    PACKET is a file, or a packet in the vault by its id or the UUID of its volume.
    """
