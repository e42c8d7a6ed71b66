"""``luksafe stores``: the places that hold copies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from luksafe.cli.app import EXIT_NEGATIVE, EXIT_WARNINGS, App, global_options, plain, verb
from luksafe.cli.terminal import echo
from luksafe.cli.text import count, table
from luksafe.errors import UsageError
from luksafe.vault.backup import Backup
from luksafe.vault.config import Config, add_store, remove_store
from luksafe.vault.folder_store import FolderStore
from luksafe.vault.report import Check, State
from luksafe.vault.store import Store


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    path: str
    here: bool
    backups: int | None
    why: str


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
        rows += [_Row(away.name, away.where, False, None, away.why) for away in vault.away]
        wanted = vault.config.copies
    lines = [(r.name, "here" if r.here else "away", _held(r.backups), r.path, r.why) for r in rows]
    app.emit(
        {"stores": plain(rows), "wanted_copies": wanted},
        lambda: table(lines, ("name", "state", "holds", "path", "")),
    )
    if len(rows) < wanted:
        app.say(f"{count(wanted, 'copy')} are wanted; next: luksafe stores add NAME DIR")


def _here(store: Store, backups: list[Backup]) -> _Row:
    path = str(store.folder.path) if isinstance(store, FolderStore) else ""
    held = sum(any(copy.store == store.name for copy in backup.copies) for backup in backups)
    return _Row(store.name, path, True, held, store.damage)


def _held(backups: int | None) -> str:
    return "?" if backups is None else count(backups, "backup")


@verb
@click.argument("name")
@click.argument("folder", type=click.Path(path_type=Path))
def add(app: App, name: str, folder: Path) -> int:
    """Make FOLDER (on another disk, a stick, a share) a store called NAME, and fill it."""
    workspace = app.workspace()
    with workspace.open_vault(create=True) as vault:
        _require_new(vault.config, name, folder)
        entry = add_store(vault.home.folder, name, folder, workspace.random_bytes)
    with workspace.open_vault() as vault:
        done = vault.sync(now=workspace.now())
    copied = next((len(s.copied) for s in done.stores if s.store == name), 0)
    app.emit(
        {"name": entry.name, "path": entry.path, "id": entry.id, "copied": copied},
        lambda: echo(f"{entry.name}: {entry.path} is a store now, {count(copied, 'file')} copied to it"),
    )
    return 0


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
                echo(f"  {state.value}: {name}")
        for problem in store.problems:
            echo(f"  {problem.name or store.store}: {problem.text}")
        if not store.is_level:
            echo("  next: luksafe sync")
    for away in report.away:
        echo(f"{away.name}: not here ({away.why})")


for sub in (add, remove, check):
    command.add_command(sub)
