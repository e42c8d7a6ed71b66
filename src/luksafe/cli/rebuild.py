"""``luksafe rebuild``: a new header round a volume key that is known."""

from __future__ import annotations

from pathlib import Path

import click

from luksafe.cli.app import App, verb
from luksafe.cli.dangers import danger_options
from luksafe.cli.escrow.identities import Openers, opener_options
from luksafe.cli.rebuild_options import NewKey, StatedParameters, new_key_options, parameter_options
from luksafe.cli.rebuild_source import SourceOptions, source_options
from luksafe.cli.rebuild_steps import carry_out
from luksafe.ops.rebuild.known import gather, look
from luksafe.ops.rebuild.plan import FLAG_HELP


@verb
@click.argument("device")
@source_options
@opener_options
@click.option("--to", "to_file", type=click.Path(path_type=Path), help="Write a detached header to this new file.")
@new_key_options
@parameter_options
@click.option("--dry-run", is_flag=True, help="Stop after the plan.")
@danger_options(FLAG_HELP, "Overwrite this foreign signature.")
def command(
    app: App,
    device: str,
    source: SourceOptions,
    openers: Openers,
    to_file: Path | None,
    new_key: NewKey,
    stated: StatedParameters,
    dry_run: bool,
    accepted: list[str],
) -> int:
    """Put a new header round the volume key of DEVICE, with a new passphrase. The data are not touched.

    The key is verified first: by a digest, by the active mapping, by what the data decrypt to. Its parameters come
    with it, or from a header that is left, or from a backup in the vault; else state them all.
    """
    source.require_one()
    with look(device) as volume, gather(app.workspace(), volume, source.take(app, volume, stated, openers)) as known:
        return carry_out(app, volume, known, new_key, to_file=to_file, dry_run=dry_run, accepted=accepted)
