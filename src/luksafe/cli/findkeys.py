"""``luksafe findkeys``: volume keys in an image of memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from luksafe.cli.app import EXIT_NEGATIVE, App, verb
from luksafe.cli.progress import Progress
from luksafe.cli.text import bad, count, good, human_size
from luksafe.errors import UsageError
from luksafe.luks.model import Json
from luksafe.ops.new_file import write_new_file
from luksafe.ops.rebuild.find_keys import FoundKey, SearchReport, find_keys, targets_of


@verb
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--device", "devices", multiple=True, help="The volume on DEVICE; proven by its digest or a backup's.")
@click.option("--mapping", "mappings", multiple=True, metavar="NAME", help="The active mapping NAME; proven by it.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the key to this new file (0600).")
@click.option("--show", is_flag=True, help="Print the keys, in hexadecimal.")
def command(
    app: App, source: Path, devices: tuple[str, ...], mappings: tuple[str, ...], out: Path | None, show: bool
) -> int:
    """Find volume keys in SOURCE: /proc/kcore, a memory dump of any kind, a hibernation image.

    Only keys that are proven are reported, and they are shown or written only when asked for. Without --device and
    --mapping every volume of this machine is looked for. Exit status 10 when a key was not found.
    """
    targets, left_out = targets_of(app.workspace(), devices, mappings)
    if out and len(targets) != 1:
        raise UsageError("--out takes one key", hint="name the volume: --device DEVICE, or --mapping NAME")
    for words in left_out:
        app.warn(words)
    with Progress(app, str(source), None) as progress:
        report = find_keys(source, targets, lambda done, total: progress(done))
    try:
        found = [each for each in report.keys if each.key is not None]
        if out and found and found[0].key is not None:
            write_new_file(out, found[0].key.reveal())
        app.emit(_to_json(report, out, show=show), lambda: _lines(app, report, out, show=show))
    finally:
        for each in report.keys:
            if each.key is not None:
                each.key.wipe()
    return 0 if len(found) == len(report.keys) else EXIT_NEGATIVE


def _to_json(report: SearchReport, out: Path | None, *, show: bool) -> Json:
    return {
        "kind": report.kind,
        "bytes": report.size_bytes,
        "unreadable_bytes": report.unreadable_bytes,
        "notes": list(report.notes),
        "schedules": report.schedules,
        "keys": [
            {
                "volume": each.target.name,
                "uuid": each.target.parameters.uuid,
                "found": each.key is not None,
                "key_bits": each.target.key_size_bytes * 8,
                "where": each.why,
                "proven_by": each.proven_by,
                **({"key_hex": each.key.view.hex()} if show and each.key is not None else {}),
                **({"file": str(out)} if out and each.key is not None else {}),
            }
            for each in report.keys
        ],
    }


def _lines(app: App, report: SearchReport, out: Path | None, *, show: bool) -> Iterator[str]:
    yield f"{human_size(report.size_bytes)} of memory ({report.kind}), {count(report.schedules, 'AES key schedule')}"
    if report.unreadable_bytes:
        yield f"  {human_size(report.unreadable_bytes)} could not be read"
    yield from (f"  {note}" for note in report.notes)
    for each in report.keys:
        yield from _key_lines(app, each, out, show=show)


def _key_lines(app: App, each: FoundKey, out: Path | None, *, show: bool) -> Iterator[str]:
    name = f"{each.target.name} ({each.target.parameters.uuid})"
    if each.key is None:
        yield f"{name}: {bad('not found', colored=app.is_colored)}: {each.why}"
        return
    yield f"{name}: {good('found', colored=app.is_colored)}, {each.target.key_size_bytes * 8} bits, in {each.why}"
    yield f"  proven by {each.proven_by}"
    if show:
        yield f"  key     {each.key.view.hex()}"
    if out:
        yield f"  written to {out}: remove it when it is no longer needed"
        yield f"  next    luksafe rebuild DEVICE --volume-key-file {out}"
    elif not show:
        yield "  next    --out FILE writes it; luksafe rebuild DEVICE --from-memory SOURCE uses it at once"
