"""``luksafe stores``: the places that hold copies."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from luksafe.cli.app import EXIT_NEGATIVE, EXIT_WARNINGS, App, global_options, plain, verb
from luksafe.cli.prompts import ask
from luksafe.cli.terminal import echo
from luksafe.cli.text import count, table
from luksafe.device.location import is_local
from luksafe.errors import Refused, UsageError
from luksafe.ops.copies import count_copies, twin_of
from luksafe.vault.backup import Backup
from luksafe.vault.config import Config, add_store, remove_store
from luksafe.vault.folder_store import FolderStore
from luksafe.vault.report import Check, Copy, State
from luksafe.vault.store import Store


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    path: str
    here: bool
    own: bool | None
    backups: int | None
    why: str


_STATE_WORDS = {State.FOREIGN: "counts for nothing, as the store is not your own"}
_OWN = {True: "yes", False: "no", None: "?"}
_QUESTION = (
    "{folder} {about}.\n"
    "Is it yours alone, so that nobody else can write to it? Then proofs, undo entries and removals in it count as\n"
    "if they were in the vault. Otherwise it keeps copies, and nothing it says is believed. [{choice}] "
)


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@global_options
@click.pass_context
def command(ctx: click.Context, /, **settings: object) -> None:
    """List the stores; add, remove or check one."""
    ctx.obj = App.from_options(settings, ctx.obj)
    if ctx.invoked_subcommand is None:
        _list(ctx.obj)


def _list(app: App) -> None:
    with app.workspace().open_vault(create=True) as vault:
        rows = [_here(store, vault.backups()) for store in vault.stores]
        declared = {entry.name: entry.own for entry in vault.config.store}
        rows += [_Row(away.name, away.where, False, declared[away.name], None, away.why) for away in vault.away]
        wanted = vault.config.copies
        places = count_copies(vault, [Copy(row.name, row.here) for row in rows], None)
    lines = [(r.name, "here" if r.here else "away", _OWN[r.own], _held(r.backups), r.path, r.why) for r in rows]
    app.emit(
        {"stores": plain(rows), "wanted_copies": wanted, "independent": list(places.stores)},
        lambda: table(lines, ("name", "state", "own", "holds", "path", "")),
    )
    for reason in places.reasons:
        app.say(f"{reason}: together they are one copy")
    if len(places.stores) < wanted:
        app.say(f"{count(wanted, 'copy')} are wanted; next: luksafe stores add NAME DIR")


def _here(store: Store, backups: list[Backup]) -> _Row:
    path = str(store.folder.path) if isinstance(store, FolderStore) else ""
    held = sum(any(copy.store == store.name for copy in backup.copies) for backup in backups)
    return _Row(store.name, path, True, store.is_own, held, store.damage)


def _held(backups: int | None) -> str:
    return "?" if backups is None else count(backups, "backup")


@verb
@click.argument("name")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--own/--not-own",
    "own",
    default=None,
    help="Nobody but you writes there: what it says counts. Asked on a terminal; else yes for a local disk.",
)
def add(app: App, name: str, folder: Path, own: bool | None) -> int:
    """Make FOLDER (on another disk, a stick, a share) a store called NAME, and fill it."""
    workspace = app.workspace()
    with workspace.open_vault(create=True) as vault:
        _require_new(vault.config, name, folder)
        if own is None:
            own = _ask_whether_own(app, folder, vault.removed_by(folder.absolute()))
        entry = add_store(vault.home.folder, name, folder, workspace.random_bytes, own=own)
    with workspace.open_vault() as vault:
        done = vault.sync(now=workspace.now())
        twin = twin_of(vault, name)
    copied = next((len(s.copied) for s in done.stores if s.store == name), 0)
    kind = "a store" if entry.own else "a store that is not your own"
    app.emit(
        {
            "name": entry.name,
            "path": entry.path,
            "id": entry.id,
            "own": entry.own,
            "copied": copied,
            "on_disk_of": twin,
        },
        lambda: echo(f"{entry.name}: {entry.path} is {kind} now, {count(copied, 'file')} copied to it"),
    )
    if twin:
        app.say(f"{entry.name} lies on the disk of {twin}: one broken disk takes both, so together they are one copy")
    return 0


def _ask_whether_own(app: App, folder: Path, removed: Sequence[str]) -> bool:
    """What the user answers; without a terminal, or by the Enter key: yes for a local disk.

    Raises Refused where nobody can be asked, and what the folder says would remove backups.
    """
    would = f"the store in {folder} says that {count(len(removed), 'backup')} of this vault should be gone"
    if not _can_ask(app) and removed:
        raise Refused(
            f"{would}: {', '.join(backup_id[:12] for backup_id in removed)}",
            code="would-forget",
            hint="--not-own keeps them; --own removes them here too, if it was you who forgot them",
        )
    is_default = is_local(folder.absolute()) and not removed
    if not _can_ask(app):
        return is_default
    about = "is on a local disk" if is_local(folder.absolute()) else "is a share, or on no disk that is known"
    if removed:
        about += f", and {would}, which as your own it would remove"
    question = _QUESTION.format(folder=folder, about=about, choice="Y/n" if is_default else "y/N")
    answer = ask(question).lower()
    return answer in ("y", "yes") if answer else is_default


def _can_ask(app: App) -> bool:
    return not app.yes and sys.stdin.isatty() and sys.stderr.isatty()


def _require_new(config: Config, name: str, folder: Path) -> None:
    for store in config.store:
        if store.name == name or Path(store.path) == folder.absolute():
            raise UsageError(
                f"there is a store {store.name} already: {store.path}",
                hint=f"choose another name and folder, or: luksafe stores remove {store.name}",
            )


@verb
@click.argument("name")
def remove(app: App, name: str) -> int:
    """Take the store NAME out of the configuration; what it holds stays."""
    with app.workspace().open_vault() as vault:
        entry = remove_store(vault.home.folder, name)
    app.emit(
        {"name": entry.name, "path": entry.path},
        lambda: echo(f"{entry.name}: removed; {entry.path} is as it was"),
    )
    return 0


@verb
def check(app: App) -> int:
    """Read every file of every store that is here and say what is damaged or missing."""
    workspace = app.workspace()
    with workspace.open_vault() as vault:
        report = vault.check(now=workspace.now())
    app.emit(plain(report), lambda: _print_check(report))
    if not all(store.is_level for store in report.stores):
        return EXIT_NEGATIVE
    return EXIT_WARNINGS if report.away else 0


def _print_check(report: Check) -> None:
    for store in report.stores:
        whole = count(len(store.intact), "whole backup")
        echo(f"{store.store}: {'level' if store.is_level else 'NOT LEVEL'}, {whole}")
        for name, state in store.files.items():
            if state is not State.INTACT:
                echo(f"  {_STATE_WORDS.get(state, state.value)}: {name}")
        for problem in store.problems:
            echo(f"  {problem.name or store.store}: {problem.text}")
        if not store.is_level:
            echo("  next: luksafe sync")
    for away in report.away:
        echo(f"{away.name}: not here ({away.why})")


for sub in (add, remove, check):
    command.add_command(sub)
