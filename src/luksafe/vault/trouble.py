"""What the operating system says about a store, in words that a user can act on."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from luksafe.errors import LuksafeError, NotFound, StoreError

_AGAIN = "then run the same command again"
_FULL = f"free some space there, {_AGAIN}"
_DENIED = "run as its owner or as root"
_TROUBLE = {
    errno.ENOSPC: ("store-full", "is full", _FULL),
    errno.EDQUOT: ("store-full", "is full (quota)", _FULL),
    errno.EFBIG: ("store-full", "takes no file of this size", _FULL),
    errno.EROFS: ("store-read-only", "is read-only", f"mount it read-write, {_AGAIN}"),
    errno.EIO: ("store-failing", "fails (input/output error)", "replace the medium and add another store"),
    errno.EUCLEAN: ("store-failing", "has a damaged file system", "check it with fsck, or add another store"),
    errno.EBADMSG: ("store-failing", "has a damaged file system", "check it with fsck, or add another store"),
    errno.EACCES: ("store-denied", "may not be used by this user", _DENIED),
    errno.EPERM: ("store-denied", "may not be used by this user", _DENIED),
    errno.ENOENT: ("store-away", "is not there", f"mount it, {_AGAIN}"),
    errno.ENOTDIR: ("store-link", "has a file or link where a folder should be", "look at it: who put it there?"),
    errno.ELOOP: ("store-link", "has a symbolic link where none may be", "look at it: who put it there?"),
}


@contextmanager
def explained(path: Path, name: str = "", *, reading: bool = False) -> Iterator[None]:
    """Raise ``StoreError`` for any ``OSError``, except ``NotFound`` when ``reading`` what is absent."""
    try:
        yield
    except OSError as error:
        raise _explain(error, path, name, reading) from error


def _explain(error: OSError, path: Path, name: str, reading: bool) -> LuksafeError:
    if reading and error.errno == errno.ENOENT:
        return NotFound(f"{path} has no {name}")
    code, text, hint = _TROUBLE.get(error.errno or 0, ("store", f"fails: {os.strerror(error.errno or 0)}", ""))
    return StoreError(f"{path} {text}" + (f" ({name})" if name else ""), code=code, hint=hint)
