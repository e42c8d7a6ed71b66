"""The key of a proof, from wherever the command line has it: typed, a file, the volume key itself, a packet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from luksafe.cli.app import App
from luksafe.cli.escrow.identities import Openers
from luksafe.cli.keys import KeyOptions
from luksafe.ops.proof import ProofKey


@contextmanager
def proof_key(app: App, key: KeyOptions, what_for: str, openers: Openers | None = None) -> Iterator[ProofKey]:
    """The key that the options name; without any, a passphrase is asked for. It is wiped at the end."""
    if key.packet:
        with _key_of_packet(app, key, openers or Openers()) as found:
            yield found
    elif key.volume_key_file:
        with key.volume_key() as volume_key:
            yield ProofKey(volume_key=volume_key, limits=key.limits)
    else:
        with key.passphrase(what_for) as passphrase:
            yield ProofKey(passphrase=passphrase, keyslot=key.key_slot, limits=key.limits)


@contextmanager
def _key_of_packet(app: App, key: KeyOptions, openers: Openers) -> Iterator[ProofKey]:
    """The passphrase in a packet, or else its volume key. The key file, if there is one, is for the packet."""
    from luksafe.ops.escrow.found import find_packet  # few proofs need what packets do
    from luksafe.ops.rebuild.from_packet import key_of_packet

    opening = Openers(openers.identity, openers.share, key.key_file)
    contents = opening.open(app, find_packet(app.workspace(), key.packet or "")).contents
    passphrase = contents.secret("passphrase")
    if contents.secret("volume-key") is None and passphrase is not None:
        with passphrase.value as value:
            yield ProofKey(passphrase=value, keyslot=key.key_slot, limits=key.limits)
        return
    with key_of_packet(contents, f"packet {contents.packet_id}").key as volume_key:
        yield ProofKey(volume_key=volume_key, limits=key.limits)


def packet_openers(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--identity`` and ``--share``; the function gets them as one ``openers: Openers``."""

    def run(*args: Any, identity: tuple[str, ...], share: tuple[str, ...], **options: Any) -> Any:
        return function(*args, openers=Openers(identity, share), **options)

    run.__doc__, run.__name__ = function.__doc__, function.__name__
    run.__dict__.update(function.__dict__)
    for option in (
        click.option("--share", multiple=True, help="A share of the packet's passphrase; may be repeated."),
        click.option("--identity", multiple=True, help="What opens the packet: an age, ssh, PEM or PKCS#12 file."),
    ):
        run = option(run)
    return run
