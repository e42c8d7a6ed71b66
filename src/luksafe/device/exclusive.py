"""The only place that opens a user's disk for writing: exclusively, and only the device that was planned."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import ExitStack

from luksafe.device.identity import DeviceFacts
from luksafe.device.lock import WAIT_SECONDS, LockState, lock_metadata
from luksafe.device.opening import StrPath, open_storage, opening_error
from luksafe.device.source import DeviceReader
from luksafe.device.sysfs import find_node
from luksafe.device.uncached import UncachedBytes, read_uncached
from luksafe.device.usage import Use, find_uses
from luksafe.errors import Busy, Refused


class WritableDevice(DeviceReader):
    """A device or image that is ours alone, with cryptsetup's metadata lock. Writes never make it larger.

    ``lock`` says whether the lock is held, and if not, why.
    """

    def __init__(self, fd: int, path: str, planned: DeviceFacts, lock: LockState, stack: ExitStack) -> None:
        super().__init__(fd, path, planned.kind)
        self._stack = stack
        self.lock = lock
        self.written_bytes = 0
        """How many bytes the kernel has taken so far."""

    def write_at(self, offset_bytes: int, data: bytes | bytearray | memoryview) -> None:
        """Write all of ``data``. Raises ``Refused`` before a byte is written beyond the end, else ``OSError``."""
        self.require_room(offset_bytes, len(data))
        with memoryview(data) as view:
            at = 0
            while at < len(view):
                try:
                    done = os.pwrite(self._fd, view[at:], offset_bytes + at)
                except OSError as error:
                    raise OSError(error.errno, f"{error.strerror} at byte {offset_bytes + at}", self.path) from error
                if not done:
                    raise OSError(errno.EIO, f"nothing more was written at byte {offset_bytes + at}", self.path)
                at += done
                self.written_bytes += done

    def require_room(self, offset: int, length: int) -> None:
        """Raise ``Refused`` unless the device has these bytes now: it may have become smaller since it was opened."""
        size = self.size_now()
        if offset < 0 or offset + length > size:
            raise Refused(
                f"{self.path} ends at byte {size}: {length} bytes at {offset} do not fit",
                hint="see how large it is: lsblk, ls -l; take a backup that was made of this device",
            )

    def size_now(self) -> int:
        """Its size in bytes, which may be less than when it was opened; never more."""
        return min(self._size, os.lseek(self._fd, 0, os.SEEK_END))

    def sync(self) -> None:
        """Return when everything written is on the medium. Raises ``OSError``."""
        os.fsync(self._fd)

    def read_uncached(self, offset_bytes: int, length_bytes: int) -> UncachedBytes:
        """What the medium itself holds now; call ``sync`` before."""
        return read_uncached(f"/proc/self/fd/{self._fd}", offset_bytes, length_bytes)

    def close(self) -> None:
        """Let go of the device and of the lock."""
        self._stack.close()
        self._fd = -1


def open_for_writing(
    path: StrPath, planned: DeviceFacts, *, allow_in_use: bool = False, wait_seconds: float = WAIT_SECONDS
) -> WritableDevice:
    """Open the device of the plan, and no other, for reading and writing; nobody else may use it meanwhile.

    With ``allow_in_use`` others may (a header is rebuilt under its active mapping); cryptsetup's metadata lock is
    taken all the same. Raises ``Busy`` (names the user), ``Refused`` (another device, read-only), ``NotFound``.
    """
    name = os.fspath(path)
    with ExitStack() as stack:
        fd = _open(path, os.O_RDWR if allow_in_use or planned.kind == "file" else os.O_RDWR | os.O_EXCL)
        stack.callback(os.close, fd)
        _require_planned(name, fd, planned)
        lock = lock_metadata(stack, fd, name, exclusive=True, wait_seconds=wait_seconds)
        if planned.kind == "file" and not allow_in_use and (uses := find_uses(path)):
            raise _in_use(name, uses)
        kept = stack.pop_all()
    return WritableDevice(fd, name, planned, lock, kept)


def _open(path: StrPath, flags: int) -> int:
    try:
        return open_storage(path, flags)[0]
    except Busy as error:
        raise _in_use(os.fspath(path), find_uses(path)) from error


def _in_use(name: str, uses: list[Use]) -> Busy:
    what = "; ".join(use.detail for use in uses) or f"{name} is in use"
    return Busy(what, hint="unmount or close that first: umount, swapoff, cryptsetup close, losetup -d")


def _require_planned(name: str, fd: int, planned: DeviceFacts) -> None:
    """A device name can mean another device by now: it was plugged in again, or the file was replaced."""
    facts = os.fstat(fd)
    is_block = stat.S_ISBLK(facts.st_mode)
    number = facts.st_rdev if is_block else facts.st_dev
    node = find_node(os.major(number), os.minor(number)) if is_block else None
    now = {
        "kind": "block" if is_block else "file",
        "number": (os.major(number), os.minor(number)),
        "inode": None if is_block else facts.st_ino,
        "medium": (node.disk.integer("diskseq") or None) if node else None,
        "size": os.lseek(fd, 0, os.SEEK_END),
    }
    then = {
        "kind": planned.kind,
        "number": (planned.major, planned.minor),
        "inode": planned.inode,
        "medium": planned.disk_sequence,
        "size": planned.size_bytes,
    }
    differing = [f"{key} {then[key]} is now {now[key]}" for key in then if then[key] != now[key]]
    if differing:
        raise Refused(
            f"{name} is no longer what the plan was made for: {', '.join(differing)}",
            hint="nothing was written; make the plan again and look at it",
        )
    if node is not None and node.attribute("ro") == "1":  # the kernel opens it all the same, and fails the writes
        raise opening_error(name, OSError(errno.EROFS, os.strerror(errno.EROFS)), os.O_RDWR)
