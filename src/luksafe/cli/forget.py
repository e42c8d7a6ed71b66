"""``luksafe forget``: remove a backup for good."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import click

from luksafe.cli.app import EXIT_WARNINGS, App, verb
from luksafe.cli.prompts import confirm
from luksafe.vault.report import Forgotten


@verb
@click.argument("backups", nargs=-1, required=True)
@click.option("--why", default="", help="A note that is kept with the tombstone.")
def command(app: App, backups: tuple[str, ...], why: str) -> int:
    """Remove BACKUP from every store, for good: a tombstone keeps it from coming back with a store that is away."""
    workspace = app.workspace()
    with workspace.open_vault() as vault:
        found = [vault.resolve(name) for name in backups]
        for backup in found:
            state = "the current backup" if backup.is_current else "an older backup"
            app.say(f"{backup.id}: {state} of {backup.record.uuid}, taken {backup.record.created}")
            others = [b for b in vault.backups(backup.record.uuid) if b.id not in {f.id for f in found}]
            if backup.is_current and not others:
                app.warn("no other backup of this volume is left afterwards")
        confirm(app, "Forget for good?")
        done = [vault.forget(b.id, why, now=workspace.now(), host=workspace.host_name) for b in found]
    app.emit(
        {"forgotten": [{"id": d.id, "stores": d.stores, "away": [a.name for a in d.away]} for d in done]},
        lambda: chain.from_iterable(_lines(item) for item in done),
    )
    return EXIT_WARNINGS if any(item.problems for item in done) else 0


def _lines(item: Forgotten) -> Iterator[str]:
    yield f"{item.id}: forgotten in {', '.join(item.stores)}"
    for store in item.away:
        yield f"  {store.name} is away; it goes there too with the next 'luksafe sync'"
    for problem in item.problems:
        yield f"  problem: {problem.store}: {problem.text}"
