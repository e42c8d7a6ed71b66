"""``luksafe extract``: the decrypted data into a file or a pipe."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from luksafe.cli.app import EXIT_WARNINGS, App, verb
from luksafe.cli.progress import Progress
from luksafe.cli.text import count, human_size
from luksafe.cli.viewing import ViewOptions, view_options
from luksafe.errors import StoreError, UsageError
from luksafe.ops.view import View
from luksafe.view.extract import Extraction, extract_to_file, extract_to_stream
from luksafe.view.target import refuse_device


@verb
@view_options
@click.argument("out")
@click.option("--resume", is_flag=True, help="Go on with a file that was begun.")
@click.option("--retry-bad", is_flag=True, help="With --resume: try again what could not be read.")
@click.option("--map", "map_file", type=click.Path(path_type=Path), help="The ddrescue mapfile; OUT.map otherwise.")
@click.option("--verify", is_flag=True, help="Compare what was written, and print its SHA-256.")
@click.option("--workers", type=click.IntRange(1, 64), help="Processes that decrypt; one for each core otherwise.")
def command(
    app: App,
    view: ViewOptions,
    out: str,
    resume: bool,
    retry_bad: bool,
    map_file: Path | None,
    verify: bool,
    workers: int | None,
) -> int:
    """Decrypt the data of TARGET into the new file OUT, or with - to standard output. Nothing else is written.

    Zeros become holes. What cannot be read is left for the end, then read in ever smaller steps; what remains is
    zeros, and noted in the mapfile OUT.map. An interrupted run goes on with --resume.
    """
    path = Path(out)
    is_stream = out == "-" or _is_stream(path)
    if is_stream and (resume or retry_bad or map_file):
        raise UsageError("--resume, --retry-bad and --map are for files", hint="extract to a file")
    if out == "-" and app.json:
        raise UsageError("--json and - both want standard output", hint="extract to a file")
    if not is_stream:
        refuse_device(path)
    with view.open(app) as opened, Progress(app, "extracting", opened.volume.size_bytes) as progress:
        if is_stream:
            done = _to_stream(opened, out, verify, workers, progress)
        else:
            done = extract_to_file(
                opened.volume,
                path,
                map_path=map_file,
                resume=resume,
                retry_bad=retry_bad,
                verify=verify,
                workers=workers,
                on_progress=progress,
            )
    if out == "-":
        _say(app, out, done)
    else:
        app.emit(_to_json(opened, out, done), lambda: _say(app, out, done))
    if done.bad:
        app.warn(f"{human_size(sum(b.size_bytes for b in done.bad))} could not be read and are zeros")
    return EXIT_WARNINGS if done.bad or opened.warnings else 0


def _is_stream(path: Path) -> bool:
    """Whether OUT is a pipe or a character device. Raises StoreError where this user may not even look."""
    try:
        return path.is_fifo() or path.is_char_device()
    except OSError as error:
        raise StoreError(f"cannot create {path}: {error.strerror}", hint="choose another folder") from None


def _to_stream(opened: View, out: str, verify: bool, workers: int | None, progress: Progress) -> Extraction:
    if out == "-":
        if sys.stdout.isatty():
            raise UsageError("standard output is the terminal", hint="send it into a pipe or a file")
        sys.stdout.flush()
        return extract_to_stream(opened.volume, 1, verify=verify, workers=workers, on_progress=progress)
    with open(out, "wb", buffering=0) as stream:
        return extract_to_stream(opened.volume, stream.fileno(), verify=verify, workers=workers, on_progress=progress)


def _to_json(opened: View, out: str, done: Extraction) -> dict[str, Any]:
    return {
        "target": opened.description,
        "uuid": opened.uuid,
        "out": out,
        "size": done.mapfile.size_bytes,
        "found": opened.found,
        "bad": [{"offset": block.offset_bytes, "length": block.size_bytes} for block in done.bad],
        "sha256": done.sha256,
        "warnings": list(opened.warnings),
        "findings": list(opened.volume.findings),
    }


def _say(app: App, out: str, done: Extraction) -> None:
    where = "standard output" if out == "-" else out
    app.say(f"extracted {human_size(done.mapfile.size_bytes)} to {where}")
    for block in done.bad[:10]:
        app.say(f"  unreadable: {block.size_bytes} bytes at {block.offset_bytes}")
    if len(done.bad) > 10:
        app.say(f"  and {count(len(done.bad) - 10, 'more range')}")
    if done.sha256:
        app.say(f"  sha256 {done.sha256}")
