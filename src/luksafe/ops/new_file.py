"""A new file that is whole or not there: mode 0600, synced, read back."""

from __future__ import annotations

import os
from pathlib import Path

from luksafe.errors import Refused, StoreError, UsageError


def write_new_file(path: Path, data: bytes) -> None:
    """Write a file that does not exist yet. Raises Refused when it does, UsageError, StoreError (nothing is left)."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise Refused(f"{path} exists already", code="exists", hint="choose another name") from None
    except OSError as problem:
        raise UsageError(f"{path} cannot be made: {problem.strerror}") from None
    try:
        _fill(fd, data)
    except OSError as problem:
        path.unlink(missing_ok=True)
        raise StoreError(f"{path} could not be written: {problem.strerror}; nothing is left of it") from None
    finally:
        os.close(fd)


def _fill(fd: int, data: bytes) -> None:
    at = 0
    while at < len(data):
        at += os.write(fd, data[at:])
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    if os.pread(fd, len(data), 0) != data:
        raise OSError(None, "it reads back differently")
