"""``luksafe escrow export``: a packet as files elsewhere, or as one that Debian's volume_key reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from luksafe.cli.app import App, verb
from luksafe.cli.escrow.identities import Openers, opener_options
from luksafe.cli.escrow.sealing import new_packet_passphrase
from luksafe.cli.input_file import read_input
from luksafe.errors import UsageError
from luksafe.escrow.contents import Contents, SecretKind
from luksafe.escrow.recipients.files import MAX_FILE_BYTES
from luksafe.escrow.volume_key.convert import from_contents
from luksafe.escrow.volume_key.model import VolumeKeyPacket
from luksafe.escrow.volume_key.packet import (
    write_cleartext,
    write_for_certificate,
    write_secret_wrapped,
    write_with_passphrase,
)
from luksafe.ops.escrow.found import FoundPacket, find_packet
from luksafe.ops.escrow.opening import pick_secret
from luksafe.ops.new_file import write_new_file

FORMATS = ("cleartext", "passphrase", "asymmetric", "asymmetric-wrap-secret")


@verb
@click.argument("packet")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--volume-key-format", "form", type=click.Choice(FORMATS), help="Write a packet of volume_key, so sealed."
)
@click.option("--secret", type=click.Choice(["volume-key", "passphrase"]), help="Which, where the packet holds both.")
@click.option("--certificate", type=click.Path(), help="Whom an asymmetric packet is for: an RSA certificate.")
@click.option("--packet-key-file", help="The passphrase of a packet sealed with one, from a file.")
@opener_options
def command(
    app: App,
    packet: str,
    file: Path,
    form: str | None,
    secret: SecretKind | None,
    certificate: str | None,
    packet_key_file: str | None,
    openers: Openers,
) -> int:
    """Write PACKET to the new FILE (its public part beside it), or into the folder FILE; it stays sealed.

    With --volume-key-format it is opened, and written as volume_key --restore and --secrets read it.
    """
    found = find_packet(app.workspace(), packet)
    if form is None:
        paths = _copy(found, file)
    else:
        opened = openers.open(app, found)
        chosen = pick_secret(opened.contents, secret)
        _warn_of_loss(app, opened.contents, chosen.kind)
        write = _writer(app, form, certificate, packet_key_file)
        paths = [file]
        write_new_file(file, write(from_contents(opened.contents, chosen.kind)))
        if form == "cleartext":
            app.warn(f"{file} holds the secret in the clear: remove it when it has done its work")
    app.emit({"files": [str(path) for path in paths], "format": form or "luksafe"}, lambda: map(str, paths))
    return 0


def _copy(found: FoundPacket, file: Path) -> list[Path]:
    """The sealed file and, where it is at hand, the public part."""
    public = found.packet.public
    if file.is_dir():
        name = f"{public.uuid}-{public.packet_id}" if public else found.vault_id or "packet"
        file = file / (name + found.packet.suffix)
    if file.suffix != found.packet.suffix:
        raise UsageError(f"{file} should end in {found.packet.suffix}: that is what stock tools expect")
    write_new_file(file, found.packet.sealed)
    if public is None:
        return [file]
    write_new_file(file.with_suffix(".json"), public.to_bytes())
    return [file, file.with_suffix(".json")]


def _warn_of_loss(app: App, contents: Contents, kind: SecretKind) -> None:
    """What volume_key's format cannot say, it leaves out in silence."""
    volume = contents.volume
    if kind == "volume-key" and (volume.sector_size != 512 or volume.iv_tweak):
        app.warn(
            f"a packet of volume_key does not say that sectors have {volume.sector_size} bytes and the IV offset is "
            f"{volume.iv_tweak}: it is of use only while the header is intact; keep the luksafe packet"
        )


def _writer(
    app: App, form: str, certificate: str | None, packet_key_file: str | None
) -> Callable[[VolumeKeyPacket], bytes]:
    if form == "cleartext":
        return write_cleartext
    if form == "passphrase":
        passphrase = new_packet_passphrase(packet_key_file)
        return lambda packet: write_with_passphrase(packet, passphrase, app.workspace().random_bytes)
    if certificate is None:
        raise UsageError("an asymmetric packet needs a certificate", hint="--certificate FILE")
    from luksafe.escrow.recipients.x509 import load_recipient

    recipient = load_recipient(read_input(certificate, MAX_FILE_BYTES).reveal())
    write = write_for_certificate if form == "asymmetric" else write_secret_wrapped
    return lambda packet: write(packet, recipient)
