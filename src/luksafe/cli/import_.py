"""``luksafe import``: header backups that cryptsetup or dd made."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import click

from luksafe.cli.app import EXIT_WARNINGS, App, verb
from luksafe.ops.exchange import Imported, import_file


@verb
@click.argument("files", nargs=-1, required=True)
@click.option("--again", is_flag=True, help="Keep a header that was forgotten before.")
@click.option("--why", default="", help="A note that is kept with the backup.")
def command(app: App, files: tuple[str, ...], again: bool, why: str) -> int:
    """Take header backups (luksHeaderBackup files, or the start of a disk) into the vault."""
    done = [import_file(app.workspace(), file, again=again, why=why) for file in files]
    result = [
        {"file": item.path, "id": item.added.id, "new": item.added.new, "stores": item.added.stores} for item in done
    ]
    app.emit({"imported": result}, lambda: chain.from_iterable(_lines(item) for item in done))
    return EXIT_WARNINGS if any(item.inspection.is_refused for item in done) else 0


def _lines(item: Imported) -> Iterator[str]:
    what = "imported" if item.added.new else "stored already"
    yield f"{item.path}: {what} as {item.added.id}, in {', '.join(item.added.stores)}"
    for finding in item.inspection.findings:
        yield f"  {finding.severity.value}: {finding.text}"
