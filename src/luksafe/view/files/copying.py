"""Files out of the volume onto this machine. What the tree inside is called never decides where anything is written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from luksafe.errors import DamagedInput, LuksafeError, NotFound, Refused, StoreError
from luksafe.view.files.isolated import Chunk, FileEnd, Found, Message, Note
from luksafe.view.files.node import Entry, EntryKind

FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(slots=True)
class CopyReport:
    """What was copied, and what was not or not whole: path inside and why."""

    files: int = 0
    folders: int = 0
    links: int = 0
    size_bytes: int = 0
    notes: list[tuple[str, str]] = field(default_factory=list)


def copy_tree(
    messages: Iterable[Message], destination: Path, on_progress: Callable[[int], None] = lambda _done: None
) -> CopyReport:
    """Create ``destination`` from what ``read_files`` gives: a file or a folder. Nothing that exists is overwritten.

    Raises ``Refused`` where it exists, ``StoreError`` where it cannot be written, and what ``read_files`` raises.
    """
    if os.path.lexists(destination):
        raise Refused(f"{destination} exists already", hint="choose another name")
    try:
        with _opened(os.open(destination.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as parent:
            return _Copier(parent, os.fsencode(destination.name), on_progress).run(messages)
    except FileNotFoundError:
        raise NotFound(f"no such folder: {destination.parent}", hint="make it first: mkdir -p") from None
    except OSError as error:
        raise StoreError(
            f"cannot write to {destination}: {error.strerror}", hint="make room, or copy elsewhere"
        ) from error


class _Copier:
    """Writes below one folder, whose entry ``top`` stands for the root of what is copied."""

    def __init__(self, parent: int, top: bytes, on_progress: Callable[[int], None]) -> None:
        self._parent = parent
        self._top = top
        self._on_progress = on_progress
        self._report = CopyReport()
        self._folders: list[tuple[tuple[bytes, ...], Entry]] = []

    def run(self, messages: Iterable[Message]) -> CopyReport:
        stream = iter(messages)
        for message in stream:
            if isinstance(message, Note):
                self._note(message.parts, message.text)
            elif isinstance(message, Found):
                self._create(message, stream)
        for parts, entry in reversed(self._folders):  # only now: a folder without write permission could not be filled
            with self._folder(parts) as folder:
                os.utime(folder, ns=(entry.mtime_ns, entry.mtime_ns))
                os.fchmod(folder, entry.mode & 0o777)
        return self._report

    def _create(self, found: Found, stream: Iterator[Message]) -> None:
        parts = (self._top, *found.parts)
        if any(part in (b"", b".", b"..") or b"/" in part or b"\0" in part for part in found.parts):
            self._note(found.parts, "its name is not one that a file can have")
        else:
            try:
                with self._folder(parts[:-1]) as folder:
                    self._create_in(folder, parts, found.entry, stream)
                return
            except FileExistsError:
                self._note(found.parts, "another file of this name stands there already")
            except (FileNotFoundError, NotADirectoryError):
                self._note(found.parts, "its folder could not be made")
        if found.entry.kind is EntryKind.FILE:
            _skip_content(stream)

    def _create_in(self, folder: int, parts: tuple[bytes, ...], entry: Entry, stream: Iterator[Message]) -> None:
        match entry.kind:
            case EntryKind.FOLDER:
                os.mkdir(parts[-1], 0o700, dir_fd=folder)
                self._folders.append((parts, entry))
                self._report.folders += 1
            case EntryKind.LINK:
                os.symlink(entry.link_target or b"?", parts[-1], dir_fd=folder)
                self._report.links += 1
            case EntryKind.FILE:
                self._write_file(folder, parts, entry, stream)
            case _:
                self._note(parts[1:], "it is a device, pipe or socket")

    def _write_file(self, folder: int, parts: tuple[bytes, ...], entry: Entry, stream: Iterator[Message]) -> None:
        fd = os.open(parts[-1], FILE_FLAGS, 0o600, dir_fd=folder)
        try:
            with _opened(fd):
                end = self._fill(fd, entry, stream)
                os.fchmod(fd, entry.mode & 0o777)
                os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))
        except (OSError, LuksafeError, KeyboardInterrupt):
            with suppress(OSError):
                os.unlink(parts[-1], dir_fd=folder)
            raise
        self._report.files += 1
        if end.failure:
            self._note(parts[1:], f"not whole: {end.failure}")
        elif end.bad_bytes:
            self._note(
                parts[1:], f"{end.bad_bytes} bytes of the disk that belong to it are unreadable; zeros stand there"
            )

    def _fill(self, fd: int, entry: Entry, stream: Iterator[Message]) -> FileEnd:
        end_bytes = 0
        for message in stream:
            if isinstance(message, FileEnd):
                if not message.failure:
                    os.ftruncate(fd, entry.size_bytes)
                return message
            if not isinstance(message, Chunk) or not end_bytes <= message.offset_bytes <= entry.size_bytes:
                break
            _write_all(fd, message.data, message.offset_bytes)
            end_bytes = message.offset_bytes + len(message.data)
            self._report.size_bytes += len(message.data)
            self._on_progress(self._report.size_bytes)
        raise DamagedInput("the reader of the filesystem went mad", hint="mount it instead: luksafe mount")

    @contextmanager
    def _folder(self, parts: tuple[bytes, ...]) -> Iterator[int]:
        """Open a folder below the parent, step by step: a link on the way is refused, wherever it points."""
        fd = os.dup(self._parent)
        try:
            for part in parts:
                inner = os.open(part, FOLDER_FLAGS, dir_fd=fd)
                os.close(fd)
                fd = inner
            yield fd
        finally:
            os.close(fd)

    def _note(self, parts: tuple[bytes, ...], text: str) -> None:
        self._report.notes.append((os.fsdecode(b"/".join(parts)), text))


@contextmanager
def _opened(fd: int) -> Iterator[int]:
    try:
        yield fd
    finally:
        os.close(fd)


def _skip_content(stream: Iterator[Message]) -> None:
    for message in stream:
        if isinstance(message, FileEnd):
            return


def _write_all(fd: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written
