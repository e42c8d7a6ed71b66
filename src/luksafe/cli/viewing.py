"""What extract, mount, serve, ls and cp share: naming the volume, its data, its key, or parameters given by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from luksafe.cli.app import App
from luksafe.cli.keys import KeyOptions, key_options
from luksafe.cli.targets import header_option, target_argument
from luksafe.errors import UsageError
from luksafe.ops.target import Target, open_target
from luksafe.ops.view import ByHand, View, ViewKey, open_view

_NAMES = ("target", "header_file", "data", "key", "cipher", "sector_size", "data_offset", "data_size", "iv_offset")
_MORE = ("iv_large_sectors", "accept_noise", "identity", "share")


@dataclass(frozen=True)
class ViewOptions:
    """The options that say what to open."""

    target: str
    header_file: str | None
    data: Path | None
    key: KeyOptions
    cipher: str | None
    sector_size: str
    data_offset: int
    data_size: int | None
    iv_offset: int
    iv_large_sectors: bool
    accept_noise: bool
    identity: tuple[str, ...]
    share: tuple[str, ...]

    @contextmanager
    def open(self, app: App) -> Iterator[View]:
        """The decrypted volume; notes and warnings are printed."""
        if self.cipher and not self.key.volume_key_file:
            raise UsageError(
                "--cipher takes the place of the header, so the volume key itself is needed too",
                hint="give --volume-key-file FILE",
            )
        with ExitStack() as stack:
            target = stack.enter_context(open_target(app.workspace(), self.target, self.header_file))
            if not self.cipher and not self.key.packet:
                target.inspection.require_header()  # before a passphrase is asked for
            key = stack.enter_context(self._key(app, target))
            view = stack.enter_context(open_view(target, key, data=self.data, accept_noise=self.accept_noise))
            for note in view.notes:
                app.say(note)
            for warning in view.warnings:
                app.warn(warning)
            yield view

    @contextmanager
    def _key(self, app: App, target: Target) -> Iterator[ViewKey]:
        if self.key.packet:
            yield self._key_of_packet(app, target, self.key.packet)
        elif self.key.volume_key_file:
            with self.key.volume_key() as volume_key:
                yield ViewKey(volume_key=volume_key, limits=self.key.limits, by_hand=self._by_hand())
        else:
            with self.key.passphrase(target.description) as passphrase:
                yield ViewKey(passphrase, keyslot=self.key.key_slot, limits=self.key.limits)

    def _key_of_packet(self, app: App, target: Target, name: str) -> ViewKey:
        """The volume key of an escrow packet, with its parameters where the header is gone; else its passphrase."""
        from luksafe.cli.escrow.identities import Openers
        from luksafe.ops.escrow.found import find_packet
        from luksafe.ops.rebuild.from_packet import key_of_packet

        openers = Openers(self.identity, self.share, self.key.key_file)
        contents = openers.open(app, find_packet(app.workspace(), name)).contents
        passphrase = contents.secret("passphrase")
        if contents.secret("volume-key") is None and passphrase is not None and target.inspection.header is not None:
            return ViewKey(passphrase.value, limits=self.key.limits)
        source = key_of_packet(contents, f"packet {contents.packet_id}")
        by_hand = None
        if target.inspection.header is None and source.parameters is not None:
            p = source.parameters
            by_hand = ByHand(
                p.encryption, p.sector_size, p.data_offset, p.segment_size, p.iv_tweak, integrity=p.integrity
            )
            app.say(f"no usable header: cipher, sector size and data offset are those in {source.origin}")
        return ViewKey(volume_key=source.key, limits=self.key.limits, by_hand=by_hand)

    def _by_hand(self) -> ByHand | None:
        if not self.cipher:
            return None
        size = int(self.sector_size)
        return ByHand(self.cipher, size, self.data_offset, self.data_size, self.iv_offset, self.iv_large_sectors)


def view_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """TARGET and every option that says how to open it; the function gets them as one ``view: ViewOptions``."""

    def run(*args: Any, **options: Any) -> Any:
        mine = {name: options.pop(name) for name in (*_NAMES, *_MORE)}
        return function(*args, view=ViewOptions(**mine), **options)

    run.__doc__, run.__name__ = function.__doc__, function.__name__
    run.__dict__.update(function.__dict__)
    hand = "Without a header: "
    for option in reversed(
        (
            click.option("--identity", multiple=True, help="What opens the packet: an age, ssh, PEM or PKCS#12 file."),
            click.option("--share", multiple=True, help="A share of the packet's passphrase; may be repeated."),
            click.option("--data", type=click.Path(path_type=Path), help="The device or image that holds the data."),
            click.option("--cipher", help=hand + "the cipher as dm-crypt spells it, such as aes-xts-plain64."),
            click.option(
                "--sector-size",
                type=click.Choice(["512", "1024", "2048", "4096"]),
                default="512",
                help=hand + "their size.",
            ),
            click.option(
                "--data-offset", type=click.IntRange(0), default=0, help=hand + "where the data begin, bytes."
            ),
            click.option("--data-size", type=click.IntRange(1), help=hand + "how long they are, bytes."),
            click.option(
                "--iv-offset", type=click.IntRange(0), default=0, help=hand + "the IV offset, 512-byte sectors."
            ),
            click.option("--iv-large-sectors", is_flag=True, help=hand + "IVs count encryption sectors."),
            click.option("--accept-noise", is_flag=True, help="Go on though what decrypts makes no sense."),
        )
    ):
        run = option(run)
    return target_argument(header_option(key_options(run)))
