"""One disk or file searched from end to end: what its marks turn out to be."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from luksafe.device.source import DeviceReader
from luksafe.luks.found import FoundCopy, examine_mark
from luksafe.luks.search import Mark
from luksafe.ops.scan.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from luksafe.ops.scan.key_material import KeyMaterial
from luksafe.ops.scan.packed import find_packed
from luksafe.ops.scan.sweep import Range, Sweeper, joined

MOST_FINDS = 2_000
LOOK_SECONDS = 15.0
"""What looking at marks may take: bytes made to look like headers must not cost hours."""

_PREFERRED_BYTES = 1 << 20  # where partitions begin: looked at for as long again
_SAVE_SECONDS = 5.0

Progress = Callable[[int], None]
"""Called with the number of bytes done."""


@dataclass
class Search:
    """What the search of one file gave. ``packed`` are the copies in gzip members, one list for each member;
    ``unlooked`` counts the marks for which no time was left.
    """

    file: str
    size_bytes: int
    copies: list[FoundCopy] = field(default_factory=list)
    packed: list[list[FoundCopy]] = field(default_factory=list)
    unreadable: list[Range] = field(default_factory=list)
    is_cut: bool = False
    unlooked: int = 0
    _looked_seconds: float = 0.0
    _marks: list[Mark] = field(default_factory=list)
    _json_seen: set[int] = field(default_factory=set)

    def take(self, reader: DeviceReader, mark: Mark, material: KeyMaterial) -> None:
        """Look at what stands at a mark, and keep it when it is something."""
        if mark.kind == "key-material":
            material.note(reader, mark.offset)
            if self._room(mark.offset):
                self._marks.append(mark)
            return
        if (self.is_cut and not self._room(mark.offset)) or (mark.kind == "json" and mark.offset in self._json_seen):
            return  # what there is no room for is not looked at: each look may read 4 MiB
        if not self._may_look(mark.offset):
            self.unlooked += 1
            return
        began = time.monotonic()
        self._look(reader, mark)
        self._looked_seconds += time.monotonic() - began

    def _may_look(self, offset: int) -> bool:
        """Whether there is time left: for whole MiBs, where volumes usually begin, twice as much."""
        is_preferred = offset % _PREFERRED_BYTES == 0
        return self._looked_seconds < LOOK_SECONDS * (2 if is_preferred else 1)

    def _look(self, reader: DeviceReader, mark: Mark) -> None:
        if mark.kind == "gzip":
            found = find_packed(reader, mark.offset)
            if found and self._room(mark.offset):
                self.packed.append(found)
                self._marks.append(mark)
            return
        copy = examine_mark(reader, mark)
        if copy and self._room(mark.offset):
            self.copies.append(copy)
            self._marks.append(mark)
            if copy.json_offset is not None:
                self._json_seen.add(copy.json_offset)

    def _room(self, offset: int) -> bool:
        """Whether one more can be kept: the last half is for those at whole MiBs."""
        has_room = len(self._marks) < (MOST_FINDS // 2 if offset % _PREFERRED_BYTES else MOST_FINDS)
        self.is_cut = self.is_cut or not has_room
        return has_room

    def checkpoint(self, done_bytes: int) -> Checkpoint:
        """The state as it is saved."""
        return Checkpoint(self.file, self.size_bytes, done_bytes, self._marks, self.unreadable)


def search_one(
    reader: DeviceReader, sweeper: Sweeper, material: KeyMaterial, progress: Progress, resume: Path | None = None
) -> Search:
    """Search one disk or file. With ``resume`` the state is kept in that file, and an interrupted search goes on."""
    search = Search(reader.path, reader.size_bytes)
    start = 0
    if resume is not None:
        before = read_checkpoint(resume, reader.path, reader.size_bytes)
        start, search.unreadable = before.done_bytes, list(before.unreadable)
        for mark in before.marks:
            search.take(reader, mark, material)
        write_checkpoint(resume, search.checkpoint(start))  # a file that cannot be written is found out now
    done, saved = start, time.monotonic()
    try:
        for piece in sweeper.sweep(reader, start):
            for mark in piece.marks:
                search.take(reader, mark, material)
            if piece.unreadable:
                search.unreadable = joined(search.unreadable, piece.unreadable)
            done = piece.done_bytes
            progress(done)
            if resume is not None and time.monotonic() - saved >= _SAVE_SECONDS:
                saved = time.monotonic()
                write_checkpoint(resume, search.checkpoint(done))
    finally:
        if resume is not None:
            write_checkpoint(resume, search.checkpoint(done))
    return search
