"""``luksafe cp``: files out of the volume."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import click

from luksafe.cli.app import EXIT_WARNINGS, App, verb
from luksafe.cli.progress import Progress
from luksafe.cli.text import count, human_size
from luksafe.cli.viewing import ViewOptions, view_options
from luksafe.errors import DamagedInput, UsageError
from luksafe.view.files.copying import CopyReport, copy_tree
from luksafe.view.files.reading import read_files


@verb
@view_options
@click.argument("paths", nargs=-1, required=True)
@click.argument("destination", type=click.Path(path_type=Path))
@click.option(
    "--volume", "inner", default="", help="A volume inside: a partition (p1) or a logical volume (group/root)."
)
def command(app: App, view: ViewOptions, paths: tuple[str, ...], destination: Path, inner: str) -> int:
    """Copy PATHS (files, or folders with all in them) from inside TARGET to DESTINATION, as cp -r does.

    Nothing that exists is overwritten. Places of the disk that cannot be read count as zeros, and are told.
    """
    into = destination.is_dir()
    if len(paths) > 1 and not into:
        raise UsageError(f"{destination} is no folder, and there are several paths", hint=f"mkdir {destination}")
    reports = []
    with view.open(app) as opened:
        volume = opened.inner(inner)
        if volume.reader is None:
            raise DamagedInput(f"{volume.name} cannot be read: {volume.why_not}")
        for path in paths:
            target = (
                destination / (PurePosixPath(path).name or volume.name.replace("/", "-") or "volume")
                if into
                else destination
            )
            with Progress(app, "copying", None) as progress:
                messages = read_files(volume.reader, volume.content, path, target=view.target)
                reports.append(copy_tree(messages, target, progress))
    notes = [note for report in reports for note in report.notes]
    result = {
        "files": sum(report.files for report in reports),
        "folders": sum(report.folders for report in reports),
        "links": sum(report.links for report in reports),
        "bytes": sum(report.size_bytes for report in reports),
        "notes": [{"path": path, "text": text} for path, text in notes],
    }
    app.emit(result, lambda: _say(app, reports))
    for path, text in notes:
        app.warn(f"{path or os.fspath(destination)}: {text}")
    return EXIT_WARNINGS if notes or opened.warnings else 0


def _say(app: App, reports: list[CopyReport]) -> None:
    files, folders = sum(report.files for report in reports), sum(report.folders for report in reports)
    size = human_size(sum(report.size_bytes for report in reports))
    app.say(f"copied {count(files, 'file')}, {count(folders, 'folder')}, {size}")
