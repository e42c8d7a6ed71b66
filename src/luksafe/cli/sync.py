"""``luksafe sync``: bring all stores level."""

from __future__ import annotations

from luksafe.cli.app import EXIT_WARNINGS, App, plain, verb
from luksafe.cli.terminal import echo
from luksafe.cli.text import count
from luksafe.vault.report import StoreSync, Sync


@verb
def command(app: App) -> int:
    """Copy what stores lack, heal damaged copies from good ones, carry tombstones everywhere."""
    workspace = app.workspace()
    with workspace.open_vault() as vault:
        done = vault.sync(now=workspace.now())
    app.emit(plain(done), lambda: _print(done))
    return EXIT_WARNINGS if done.away or any(store.problems for store in done.stores) else 0


def _print(done: Sync) -> None:
    for store in done.stores:
        echo(f"{store.store}: {_words(store)}")
        for name in store.healed:
            echo(f"  healed {name}")
        if store.not_taken:
            left = count(len(store.not_taken), "file")
            echo(f"  {left} stay there alone: it is not your own store, and the others would believe them")
        for problem in store.problems:
            echo(f"  problem {problem.name}: {problem.text}")
    for away in done.away:
        echo(f"{away.name}: not here ({away.why})")
        if away.hint:
            echo(f"  next: {away.hint}")


def _words(store: StoreSync) -> str:
    parts = [
        f"{count(len(names), 'file')} {what}"
        for names, what in ((store.copied, "copied"), (store.healed, "healed"), (store.removed, "removed"))
        if names
    ]
    return ", ".join(parts) or "level"
