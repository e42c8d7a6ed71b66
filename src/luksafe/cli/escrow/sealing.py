"""Whom to seal to: ``--recipient`` and ``--shares``, the same for every verb that seals; and what was sealed, told."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from luksafe.cli.app import App
from luksafe.cli.copies import missing_copies
from luksafe.cli.escrow.plugins import TerminalCallbacks
from luksafe.cli.escrow.shares import share_lines
from luksafe.cli.keys import ask_new_passphrase, read_key_file
from luksafe.cli.text import count
from luksafe.errors import NotFound, UsageError
from luksafe.escrow.recipients.interface import OPEN_WITH, Recipient
from luksafe.luks.model import Json
from luksafe.ops.escrow.keeping import KeptPacket
from luksafe.ops.escrow.recipients import (
    ANY_PASSPHRASE,
    SealTo,
    group_recipients,
    packet_passphrase,
    read_recipient,
    recipient_oddities,
    split_shares,
)
from luksafe.secret import SecretBytes

NAMES = ("recipient", "shares", "shares_dir", "packet_key_file", "output", "reason")


@dataclass(frozen=True)
class SealOptions:
    """To whom, and where besides the vault: ``output``."""

    recipient: tuple[str, ...] = ()
    shares: str | None = None
    shares_dir: Path | None = None
    packet_key_file: str | None = None
    output: Path | None = None
    reason: str = ""

    @property
    def is_given(self) -> bool:
        """Whether anybody is named."""
        return bool(self.recipient or self.shares)

    def require_folders(self) -> None:
        """Raise NotFound or UsageError for a folder that is not there: before anybody is asked for anything.

        None is made: the place where a stick is not mounted is a folder on another disk.
        """
        for option, folder in (("--output", self.output), ("--shares-dir", self.shares_dir)):
            if folder is not None and not folder.is_dir():
                hint = f"mount the medium, or make it: mkdir -m 700 {shlex.quote(str(folder))}"
                error = NotFound if option == "--output" else UsageError
                raise error(f"{option} {folder}: no such folder; nothing was done", hint=hint)

    def groups(self, app: App) -> tuple[SealTo, ...]:
        """What one packet each is sealed to; asks for the passphrase if that is wanted. Warns of odd certificates."""
        if not self.is_given:
            raise UsageError(
                "say to whom the packet is sealed",
                hint="--recipient age1…, a certificate file, or the word passphrase; --shares 3/5",
            )
        recipients: list[Recipient] = []
        for text in self.recipient:
            if text != ANY_PASSPHRASE:
                recipients += read_recipient(text, TerminalCallbacks(app))
        for words in recipient_oddities(recipients, app.workspace().now()):
            app.warn(words)
        groups = group_recipients(
            recipients, new_packet_passphrase(self.packet_key_file) if ANY_PASSPHRASE in self.recipient else None
        )
        if self.shares:
            groups.append(split_shares(self.shares, app.workspace().random_bytes, self.shares_dir))
        return tuple(groups)

    def hand_out(self, app: App, kept: Sequence[KeptPacket]) -> list[Json]:
        """The packets as JSON, with the words of shares that were not written to files."""
        found = []
        for packet in kept:
            shown = kept_to_json(packet)
            if packet.sealed.share_files:
                shown["share_files"] = [str(path) for path in packet.sealed.share_files]
            elif packet.sealed.shares:
                shown["shares"] = [
                    {"number": share.number, "words": " ".join(share.words)} for share in packet.sealed.shares
                ]
            found.append(shown)
        return found

    def lines(self, kept: Sequence[KeptPacket]) -> Iterator[str]:
        """What was kept, in words; then the shares, unless they were written to files."""
        for packet in kept:
            yield from _kept_lines(packet)
        for packet in kept:
            if packet.sealed.shares and not packet.sealed.share_files:
                yield ""
                yield from share_lines(packet.sealed)


def new_packet_passphrase(file: str | None) -> SecretBytes:
    """The passphrase that a packet is to have, from a file, else typed twice; without a line end."""
    if file:
        return packet_passphrase(read_key_file(file))
    return packet_passphrase(ask_new_passphrase("New passphrase of the packet", "--packet-key-file"))


def kept_to_json(packet: KeptPacket) -> Json:
    """One packet that was sealed and kept."""
    public = packet.sealed.public
    return {
        "id": public.packet_id,
        "stored_as": packet.added.id,
        "uuid": public.uuid,
        "kinds": list(public.kinds),
        "scheme": public.scheme,
        "recipients": [name.to_json() for name in public.recipients],
        "size": len(packet.sealed.packet.sealed),
        "stores": packet.added.stores,
        "uncounted": list(packet.uncounted),
        "away": [store.name for store in packet.added.away],
        "problems": [problem.text for problem in packet.added.problems],
        "files": [str(path) for path in packet.files],
    }


def has_warnings(kept: Sequence[KeptPacket]) -> bool:
    """Whether a packet has fewer copies than it should."""
    return any(packet.uncounted or packet.added.problems for packet in kept)


def _kept_lines(packet: KeptPacket) -> Iterator[str]:
    public = packet.sealed.public
    size = len(packet.sealed.packet.sealed)
    yield f"packet {public.packet_id}: {', '.join(public.kinds)} of {public.uuid or 'a volume without a UUID'}"
    for name in public.recipients:
        yield f"  for     {name.name} ({name.kind})"
    yield f"  copies  {', '.join(packet.copies) or 'none that counts'} ({count(size, 'byte')} each)"
    for store in packet.uncounted:
        yield f"  note    {store} lies on the disk that the packet opens: that is no copy"
    yield from missing_copies(packet.added.away, packet.added.problems)
    for path in packet.files:
        yield f"  file    {path}"
    for path in packet.sealed.share_files:
        yield f"  share   {path}"
    yield f"  opens   luksafe escrow open {public.packet_id}   (or: {OPEN_WITH[public.scheme]})"


def seal_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options; the function gets them as one ``sealing: SealOptions``."""

    def run(*args: Any, **options: Any) -> Any:
        values = {name: options.pop(name) for name in NAMES}
        return function(*args, sealing=SealOptions(**values), **options)

    run.__doc__, run.__name__ = function.__doc__, function.__name__
    run.__dict__.update(function.__dict__)
    folder = click.Path(path_type=Path, file_okay=False)
    for option in reversed(
        (
            click.option(
                "--recipient",
                multiple=True,
                metavar="R",
                help="age1…, ssh-…, a certificate file, a file of recipients, or the word passphrase; may be repeated.",
            ),
            click.option("--shares", metavar="M/N", help="Also a packet that any M of N shares open."),
            click.option(
                "--shares-dir", type=folder, help="Write the shares to files there, instead of printing them."
            ),
            click.option("--packet-key-file", help="The passphrase for --recipient passphrase, from a file."),
            click.option("--output", type=folder, help="Put the packet into this folder as well."),
            click.option("--reason", default="", help="A note that is sealed with it."),
        )
    ):
        run = option(run)
    return run
