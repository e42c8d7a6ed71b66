"""Opening a block device or an image by name: which names are accepted, and what is said when it fails."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from luksafe.errors import Busy, LuksafeError, NotFound, Refused, UsageError

StrPath = str | os.PathLike[str]

_WANTED = "name a block device, an image or a header file"
_OTHER_TYPES = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a character device",
    stat.S_IFSOCK: "a socket",
}


def real_path(path: StrPath) -> Path:
    """``path`` with every symbolic link followed, as ``/dev/disk/by-uuid/…`` and ``/dev/mapper/…`` need."""
    try:
        return Path(os.path.realpath(path, strict=True))
    except OSError as error:
        raise opening_error(path, error) from error
    except ValueError as error:  # a zero byte in the name
        raise UsageError(f"not a path: {os.fspath(path)!r}", hint=_WANTED) from error


def open_storage(path: StrPath, flags: int) -> tuple[int, os.stat_result]:
    """Open a block device or regular file and nothing else; gives the descriptor and its ``fstat``.

    Links are followed once, beforehand; a link put there in between is not. Raises an error of ``errors.py``.
    """
    real = real_path(path)
    _require_storage(path, real.stat().st_mode)  # first: merely opening a tape or a pipe has effects
    try:
        fd = os.open(real, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise opening_error(path, error, flags) from error
    try:
        facts = os.fstat(fd)
        _require_storage(path, facts.st_mode)
        os.set_blocking(fd, True)  # non-blocking only so that a pipe could not hold us up
    except BaseException:
        os.close(fd)
        raise
    return fd, facts


def _require_storage(path: StrPath, mode: int) -> None:
    if not (stat.S_ISBLK(mode) or stat.S_ISREG(mode)):
        raise UsageError(f"{path} is {_OTHER_TYPES.get(stat.S_IFMT(mode), 'no file')}", hint=_WANTED)


def opening_error(path: StrPath, error: OSError, flags: int = os.O_RDONLY) -> LuksafeError:
    """What a failed ``open`` means for the user, and what to do about it."""
    writing = bool(flags & os.O_RDWR)
    reason = error.strerror or str(error)
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR | errno.ENAMETOOLONG:
            return NotFound(f"no such device or file: {path}", hint=_missing_hint(path))
        case errno.ENXIO | errno.ENODEV | errno.ENOMEDIUM:
            return NotFound(f"{path}: no device or no medium behind this name", hint="see what there is: lsblk")
        case errno.ELOOP:
            return NotFound(f"{path}: its symbolic links lead nowhere", hint="name the device itself, see: lsblk")
        case errno.EROFS:
            remedy = f"blockdev --setrw {path}" if Path(path).is_block_device() else "mount -o remount,rw"
            return Refused(f"{path} is read-only", hint=f"make it writable first: {remedy}")
        case errno.EACCES | errno.EPERM:
            doing = "write to" if writing else "read"
            text = f"no permission to {doing} {path}"
            return LuksafeError(text, hint=_permission_hint(writing), code="permission")
        case errno.EBUSY | errno.ETXTBSY:
            return Busy(f"{path} is in use", hint=f"see what uses it: lsblk {path}")
        case _:
            return LuksafeError(f"cannot open {path}: {reason}", hint="see the kernel's messages: dmesg | tail")


def _missing_hint(path: StrPath) -> str:
    folder = Path(os.fspath(path)).parent
    if str(folder).startswith("/dev"):
        return "see which devices there are: lsblk"
    return "check the spelling" if folder.is_dir() else f"there is no folder {folder} either"


def _permission_hint(writing: bool) -> str:
    if os.geteuid() != 0:
        return "run with sudo"
    return "it may be read-only or sealed off (blockdev --getro, lsattr)" if writing else "run outside the container"
