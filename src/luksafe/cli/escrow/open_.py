"""``luksafe escrow open``: the secret in a packet, alone, on standard output."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from luksafe.cli.app import EXIT_WARNINGS, App, verb
from luksafe.cli.escrow.identities import Openers, opener_options
from luksafe.escrow.contents import Contents, Secret, SecretKind
from luksafe.luks.model import Json
from luksafe.ops.escrow.found import find_packet
from luksafe.ops.escrow.opening import describe_contents, pick_secret
from luksafe.ops.new_file import write_new_file


@verb
@click.argument("packet")
@click.option("--secret", type=click.Choice(["volume-key", "passphrase"]), help="Which, where the packet holds both.")
@click.option("--output", type=click.Path(path_type=Path), help="Write the secret to this new file (0600) instead.")
@click.option("--hex", "as_hex", is_flag=True, help="Write it in hexadecimal.")
@opener_options
def command(
    app: App, packet: str, secret: SecretKind | None, output: Path | None, as_hex: bool, openers: Openers
) -> int:
    """Open PACKET and write its secret to standard output, exactly, so that it can be used as a key file.

    On a terminal a volume key is shown in hexadecimal, and a line end follows.
    """
    opened = openers.open(app, find_packet(app.workspace(), packet))
    chosen = pick_secret(opened.contents, secret)
    with chosen.value:
        if output:
            write_new_file(output, _spelled(chosen, as_hex=as_hex))
        if app.json:
            app.emit(_to_json(opened.contents, chosen, output), lambda: ())
        elif not output:
            _write(chosen, as_hex=as_hex)
    _say_what(app, opened.contents, chosen, output)
    return EXIT_WARNINGS if opened.warnings else 0


def _to_json(contents: Contents, chosen: Secret, output: Path | None) -> Json:
    secret: Json = {"secret_hex": chosen.value.view.hex()} if output is None else {"file": str(output)}
    of = {"digest" if chosen.kind == "volume-key" else "keyslot": chosen.of}
    return {"kind": chosen.kind, **secret, **of, **describe_contents(contents)}


def _spelled(chosen: Secret, *, as_hex: bool) -> bytes:
    return chosen.value.view.hex().encode() if as_hex else chosen.value.reveal()


def _write(chosen: Secret, *, as_hex: bool) -> None:
    """To a pipe or file the bytes themselves; to a terminal what a person can read."""
    is_terminal = sys.stdout.isatty()
    sys.stdout.buffer.write(_spelled(chosen, as_hex=as_hex or (is_terminal and chosen.kind == "volume-key")))
    if is_terminal:
        sys.stdout.buffer.write(b"\n")
    sys.stdout.buffer.flush()


def _say_what(app: App, contents: Contents, chosen: Secret, output: Path | None) -> None:
    volume = contents.volume
    app.say(f"packet {contents.packet_id}: {chosen.kind} of {volume.format} {volume.uuid} ({contents.host})")
    if volume.cipher:
        app.say(
            f"  {volume.cipher}, key of {volume.key_bits} bits, sectors of {volume.sector_size} bytes, data at byte "
            f"{volume.data_offset}, IV offset {volume.iv_tweak}"
        )
    if output:
        app.say(f"written to {output}: remove it when it is no longer needed")
    if chosen.kind == "passphrase":
        slot = "" if chosen.of is None else f" (keyslot {chosen.of})"
        app.say(f"next: cryptsetup open DEVICE NAME{slot}, or a new passphrase: luksafe escrow apply PACKET DEVICE")
    else:
        app.say("next: luksafe escrow apply PACKET DEVICE   (a new passphrase, also when the header is gone)")
