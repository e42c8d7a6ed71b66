"""``luksafe ls``: files inside the volume."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import click

from luksafe.cli.app import EXIT_WARNINGS, App, verb
from luksafe.cli.terminal import echo
from luksafe.cli.text import human_size, table
from luksafe.cli.viewing import ViewOptions, view_options
from luksafe.errors import DamagedInput
from luksafe.ops.view import View
from luksafe.view.files.isolated import Found, Note
from luksafe.view.files.node import Entry, EntryKind
from luksafe.view.files.reading import list_files
from luksafe.view.inside.volumes import InnerVolume, inner_volumes

_MODES = {
    EntryKind.FILE: stat.S_IFREG,
    EntryKind.FOLDER: stat.S_IFDIR,
    EntryKind.LINK: stat.S_IFLNK,
    EntryKind.OTHER: 0,
}


@verb
@view_options
@click.argument("path", default="/")
@click.option(
    "--volume", "inner", default="", help="A volume inside: a partition (p1) or a logical volume (group/root)."
)
@click.option("-R", "--recursive", is_flag=True, help="All below PATH.")
@click.option("-l", "--long", "is_long", is_flag=True, help="Mode, size and time as well.")
def command(app: App, view: ViewOptions, path: str, inner: str, recursive: bool, is_long: bool) -> int:
    """List PATH (the top otherwise) inside the decrypted data of TARGET; several volumes inside are listed first.

    Reads ext2/3/4, xfs, ntfs, fat and exfat, also in partitions and linear logical volumes (LVM2) inside.
    """
    with view.open(app) as opened:
        if not inner and path == "/" and len(found := inner_volumes(opened.volume)) > 1:
            result = {"volumes": [_volume_to_json(volume) for volume in found]}
            app.emit(result, lambda: _print_volumes(found))
            app.say("choose one with --volume NAME")
            return EXIT_WARNINGS if opened.warnings else 0
        notes = _list(app, opened, view.target, inner, path, recursive, is_long)
    for note in notes:
        app.warn(f"{os.fsdecode(b'/'.join(note.parts))}: {note.text}")
    return EXIT_WARNINGS if notes or opened.warnings else 0


def _list(app: App, opened: View, target: str, inner: str, path: str, recursive: bool, is_long: bool) -> list[Note]:
    volume = opened.inner(inner)
    if volume.reader is None:
        raise DamagedInput(f"{volume.name} cannot be read: {volume.why_not}")
    messages: Iterable[Found | Note] = list_files(
        volume.reader, volume.content, path, recursive=recursive, target=target
    )
    if not recursive:
        messages = sorted(messages, key=lambda item: item.parts)
    if app.json:
        everything = list(messages)
        entries = [_entry_to_json(item) for item in everything if isinstance(item, Found)]
        app.emit({"volume": volume.name, "content": volume.content, "path": path, "entries": entries}, lambda: None)
        return [item for item in everything if isinstance(item, Note)]
    notes = []
    for item in messages:
        if isinstance(item, Note):
            notes.append(item)
        else:
            echo(_line(item, is_long))
    return notes


def _line(found: Found, is_long: bool) -> str:
    name = os.fsdecode(b"/".join(found.parts))
    entry = found.entry
    name += {EntryKind.FOLDER: "/", EntryKind.LINK: f" -> {os.fsdecode(entry.link_target)}"}.get(entry.kind, "")
    if not is_long:
        return name
    mode = stat.filemode(_MODES[entry.kind] | entry.mode)
    return f"{mode}  {human_size(entry.size_bytes):>10}  {_time(entry)}  {name}"


def _time(entry: Entry) -> str:
    try:
        return datetime.fromtimestamp(entry.mtime_ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return "????-??-?? ??:??"


def _entry_to_json(found: Found) -> dict[str, Any]:
    entry = found.entry
    return {
        "path": os.fsdecode(b"/".join(found.parts)),
        "kind": entry.kind,
        "size": entry.size_bytes,
        "mode": f"{entry.mode:04o}",
        "mtime": entry.mtime_ns / 10**9,
        "link": os.fsdecode(entry.link_target),
    }


def _volume_to_json(volume: InnerVolume) -> dict[str, Any]:
    size = volume.reader.size_bytes if volume.reader else None
    return {"name": volume.name, "content": volume.content, "label": volume.label, "size": size, "why": volume.why_not}


def _print_volumes(volumes: Iterable[InnerVolume]) -> None:
    rows = [
        (
            volume.name,
            volume.content or volume.why_not or "not recognised",
            volume.label,
            human_size(volume.reader.size_bytes) if volume.reader else "",
        )
        for volume in volumes
    ]
    for line in table(rows, ("volume", "content", "label", "size")):
        echo(line)
