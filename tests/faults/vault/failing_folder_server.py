"""The program behind ``failing_folder``: ``BACKING MOUNT_POINT FAULTS``, mirrored until unmounted.

``FAULTS`` is a file with one relative path a line, read anew at each call.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("FUSE_LIBRARY_NAME", "fuse3")
import mfusepy

BACKING, MOUNT_POINT, FAULTS = sys.argv[1:]


def real(path: str) -> str:
    """The path behind the mirror; raises where it is to fail."""
    for line in Path(FAULTS).read_text().splitlines():
        if line == "." or path == f"/{line}" or path.startswith(f"/{line}/"):
            raise mfusepy.FuseOSError(errno.EIO)
    return BACKING + path


class Mirror(mfusepy.Operations):  # type: ignore[misc]
    use_ns = True

    def getattr(self, path: str, fh: Any = None) -> dict[str, Any]:
        # the top itself can be found: it is its content that fails
        status = os.lstat(BACKING if path == "/" else real(path))
        return {name: getattr(status, name) for name in dir(status) if name.startswith("st_")} | {
            name: getattr(status, f"{name}_ns") for name in ("st_atime", "st_mtime", "st_ctime")
        }

    def readdir(self, path: str, fh: Any) -> list[str]:
        return [".", "..", *os.listdir(real(path))]

    def readlink(self, path: str) -> str:
        return os.readlink(real(path))

    def open(self, path: str, flags: int) -> int:
        return os.open(real(path), flags & ~os.O_NOFOLLOW)

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        return os.open(real(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        real(path)
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        real(path)
        return os.pwrite(fh, data, offset)

    def truncate(self, path: str, length: int, fh: Any = None) -> int:
        os.truncate(real(path), length)
        return 0

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        real(path)
        os.fsync(fh)
        return 0

    def fsyncdir(self, path: str, datasync: int, fh: int) -> int:
        real(path)
        return 0

    def release(self, path: str, fh: int) -> int:
        os.close(fh)
        return 0

    def mkdir(self, path: str, mode: int) -> int:
        os.mkdir(real(path), mode)
        return 0

    def rmdir(self, path: str) -> int:
        os.rmdir(real(path))
        return 0

    def unlink(self, path: str) -> int:
        os.unlink(real(path))
        return 0

    def rename(self, old: str, new: str) -> int:
        os.rename(real(old), real(new))
        return 0

    def link(self, target: str, source: str) -> int:
        os.link(real(source), real(target))
        return 0


OPTIONS = {"attr_timeout": 0, "entry_timeout": 0, "negative_timeout": 0}
mfusepy.FUSE(Mirror(), MOUNT_POINT, foreground=True, nothreads=True, direct_io=True, **OPTIONS)
