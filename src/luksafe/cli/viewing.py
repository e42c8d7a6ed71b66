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
_FLAGS = ("iv_large_sectors", "accept_noise")


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

    @contextmanager
    def open(self, app: App) -> Iterator[View]:
        """The decrypted volume; notes and warnings are printed."""
        with ExitStack() as stack:
            target = stack.enter_context(open_target(app.workspace(), self.target, self.header_file))
            if not self.cipher:
                target.inspection.require_header()  # before a passphrase is asked for
            key = stack.enter_context(self._key(target))
            view = stack.enter_context(open_view(target, key, data=self.data, accept_noise=self.accept_noise))
            for note in view.notes:
                app.say(note)
            for warning in view.warnings:
                app.warn(warning)
            yield view

    @contextmanager
    def _key(self, target: Target) -> Iterator[ViewKey]:
        if self.cipher and not self.key.volume_key_file:
            raise UsageError(
                "--cipher takes the place of the header, so the volume key itself is needed too",
                hint="give --volume-key-file FILE",
            )
        if self.key.volume_key_file:
            with self.key.volume_key() as volume_key:
                yield ViewKey(volume_key=volume_key, limits=self.key.limits, by_hand=self._by_hand())
        else:
            with self.key.passphrase(target.description) as passphrase:
                yield ViewKey(passphrase, keyslot=self.key.key_slot, limits=self.key.limits)

    def _by_hand(self) -> ByHand | None:
        if not self.cipher:
            return None
        return ByHand(
            self.cipher, int(self.sector_size), self.data_offset, self.data_size, self.iv_offset, self.iv_large_sectors
        )


def view_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """TARGET and every option that says how to open it; the function gets them as one ``view: ViewOptions``."""

    def run(*args: Any, **options: Any) -> Any:
        mine = {name: options.pop(name) for name in (*_NAMES, *_FLAGS)}
        return function(*args, view=ViewOptions(**mine), **options)

    run.__doc__, run.__name__ = function.__doc__, function.__name__
    run.__dict__.update(function.__dict__)
    hand = "Without a header: "
    for option in reversed(
        (
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
