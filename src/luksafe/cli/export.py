"""``luksafe export``: a backup as a file that cryptsetup takes."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from luksafe.cli.app import App, verb
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
        lambda: (
            f"{file}: {human_size(size)}",
            f"next: cryptsetup open --test-passphrase --header {shlex.quote(str(file))} DEVICE",
        ),
    )
    return 0
