"""``luksafe forget``: remove a backup for good."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain

import click

from luksafe.cli.app import EXIT_WARNINGS, App, plain, verb
from luksafe.cli.prompts import ask, confirm, has_terminal
from luksafe.cli.terminal import echo
from luksafe.errors import NotFound, Refused, UsageError
from luksafe.luks.model import Json
from luksafe.ops.escrow.found import find_stored
from luksafe.ops.forget import ForgetPlan, Forgot, forget, plan_forget
from luksafe.vault.backup import Backup
from luksafe.vault.name import is_uuid
from luksafe.vault.packets import StoredPacket
from luksafe.vault.vault import Vault

ALLOW_LAST = "--allow-last"
BEYOND_REACH = (
    "not reached: exports, paper, copies of a store made by other tools or snapshots, and what flash memory keeps of"
    " deleted files; a passphrase that leaked is cured by 'cryptsetup reencrypt' only"
)


@verb
@click.argument("backups", nargs=-1, required=True)
@click.option("--why", default="", help="A note that is kept with the tombstone.")
@click.option("--undo", "with_undo", is_flag=True, help="Remove the undo entries that hold the header as well.")
@click.option(ALLOW_LAST, "allow_last", is_flag=True, help="Forget even what may be the last way into a volume.")
@click.option("--dry-run", is_flag=True, help="Say what would happen, and stop.")
def command(app: App, backups: tuple[str, ...], why: str, with_undo: bool, allow_last: bool, dry_run: bool) -> int:
    """Remove BACKUP (or an escrow packet) from every store, for good.

    A tombstone keeps it from coming back with a store that is away. Refused for the last backup that is known to open
    a volume, and for one whose successor was not proven to open the same volume key.
    """
    workspace = app.workspace()
    with workspace.open_vault() as vault:
        named = [_find(app, vault, name) for name in backups]
        plans = plan_forget(workspace, vault, named)
        shown: Json = {"would_forget": [_plan_json(plan) for plan in plans], "dry_run": dry_run}
        if not (app.json and dry_run):
            for line in chain.from_iterable(_plan_lines(plan, with_undo=with_undo) for plan in plans):
                echo(line, err=not dry_run)
        if not allow_last:
            _refuse_last(plans, shown)
        if dry_run:
            app.emit(shown, lambda: ())
            return 0
        confirm(app, "Forget for good?")
        with_undo = with_undo or _offer_undo(app, plans)
        done = [forget(workspace, vault, plan, why=why, with_undo=with_undo) for plan in plans]
    app.emit({"forgotten": [_done_json(each) for each in done]}, lambda: chain.from_iterable(map(_lines, done)))
    return EXIT_WARNINGS if any(each.forgotten.problems for each in done) else 0


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


def _refuse_last(plans: Sequence[ForgetPlan], shown: Json) -> None:
    """Raise Refused for the first that should stay."""
    for plan in plans:
        if plan.keep is not None:
            hint = f"to forget it all the same: {ALLOW_LAST}"
            if plan.keep.next:
                hint = f"{plan.keep.next}; {hint}"
            refusal = Refused(f"{plan.id[:12]} is kept: {plan.keep.text}", code=plan.keep.code, hint=hint)
            refusal.result = shown
            raise refusal


def _offer_undo(app: App, plans: Sequence[ForgetPlan]) -> bool:
    """Ask on a terminal whether the undo entries go too; they stay unless the answer is YES."""
    if app.yes or not has_terminal() or not any(copy for plan in plans for copy in plan.undo if not copy.is_pending):
        return False
    return ask("Remove the undo entries that hold it too? Type YES for that, anything else keeps them: ") == "YES"


def _plan_lines(plan: ForgetPlan, *, with_undo: bool) -> Iterator[str]:
    yield f"{plan.id}: {plan.what}"
    yield f"  goes from {', '.join(plan.stores) or 'no store that is here'}"
    for name in plan.away:
        yield f"  {name} is away: it goes there too with the next 'luksafe sync'"
    for copy in plan.undo:
        fate = "stays: that write was interrupted" if copy.is_pending else "stays; --undo removes it"
        if with_undo and not copy.is_pending:
            fate = "is removed: that write can then not be undone"
        yield f"  undo entry {copy.id} of {copy.device} holds it too, and {fate}"
    if plan.is_backup:
        yield f"  {BEYOND_REACH}"
    if plan.keep is not None:
        yield f"  DANGER  {plan.keep.text}"


def _plan_json(plan: ForgetPlan) -> Json:
    return {
        "id": plan.id,
        "what": plan.what,
        "uuid": plan.uuid,
        "stores": list(plan.stores),
        "away": list(plan.away),
        "undo_entries": [copy.id for copy in plan.undo],
        "keep": plain(plan.keep) if plan.keep else None,
    }


def _done_json(done: Forgot) -> Json:
    return {
        "id": done.forgotten.id,
        "stores": done.forgotten.stores,
        "away": [store.name for store in done.forgotten.away],
        "undo_removed": list(done.undo_removed),
        "undo_kept": list(done.undo_kept),
    }


def _lines(done: Forgot) -> Iterator[str]:
    item = done.forgotten
    yield f"{item.id}: forgotten in {', '.join(item.stores)}"
    for store in item.away:
        yield f"  {store.name} is away; it goes there too with the next 'luksafe sync'"
    if done.undo_removed:
        yield f"  removed with it: undo entry {', '.join(done.undo_removed)}"
    if done.undo_kept:
        yield f"  still in the undo folders: {', '.join(done.undo_kept)} (--undo removes those of finished writes)"
    for problem in item.problems:
        yield f"  problem: {problem.store}: {problem.text}"
