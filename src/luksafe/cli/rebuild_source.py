"""From where ``rebuild`` takes the volume key: exactly one of a file, a packet, a mapping, an image of memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from luksafe.cli.app import App
from luksafe.cli.keys import read_key_file
from luksafe.cli.progress import Progress
from luksafe.cli.rebuild_options import StatedParameters
from luksafe.errors import UsageError
from luksafe.ops.rebuild.from_mapping import key_of_mapping
from luksafe.ops.rebuild.known import KeySource, Volume
from luksafe.ops.rebuild.mapped import AsLuks

SOURCE_NAMES = ("volume_key_file", "from_mapping", "as_luks")


@dataclass(frozen=True)
class SourceOptions:
    """The options that name where the key is."""

    volume_key_file: str | None = None
    from_mapping: str | None = None
    as_luks: str | None = None

    def require_one(self) -> None:
        """Raise UsageError unless exactly one is given."""
        given = [value for value in (self.volume_key_file, self.from_mapping) if value]
        if len(given) != 1:
            raise UsageError(
                "say where the volume key is, once",
                hint="--from-mapping NAME (see: luksafe mappings), or --volume-key-file FILE",
            )

    def take(self, app: App, volume: Volume, stated: StatedParameters) -> KeySource:
        """The key, from where the options say."""
        self.require_one()
        if self.from_mapping:
            as_luks: AsLuks = {"luks1": "luks1", "luks2": "luks2"}.get(self.as_luks or "", "")  # type: ignore[assignment]
            with Progress(app, "memory", None) as progress:
                return key_of_mapping(
                    self.from_mapping,
                    volume.device,
                    as_luks=as_luks,
                    uuid=stated.uuid or "",
                    say=app.say,
                    progress=lambda done, total: progress(done),
                )
        key = read_key_file(self.volume_key_file or "-")
        return KeySource(key, f"the volume key in {self.volume_key_file}", stated.parameters(), stated.uuid or "")


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
            click.option(
                "--as-luks", type=click.Choice(["luks1", "luks2"]), help="Make a header for a mapping that is no LUKS."
            ),
        )
    ):
        run = option(run)
    return run
