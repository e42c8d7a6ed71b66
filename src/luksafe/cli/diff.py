"""``luksafe diff``: what changed between two headers."""

from __future__ import annotations

import click

from luksafe.cli.app import EXIT_NEGATIVE, App, verb
from luksafe.cli.show import raise_with_result
from luksafe.cli.terminal import echo
from luksafe.luks.compare import compare, same_volume_key
from luksafe.ops.target import Target, open_target


@verb
@click.argument("old")
@click.argument("new")
def command(app: App, old: str, new: str) -> int:
    """Say in words what changed from header OLD to header NEW. Exit status 10 when they differ."""
    workspace = app.workspace()
    with open_target(workspace, old) as before, open_target(workspace, new) as after:
        for target in (before, after):
            if target.inspection.header is None:
                raise_with_result(target, {"target": target.description})
        changes = compare(
            before.inspection.require_header(), after.inspection.require_header(), before.reader, after.reader
        )
        result = {
            "old": before.description,
            "new": after.description,
            "same_volume_key": _same_key(before, after),
            "changes": changes,
        }
    app.emit(result, lambda: _print(before, after, [change.text for change in changes], _same_key(before, after)))
    return EXIT_NEGATIVE if changes else 0


def _same_key(before: Target, after: Target) -> bool | None:
    return same_volume_key(before.inspection.require_header(), after.inspection.require_header())


def _print(before: Target, after: Target, changes: list[str], same_key: bool | None) -> None:
    if not changes:
        echo(f"{before.description} and {after.description} say the same")
        return
    echo(f"from {before.description} to {after.description}:")
    for change in changes:
        echo(f"  {change}")
    if same_key:
        echo("  the volume key is the same")
