"""From where ``rebuild`` takes the volume key: exactly one of a file, a packet, a mapping, an image of memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from luksafe.cli.app import App
from luksafe.cli.escrow.identities import Openers
from luksafe.cli.keys import read_key_file
from luksafe.cli.progress import Progress
from luksafe.cli.rebuild_options import StatedParameters
from luksafe.errors import UsageError
from luksafe.memory.sources.kcore import KCORE
from luksafe.ops.escrow.found import find_packet
from luksafe.ops.rebuild.from_mapping import key_of_mapping
from luksafe.ops.rebuild.from_memory import key_of_memory
from luksafe.ops.rebuild.from_packet import key_of_packet
from luksafe.ops.rebuild.known import KeySource, Volume
from luksafe.ops.rebuild.mapped import AsLuks

SOURCE_NAMES = ("volume_key_file", "packet", "from_mapping", "from_memory", "as_luks")


@dataclass(frozen=True)
class SourceOptions:
    """The options that name where the key is."""

    volume_key_file: str | None = None
    packet: str | None = None
    from_mapping: str | None = None
    from_memory: Path | None = None
    as_luks: AsLuks | None = None

    def require_one(self) -> None:
        """Raise UsageError unless exactly one is given."""
        if sum(1 for given in (self.volume_key_file, self.packet, self.from_mapping, self.from_memory) if given) != 1:
            raise UsageError(
                "say where the volume key is, once",
                hint="--from-mapping NAME (see: luksafe mappings), --packet PACKET, --volume-key-file FILE, "
                "or --from-memory SOURCE",
            )

    def take(self, app: App, volume: Volume, stated: StatedParameters, openers: Openers) -> KeySource:
        """The key, from where the options say."""
        if self.packet:
            opened = openers.open(app, find_packet(app.workspace(), self.packet))
            return key_of_packet(opened.contents, f"packet {opened.contents.packet_id}", volume.facts)
        if self.volume_key_file:
            key = read_key_file(self.volume_key_file)
            return KeySource(key, f"the volume key in {self.volume_key_file}", stated.parameters(), stated.uuid or "")
        with Progress(app, "searching memory", None) as progress:
            if self.from_mapping:
                return key_of_mapping(
                    self.from_mapping,
                    volume.device,
                    as_luks=self.as_luks or "",
                    uuid=stated.uuid or "",
                    say=app.say,
                    progress=lambda done, total: progress(done),
                )
            return key_of_memory(
                app.workspace(),
                volume,
                self.from_memory or KCORE,
                stated.parameters(),
                stated.uuid or "",
                progress=lambda done, total: progress(done),
            )


def source_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options; the function gets them as one ``source: SourceOptions``."""

    def run(*args: Any, **options: Any) -> Any:
        values = {name: options.pop(name) for name in SOURCE_NAMES}
        return function(*args, source=SourceOptions(**values), **options)

    run.__doc__, run.__name__ = function.__doc__, function.__name__
    run.__dict__.update(function.__dict__)
    for option in reversed(
        (
            click.option("--from-mapping", metavar="NAME", help="The active mapping NAME over DEVICE."),
            click.option("--volume-key-file", metavar="FILE", help="The volume key itself, raw bytes; - is stdin."),
            click.option("--packet", metavar="PACKET", help="An escrow packet: a file, or its id in the vault."),
            click.option(
                "--from-memory",
                metavar="SOURCE",
                type=click.Path(path_type=Path),
                help="An image of memory in which DEVICE is open: /proc/kcore, a dump, a hibernation image.",
            ),
            click.option(
                "--as-luks", type=click.Choice(["luks1", "luks2"]), help="Make a header for a mapping that is no LUKS."
            ),
        )
    ):
        run = option(run)
    return run
