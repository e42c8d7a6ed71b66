"""The decrypted volume as one read-only file, ``volume``, in a folder (FUSE; extra ``fuse``)."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luksafe.errors import Busy, LuksafeError, NotFound, Unsupported, UsageError
from luksafe.extras import install_hint
from luksafe.programs import environment
from luksafe.reader import Reader

if TYPE_CHECKING:
    import types

FILE_NAME = "volume"
READ_BYTES = 1 << 20  # the most that the kernel asks for at once
BACKGROUND_REQUESTS = 64
THREADS = 10
OPTIONS: dict[str, Any] = {
    "foreground": True,
    "fsname": "luksafe",
    "subtype": "luksafe",
    "ro": True,
    "nosuid": True,
    "nodev": True,
    "noexec": True,
    "default_permissions": True,
    "max_read": READ_BYTES,
    "kernel_cache": True,  # the volume never changes
}


def mount(
    volume: Reader, folder: Path, *, allow_other: bool = False, on_ready: Callable[[], None] = lambda: None
) -> None:
    """Mount and serve until unmounted or SIGINT, SIGTERM, SIGHUP. A killed server's mount is taken away as well.

    ``on_ready`` is called once the file can be opened.
    Raises ``NotFound``, ``UsageError``, ``Busy``, ``Unsupported``, ``LuksafeError``.
    """
    _check_folder(folder)
    mfusepy = _load()
    options = {**OPTIONS, "allow_other": allow_other}
    if mfusepy.fuse_version_minor >= 12:
        options |= {"max_threads": THREADS, "max_idle_threads": THREADS}
    operations = _operations(mfusepy, volume, folder.resolve(), on_ready)
    try:
        with _guard(folder.resolve()):
            mfusepy.FUSE(operations, os.fspath(folder), **options)
    except RuntimeError:  # also after a signal
        if not operations.is_mounted:
            raise LuksafeError(
                f"cannot mount on {folder}: what FUSE says stands above",
                hint="see that /dev/fuse and fusermount3 are there and usable for you (package fuse3)",
            ) from None


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise NotFound(f"no such folder: {folder}", hint=f"make it first: mkdir {folder}")
    if folder.is_mount():
        raise Busy(f"something is mounted on {folder} already", hint=f"unmount it first: fusermount3 -u {folder}")
    if any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty", hint="mount on an empty folder")


@contextmanager
def _guard(mount_point: Path) -> Iterator[None]:
    """A process that takes the mount away when this one dies without doing so.

    libfuse's own ``auto_unmount`` asks whether the mount is dead before the kernel has closed it, and may leave it.
    """
    script = 'read -r _; fusermount3 -u -z "$0" || umount -l "$0"'
    guard = subprocess.Popen(
        ["/bin/sh", "-c", script, os.fspath(mount_point)],
        stdin=subprocess.PIPE,  # its end is our end
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
        start_new_session=True,  # Ctrl-C is not for it
    )
    try:
        yield
    finally:
        guard.kill()
        guard.communicate()


def _load() -> types.ModuleType:
    """mfusepy, with libfuse 3 where it is installed: libfuse 2 reads by 128 KiB only."""
    os.environ.setdefault("FUSE_LIBRARY_NAME", "fuse3")
    try:
        import mfusepy
    except ImportError:
        raise Unsupported("mounting needs mfusepy", hint=f"{install_hint('fuse')}; or use: luksafe serve") from None
    except OSError:
        raise Unsupported("mounting needs libfuse 3", hint="apt install fuse3; or use: luksafe serve") from None
    return mfusepy  # type: ignore[no-any-return]


def _operations(mfusepy: types.ModuleType, volume: Reader, mount_point: Path, on_ready: Callable[[], None]) -> Any:
    """The file system: a folder with one file in it."""
    started = time.time_ns()
    owner = {
        "st_uid": os.getuid(),
        "st_gid": os.getgid(),
        "st_atime": started,
        "st_mtime": started,
        "st_ctime": started,
    }
    root = {"st_mode": stat.S_IFDIR | 0o500, "st_nlink": 2, **owner}
    file = {"st_mode": stat.S_IFREG | 0o400, "st_nlink": 1, "st_size": volume.size_bytes, **owner}

    class Operations(mfusepy.Operations):  # type: ignore[name-defined,misc]
        use_ns = True
        is_mounted = False

        def init_with_config(self, connection: Any, _config: Any) -> None:
            connection.max_read = connection.max_readahead = READ_BYTES
            connection.max_background = BACKGROUND_REQUESTS
            connection.congestion_threshold = BACKGROUND_REQUESTS * 3 // 4
            self.is_mounted = True
            _read_ahead(mount_point)
            on_ready()

        def getattr(self, path: str, _fh: int | None = None) -> dict[str, int]:
            if path == "/":
                return root
            if path == f"/{FILE_NAME}":
                return file
            raise OSError(errno.ENOENT, "no such file")

        def readdir(self, _path: str, _fh: int) -> list[str]:
            return [".", "..", FILE_NAME]

        def open(self, path: str, flags: int) -> int:
            if flags & os.O_ACCMODE != os.O_RDONLY:
                raise OSError(errno.EROFS, "read-only")
            return 0

        def read(self, _path: str, size: int, offset: int, _fh: int) -> bytes:
            return volume.read_at(offset, size)

        def statfs(self, _path: str) -> dict[str, int]:
            return {"f_bsize": 4096, "f_frsize": 4096, "f_blocks": volume.size_bytes // 4096, "f_namemax": 255}

    return Operations()


def _read_ahead(mount_point: Path) -> None:
    """Have the kernel read ahead in large steps. Only root may; without, it asks for 128 KiB at a time."""
    with suppress(OSError):
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            words = line.split()
            if words[4] == os.fspath(mount_point):
                Path(f"/sys/class/bdi/{words[2]}/read_ahead_kb").write_text(str(READ_BYTES >> 10))
