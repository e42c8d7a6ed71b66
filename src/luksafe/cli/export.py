"""``luksafe export``: a backup as a file that cryptsetup takes."""

from __future__ import annotations

from pathlib import Path

import click

from luksafe.cli.app import App, verb
from luksafe.cli.terminal import echo
from luksafe.cli.text import human_size
from luksafe.ops.exchange import export_backup


@verb
@click.argument("backup")
@click.argument("file", type=click.Path(path_type=Path))
def command(app: App, backup: str, file: Path) -> int:
    """Write BACKUP to the new FILE, as 'cryptsetup luksHeaderRestore' and 'open --header' take it."""
    size = export_backup(app.workspace(), backup, file)
    app.emit(
        {"file": str(file), "size": size},
        lambda: echo(f"{file}: {human_size(size)}\nnext: cryptsetup open --test-passphrase --header {file} DEVICE"),
    )
    return 0
