"""What opens a packet: identity files, a passphrase, shares one by one. The same options for every verb."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import click

from luksafe.cli.app import App
from luksafe.cli.echo_off import echo_off
from luksafe.cli.escrow.plugins import TerminalCallbacks
from luksafe.cli.escrow.shares import collect_shares
from luksafe.cli.input_file import read_input
from luksafe.cli.keys import ask_passphrase, read_key_file
from luksafe.errors import KeyRejected
from luksafe.escrow.contents import Contents
from luksafe.escrow.recipients.files import MAX_FILE_BYTES, load_identities
from luksafe.escrow.recipients.interface import Identity
from luksafe.escrow.recipients.passphrase import Passphrase
from luksafe.ops.escrow.found import FoundPacket
from luksafe.ops.escrow.opening import canary_words, open_found
from luksafe.ops.escrow.recipients import packet_passphrase
from luksafe.secret import SecretBytes

NAMES = ("identity", "share", "key_file")


@dataclass(frozen=True)
class Opened:
    """An opened packet. ``found`` has the public part that follows from what was inside."""

    found: FoundPacket
    contents: Contents
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Openers:
    """What the command line gives to open packets with."""

    identity: tuple[str, ...] = ()
    share: tuple[str, ...] = ()
    key_file: str | None = None

    @property
    def is_given(self) -> bool:
        """Whether there is anything."""
        return bool(self.identity or self.share or self.key_file)

    def open(self, app: App, found: FoundPacket) -> Opened:
        """Open the packet; asks on the terminal for what is not given. Warns of what is odd.

        Raises KeyRejected, DamagedInput, UsageError, Unsupported.
        """
        opened, problem = open_found(found, self._identities(app, found))
        warnings = tuple(words for words in (problem, canary_words(opened.contents)) if words)
        for words in warnings:
            app.warn(f"{found.description}: {words}")
        return Opened(replace(found, packet=replace(found.packet, public=opened.public)), opened.contents, warnings)

    def _identities(self, app: App, found: FoundPacket) -> list[Identity]:
        if found.packet.scheme != "passphrase":
            return self.load(app)
        shares = found.public.shares if found.public else None
        if self.share or (shares is not None and not self.key_file):
            return [collect_shares(app, shares, self.share)]
        # paper does not say whether the passphrase was split
        or_shares = " (nothing: it was split into shares)" if found.public is None and not self.key_file else ""
        with self._password(f"Passphrase of {found.description}{or_shares}: ") as typed:
            if or_shares and not len(typed):
                return [collect_shares(app, None, ())]
            return [Passphrase(packet_passphrase(typed))]

    def load(self, app: App) -> list[Identity]:
        """The identities in all files; a protected one is opened with the key file, or asked for."""
        found: list[Identity] = []
        for name in self.identity:
            data = read_input(name, MAX_FILE_BYTES).reveal()
            try:
                found += load_identities(data, None, TerminalCallbacks(app))
            except KeyRejected as error:
                if error.code != "password-needed":
                    raise
                with self._password(f"Passphrase of {name}: ") as typed, packet_passphrase(typed) as password:
                    found += load_identities(data, password, TerminalCallbacks(app))
        return found

    def typed(self) -> SecretBytes | None:
        """What the key file holds, a copy for each caller: standard input is read once. None without one."""
        return SecretBytes(self._key.view) if self._key is not None else None

    @cached_property
    def _key(self) -> SecretBytes | None:
        return read_key_file(self.key_file) if self.key_file else None

    def _password(self, prompt: str) -> SecretBytes:
        return self.typed() or ask_passphrase(prompt)


def opener_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that open a packet; the function gets them as one ``openers: Openers``."""

    def run(*args: Any, **options: Any) -> Any:
        values = {name: options.pop(name) for name in NAMES}
        openers = Openers(**values)
        with nullcontext() if openers.key_file else echo_off():
            return function(*args, openers=openers, **options)

    run.__doc__, run.__name__ = function.__doc__, function.__name__
    run.__dict__.update(function.__dict__)
    for option in reversed(
        (
            click.option("--identity", multiple=True, help="A private key: age, ssh, PEM or PKCS#12 file."),
            click.option("--share", multiple=True, help="A share: its file, or a scan of its sheet; may be repeated."),
            click.option("--key-file", help="Passphrase of the packet or of the identity, from a file; - is stdin."),
        )
    ):
        run = option(run)
    return run
