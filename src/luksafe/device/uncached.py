"""Reading past the page cache: what is on the medium, not what we have just put into memory."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import stat
import struct
from dataclasses import dataclass
from typing import Literal

from luksafe.device.opening import StrPath, opening_error

_BUFFER_BYTES = 1 << 20
_PAGE_BYTES = mmap.PAGESIZE
_BLKSSZGET = 0x1268  # linux/fs.h: the logical sector size


@dataclass(frozen=True, slots=True)
class UncachedBytes:
    """What was read, and how: with O_DIRECT, or after asking the kernel to drop its cached pages."""

    data: bytes
    method: Literal["direct", "cache-dropped"]


def read_uncached(path: StrPath, offset_bytes: int, length_bytes: int) -> UncachedBytes:
    """Read from the medium itself, fewer bytes at the end. Written bytes must have been synced before.

    Where O_DIRECT is refused (some filesystems), cached pages are dropped first, which the kernel may not do in
    full. For a loop device it is the device's own cache that is passed by. Raises ``OSError`` with path and place.
    """
    try:
        return UncachedBytes(_read_direct(path, offset_bytes, length_bytes), "direct")
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise
    return UncachedBytes(_read_after_drop(path, offset_bytes, length_bytes), "cache-dropped")


def _open(path: StrPath, flags: int) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise
        raise opening_error(path, error) from error


def _read_direct(path: StrPath, offset: int, length: int) -> bytes:
    fd = _open(path, os.O_DIRECT)
    try:
        align = _alignment(fd)
        at, end = offset // align * align, -(-(offset + length) // align) * align
        out = bytearray()
        with mmap.mmap(-1, _BUFFER_BYTES) as buffer, memoryview(buffer) as view:
            while at < end:
                with view[: min(end - at, _BUFFER_BYTES)] as window:
                    try:
                        got = os.preadv(fd, [window], at)
                    except OSError as error:
                        raise OSError(error.errno, f"{error.strerror} at byte {at}", os.fspath(path)) from error
                out += view[:got]
                at += got
                if got % align or not got:
                    break  # the end of the file
        return bytes(out[offset % align :][:length])
    finally:
        os.close(fd)


def _alignment(fd: int) -> int:
    """What offsets and lengths must be multiples of, in bytes."""
    if not stat.S_ISBLK(os.fstat(fd).st_mode):
        return 4096
    return int(struct.unpack("i", fcntl.ioctl(fd, _BLKSSZGET, bytes(4)))[0])


def _read_after_drop(path: StrPath, offset: int, length: int) -> bytes:
    fd = _open(path, 0)
    try:
        first, last = offset // _PAGE_BYTES * _PAGE_BYTES, -(-(offset + length) // _PAGE_BYTES) * _PAGE_BYTES
        os.posix_fadvise(fd, first, last - first, os.POSIX_FADV_DONTNEED)  # only whole pages are dropped
        out = bytearray()
        while len(out) < length and (part := os.pread(fd, length - len(out), offset + len(out))):
            out += part
        return bytes(out)
    finally:
        os.close(fd)
