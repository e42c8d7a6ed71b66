"""``luksafe scan``: find LUKS headers anywhere on a disk, in a file, in a folder."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import click

from luksafe.cli.app import EXIT_NEGATIVE, EXIT_WARNINGS, App, verb
from luksafe.cli.keys import KeyOptions, key_options
from luksafe.cli.progress import Progress
from luksafe.cli.scan_text import nothing_to_reach, scan_lines
from luksafe.cli.text import count
from luksafe.ops.scan.model import Scanned
from luksafe.ops.scan.report import describe_scan
from luksafe.ops.scan.scan import scan
from luksafe.ops.scan.table import reach_commands
from luksafe.ops.scan.trial import ScanKey


@verb
@click.argument("target", type=click.Path(path_type=Path, readable=False))
@click.option("--resume", type=click.Path(path_type=Path), help="Keep the state in this file; go on where it ended.")
@click.option("--once", is_flag=True, help="Read the disk once: no second round for the volumes of header copies.")
@click.option("--table", "with_table", is_flag=True, help="Print commands that make lost partitions reachable.")
@key_options
def command(app: App, target: Path, resume: Path | None, once: bool, with_table: bool, key: KeyOptions) -> int:
    """Find LUKS headers on DISK, in a FILE or in the files of a DIR, wherever they lie. Nothing is written.

    With a key, each guess of a lost partition is tested: does it open, do the data make sense?
    """
    with ExitStack() as stack:
        found = _scan(app, target, resume, once, _key(key, target, stack))
    described = describe_scan(found)
    commands = list(reach_commands(found.partitions, is_block_device=target.is_block_device()))
    if with_table:
        lines = commands or [nothing_to_reach(found), *scan_lines(found, str(target), colored=app.is_colored)]
        app.emit({**described, "table": commands}, lambda: lines)
    else:
        app.emit(described, lambda: scan_lines(found, str(target), colored=app.is_colored))
    for text in _warnings(found, app):
        app.warn(text)
    if not found.volumes and not found.remains:
        return EXIT_NEGATIVE
    return EXIT_WARNINGS if found.unreadable or found.skipped or found.is_cut or found.unlooked else 0


def _scan(app: App, target: Path, resume: Path | None, once: bool, key: ScanKey | None) -> Scanned:
    """The scan; when it is interrupted, how it goes on."""
    try:
        with ExitStack() as stack:
            return scan(app.workspace(), target, _progress(app, stack), resume=resume, once=once, key=key)
    except KeyboardInterrupt:
        if resume is not None and resume.is_file():
            app.say(f"to go on: luksafe scan {shlex.quote(str(target))} --resume {shlex.quote(str(resume))}")
        raise


def _progress(app: App, stack: ExitStack) -> Callable[[str, int], Callable[[int], None]]:
    def begin(label: str, total_bytes: int) -> Callable[[int], None]:
        return stack.enter_context(Progress(app, label, total_bytes))

    return begin


def _key(key: KeyOptions, target: Path, stack: ExitStack) -> ScanKey | None:
    """The key, when one was named: nothing is asked for."""
    if key.volume_key_file:
        return ScanKey(volume_key=stack.enter_context(key.volume_key()), limits=key.limits)
    if not key.key_file:
        return None
    passphrase = stack.enter_context(key.passphrase(str(target)))
    return ScanKey(passphrase=passphrase, keyslot=key.key_slot, limits=key.limits)


def _warnings(found: Scanned, app: App) -> Iterator[str]:
    bad = sum(end - start for _, (start, end) in found.unreadable)
    if bad:
        yield f"{bad} bytes could not be read, from byte {found.unreadable[0][1][0]} of {found.unreadable[0][0]} on"
    shown = found.skipped if app.verbose else found.skipped[:3]
    for file, why in shown:
        yield f"{file} was not searched: {why}"
    if len(found.skipped) > len(shown):
        yield f"{len(found.skipped) - len(shown)} more files were not searched (-v lists them)"
    if found.unlooked:
        places = count(found.unlooked, "place")
        yield f"{places} that may be headers not looked at: no time was left; scan parts of the disk one by one"
    if found.is_cut:
        yield "there is more than can be kept; scan parts of it one by one"
