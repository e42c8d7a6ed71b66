"""``luksafe forget``: remove a backup for good."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import chain

import click

from luksafe.cli.app import EXIT_WARNINGS, App, verb
from luksafe.cli.prompts import confirm
from luksafe.errors import NotFound, UsageError
from luksafe.ops.escrow.found import find_stored
from luksafe.vault.backup import Backup
from luksafe.vault.name import is_uuid
from luksafe.vault.packets import StoredPacket
from luksafe.vault.report import Forgotten
from luksafe.vault.vault import Vault


@verb
@click.argument("backups", nargs=-1, required=True)
@click.option("--why", default="", help="A note that is kept with the tombstone.")
def command(app: App, backups: tuple[str, ...], why: str) -> int:
    """Remove BACKUP (or an escrow packet) from every store, for good.

    A tombstone keeps it from coming back with a store that is away.
    """
    workspace = app.workspace()
    with workspace.open_vault() as vault:
        named = [_find(app, vault, name) for name in backups]
        packets = [each for each in named if isinstance(each, StoredPacket)]
        found = [each for each in named if isinstance(each, Backup)]
        for packet in packets:
            app.say(f"{packet.id}: an escrow packet of {packet.uuid or 'a volume without a UUID'}")
        for backup in found:
            state = "the current backup" if backup.is_current else "an older backup"
            app.say(f"{backup.id}: {state} of {backup.record.uuid}, taken {backup.record.created}")
            others = [b for b in vault.backups(backup.record.uuid) if b.id not in {f.id for f in found}]
            if backup.is_current and not others:
                app.warn("no other backup of this volume is left afterwards")
        confirm(app, "Forget for good?")
        done = [vault.forget(each.id, why, now=workspace.now(), host=workspace.host_name) for each in named]
    app.emit(
        {"forgotten": [{"id": d.id, "stores": d.stores, "away": [a.name for a in d.away]} for d in done]},
        lambda: chain.from_iterable(_lines(item) for item in done),
    )
    return EXIT_WARNINGS if any(item.problems for item in done) else 0


def _find(app: App, vault: Vault, name: str) -> Backup | StoredPacket:
    """The backup or the packet of that name; a UUID means a backup. Raises UsageError when it fits both."""
    packet = None
    if not is_uuid(name):
        with suppress(NotFound):
            packet = find_stored(app.workspace(), name)
    try:
        backup = vault.resolve(name)
    except NotFound:
        if packet is None:
            raise
        return packet
    if packet is not None:
        raise UsageError(f"{name!r} fits a backup and a packet", code="ambiguous", hint=f"{backup.id} or {packet.id}")
    return backup


def _lines(item: Forgotten) -> Iterator[str]:
    yield f"{item.id}: forgotten in {', '.join(item.stores)}"
    for store in item.away:
        yield f"  {store.name} is away; it goes there too with the next 'luksafe sync'"
    for problem in item.problems:
        yield f"  problem: {problem.store}: {problem.text}"
