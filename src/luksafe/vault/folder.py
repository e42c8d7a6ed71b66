"""A folder tree that is only added to: whole files under checked names, synced, read back (spec/vault.md, section 5).

Every access goes through a descriptor of the top folder, opened once: when a stick is pulled out and its mount point
becomes an empty folder of another disk, nothing is written there. Symbolic links below it are never followed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from luksafe.errors import DamagedInput, NotFound, StoreError
from luksafe.vault.name import is_leftover
from luksafe.vault.trouble import explained

RandomSource = Callable[[int], bytes]

LEFTOVER_SECONDS = 86400

_PART = re.compile(r"(?:\.new-[0-9a-f]{16}-)?[a-z0-9][a-z0-9._-]{0,159}")
_NO_LINKS_HERE = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL}
_NO_FOLDER_SYNC = {errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS}
_STEP_BYTES = 1 << 20


class Folder:
    """The tree under ``path``. ``random`` names unfinished files. Raises ``StoreError`` when it cannot be opened."""

    def __init__(self, path: Path, random: RandomSource) -> None:
        self.path = path
        self._random = random
        with explained(path):
            self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._closer = weakref.finalize(self, os.close, self._fd)

    def close(self) -> None:
        """Let go of the folder, so that it can be unmounted."""
        self._closer()

    def files(self, folder: str = "") -> list[str]:
        """The names of the regular files in ``folder``, unfinished ones included; none when there is no such folder."""
        return self._entries(folder, want_folders=False)

    def folders(self, folder: str = "") -> list[str]:
        """The names of the folders in ``folder``, without links."""
        return self._entries(folder, want_folders=True)

    def read(self, name: str, limit_bytes: int) -> bytes:
        """A whole file. Raises ``NotFound``, ``StoreError``; ``DamagedInput`` when too long or no regular file."""
        with explained(self.path, name, reading=True), self._parent(name) as (parent, file_name):
            try:
                fd = os.open(file_name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
            except OSError as error:
                if error.errno in (errno.ELOOP, errno.ENXIO):
                    raise DamagedInput(f"{name} in {self.path} is no regular file") from error
                raise
            try:
                return self._read_all(fd, name, limit_bytes)
            finally:
                os.close(fd)

    def create(self, name: str, data: bytes) -> bool:
        """Write a new file: all of it, synced and read back, or nothing. False when the name is taken already.

        Raises ``StoreError`` when the store is full, read-only, failing, or gives back other bytes.
        """
        with explained(self.path, name), self._parent(name, make=True) as (parent, file_name):
            created = not _exists(parent, file_name) and self._create(parent, file_name, data)
            sync_folder(parent)  # also for another writer's file, which may not be durable yet
        return created

    def replace(self, name: str, data: bytes) -> None:
        """Write a file in place of an older one, at one stroke; only for what is no part of the union of stores."""
        with explained(self.path, name), self._parent(name, make=True) as (parent, file_name):
            with self._unfinished(parent, file_name, data) as unfinished:
                os.rename(unfinished, file_name, src_dir_fd=parent, dst_dir_fd=parent)
            sync_folder(parent)

    def rename(self, name: str, new_file_name: str) -> None:
        """Give a file another name in its own folder. Raises ``NotFound``, ``StoreError``."""
        _check_part(new_file_name)
        with explained(self.path, name, reading=True), self._parent(name) as (parent, file_name):
            os.rename(file_name, new_file_name, src_dir_fd=parent, dst_dir_fd=parent)
            sync_folder(parent)

    def remove(self, name: str) -> bool:
        """Delete a file, synced. False when there is none."""
        try:
            with explained(self.path, name, reading=True), self._parent(name) as (parent, file_name):
                os.unlink(file_name, dir_fd=parent)
                sync_folder(parent)
        except NotFound:
            return False
        return True

    def remove_folder(self, folder: str) -> None:
        """Delete a folder if it is empty."""
        with (
            suppress(NotFound),
            explained(self.path, folder, reading=True),
            self._parent(folder) as (parent, file_name),
        ):
            try:
                os.rmdir(file_name, dir_fd=parent)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
            sync_folder(parent)

    @contextmanager
    def locked(self, folder: str) -> Iterator[None]:
        """Hold a lock on ``folder``, made when absent, against others who would replace the same file in it."""
        with explained(self.path, folder), self._opened([folder], make=True) as fd:
            with suppress(OSError):  # some network file systems lock no folders; then the last writer wins
                fcntl.flock(fd, fcntl.LOCK_EX)
            yield

    def age_seconds(self, name: str, now_seconds: float) -> float:
        """How long before ``now_seconds`` (since the epoch) a file was last written. Raises ``NotFound``."""
        with explained(self.path, name, reading=True), self._parent(name) as (parent, file_name):
            return now_seconds - os.stat(file_name, dir_fd=parent, follow_symlinks=False).st_mtime

    def clean(self, folder: str, now_seconds: float) -> list[str]:
        """Remove what killed writers left in ``folder`` more than a day ago; gives the names."""
        prefix = f"{folder}/" if folder else ""
        old = []
        for name in (prefix + file for file in self.files(folder) if is_leftover(file)):
            with suppress(NotFound):
                if self.age_seconds(name, now_seconds) > LEFTOVER_SECONDS and self.remove(name):
                    old.append(name)
        return old

    def _entries(self, folder: str, *, want_folders: bool) -> list[str]:
        try:
            with (
                explained(self.path, folder, reading=True),
                self._opened(folder.split("/") if folder else []) as fd,
                os.scandir(fd) as found,
            ):
                names = [
                    entry.name
                    for entry in found
                    if (entry.is_dir if want_folders else entry.is_file)(follow_symlinks=False)
                    and _PART.fullmatch(entry.name)
                ]
        except NotFound:
            return []
        return sorted(names)

    def _read_all(self, fd: int, name: str, limit_bytes: int) -> bytes:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise DamagedInput(f"{name} in {self.path} is no regular file")
        if status.st_size > limit_bytes:
            raise DamagedInput(f"{name} in {self.path} is longer than the {limit_bytes} bytes allowed")
        pieces, size = [], 0
        while size <= limit_bytes and (piece := os.read(fd, min(_STEP_BYTES, limit_bytes + 1 - size))):
            pieces.append(piece)
            size += len(piece)
        if size > limit_bytes:
            raise DamagedInput(f"{name} in {self.path} is longer than the {limit_bytes} bytes allowed")
        return b"".join(pieces)

    def _create(self, parent: int, file_name: str, data: bytes) -> bool:
        with self._unfinished(parent, file_name, data) as unfinished:
            try:
                os.link(unfinished, file_name, src_dir_fd=parent, dst_dir_fd=parent, follow_symlinks=False)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in _NO_LINKS_HERE:
                    raise
                # No hard links (vfat, exfat). Between the look and the rename another writer may come first, and then
                # one of two good files replaces the other: names are bound to content, so either will do.
                if _exists(parent, file_name):
                    return False
                os.rename(unfinished, file_name, src_dir_fd=parent, dst_dir_fd=parent)
        return True

    @contextmanager
    def _unfinished(self, parent: int, file_name: str, data: bytes) -> Iterator[str]:
        """A file of another name in the same folder that holds ``data`` for sure; removed at the end if it still is."""
        unfinished = f".new-{self._random(8).hex()}-{file_name}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(unfinished, flags, 0o600, dir_fd=parent)
        try:
            try:
                _write_all(fd, data)
                os.fsync(fd)
                if not _reads_back(fd, data):
                    raise StoreError(
                        f"{self.path} gives back other bytes than were written to {file_name}",
                        code="store-failing",
                        hint="replace the medium and add another store",
                    )
            finally:
                os.close(fd)
            yield unfinished
        finally:
            with suppress(OSError):
                os.unlink(unfinished, dir_fd=parent)

    @contextmanager
    def _parent(self, name: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """A descriptor of the folder that ``name`` is in, and the last part of the name."""
        *folders, file_name = name.split("/")
        _check_part(file_name)
        with self._opened(folders, make=make) as fd:
            yield fd, file_name

    @contextmanager
    def _opened(self, folders: list[str], *, make: bool = False) -> Iterator[int]:
        for part in folders:
            _check_part(part)
        # a descriptor of its own, not a duplicate: that would share the position with other listings
        fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._fd)
        try:
            for part in folders:
                if make and not _exists(fd, part):
                    with suppress(FileExistsError):
                        os.mkdir(part, 0o700, dir_fd=fd)
                    sync_folder(fd)
                inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
                os.close(fd)
                fd = inner
            yield fd
        finally:
            os.close(fd)


def _check_part(part: str) -> None:
    if not _PART.fullmatch(part):
        raise StoreError(f"{part!r} is no name of a file in a vault", code="store-name")


def _exists(parent: int, file_name: str) -> bool:
    try:
        os.stat(file_name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view[:_STEP_BYTES]) :]


def _reads_back(fd: int, data: bytes) -> bool:
    """Whether the file holds ``data``, read from the medium rather than from memory where the kernel allows."""
    with suppress(OSError):
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    view = memoryview(data)
    at = 0
    while piece := os.pread(fd, _STEP_BYTES, at):
        if view[at : at + len(piece)] != piece:
            return False
        at += len(piece)
    return at == len(data)


def sync_folder(fd: int) -> None:
    """Make the names in a folder durable, where the file system knows how."""
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
