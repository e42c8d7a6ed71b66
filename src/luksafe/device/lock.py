"""The locks that cryptsetup takes on LUKS2 metadata, taken in the same way, so that neither reads the other's half.

On a regular file it is ``flock`` on the file itself; for a block device on a file ``L_<major>:<minor>`` in
``/run/cryptsetup`` (some builds ``/run/lock/cryptsetup``), which the last one to leave removes.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from luksafe.device.opening import StrPath, open_storage
from luksafe.device.proclocks import lock_holders
from luksafe.errors import Busy

_FOLDERS = (Path("/run/cryptsetup"), Path("/run/lock/cryptsetup"))
_POLL_SECONDS = 0.05
WAIT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class LockState:
    """Whether the lock is held, and if not, ``why`` not, for the user."""

    held: bool
    why: str = ""


@contextmanager
def metadata_lock(path: StrPath, *, exclusive: bool = False, wait_seconds: float = WAIT_SECONDS) -> Iterator[LockState]:
    """Hold cryptsetup's lock on the metadata of a device or file: shared to read, exclusive to write.

    Where locking is impossible (no privileges, no lock folder) the state says so. Raises ``Busy`` when somebody else
    keeps it for ``wait_seconds``. Locks of one process shut each other out like those of two.
    """
    fd, _ = open_storage(path, os.O_RDONLY)
    with ExitStack() as stack:
        stack.callback(os.close, fd)
        yield lock_metadata(stack, fd, str(path), exclusive=exclusive, wait_seconds=wait_seconds)


def lock_metadata(
    stack: ExitStack, fd: int, name: str, *, exclusive: bool, wait_seconds: float = WAIT_SECONDS
) -> LockState:
    """``metadata_lock`` for an open descriptor: a file is unlocked when it is closed, a device by ``stack``."""
    deadline = time.monotonic() + wait_seconds
    facts = os.fstat(fd)
    if stat.S_ISBLK(facts.st_mode):
        return _lock_device(stack, facts.st_rdev, _Request(name, exclusive, deadline))
    try:
        _flock(fd, _Request(name, exclusive, deadline))
    except OSError as error:
        return LockState(False, f"its filesystem has no locks ({error.strerror})")
    return LockState(True)


@dataclass(frozen=True, slots=True)
class _Request:
    name: str  # the device or file, for messages
    exclusive: bool
    deadline: float  # of the monotonic clock


def _flock(fd: int, wanted: _Request) -> None:
    operation = (fcntl.LOCK_EX if wanted.exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB
    while True:
        try:
            fcntl.flock(fd, operation)
            return
        except BlockingIOError:
            if time.monotonic() >= wanted.deadline:
                holders = ", ".join(map(str, lock_holders(os.fstat(fd)))) or "another process"
                raise Busy(
                    f"the LUKS metadata of {wanted.name} is locked by {holders}",
                    hint="wait until that is done, and try again; stop it only if you know what it is doing",
                ) from None
            time.sleep(_POLL_SECONDS)


def _lock_device(stack: ExitStack, device_number: int, wanted: _Request) -> LockState:
    """Lock in each folder that there is, since another build of cryptsetup may use another."""
    if wanted.exclusive and not any(map(_is_ours, _FOLDERS)) and os.geteuid() == 0:
        _FOLDERS[0].mkdir(mode=0o700, exist_ok=True)  # as cryptsetup does
    folders = [folder for folder in _FOLDERS if _is_ours(folder)]
    if not folders:
        return LockState(False, f"there is no {_FOLDERS[0]}: no cryptsetup has run since the start of the system")
    lock_name = f"L_{os.major(device_number)}:{os.minor(device_number)}"
    for folder in folders:
        try:
            folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            stack.callback(os.close, folder_fd)
            fd = _acquire(folder_fd, lock_name, wanted)
        except OSError as error:
            return LockState(False, f"{folder} cannot be used ({error.strerror}); run with sudo to lock")
        stack.callback(_release, folder_fd, lock_name, fd)
    return LockState(True)


def _is_ours(folder: Path) -> bool:
    """Whether it is there and root's. Anybody may make a folder in ``/run/lock``, and hold a lock there for ever."""
    try:
        facts = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(facts.st_mode) and facts.st_uid == 0


def _acquire(folder_fd: int, lock_name: str, wanted: _Request) -> int:
    while True:
        flags = os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(lock_name, flags, 0o600, dir_fd=folder_fd)
        try:
            _flock(fd, wanted)
            if _is_still_there(folder_fd, lock_name, fd):
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # its last holder removed it between our open and our lock: a new one decides


def _release(folder_fd: int, lock_name: str, fd: int) -> None:
    """Unlock, and remove the file when nobody else has it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_UN)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_still_there(folder_fd, lock_name, fd):
            os.unlink(lock_name, dir_fd=folder_fd)
    except OSError:
        pass  # another holder removes it, or it stays: an empty file that nobody holds locks nobody out
    finally:
        os.close(fd)


def _is_still_there(folder_fd: int, lock_name: str, fd: int) -> bool:
    try:
        named = os.stat(lock_name, dir_fd=folder_fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(named, os.fstat(fd))
