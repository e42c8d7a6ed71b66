"""The mount, served by a process of its own and read through the kernel."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from unit.view.readers import FaultyReader, noise

from luksafe.errors import Busy, NotFound, Unsupported, UsageError
from luksafe.reader import Reader
from luksafe.view.fuse import mount
from luksafe.view.process import Worker, fork_worker

DATA = noise(5 << 20) + b"end"

if not os.access("/dev/fuse", os.R_OK | os.W_OK) or not shutil.which("fusermount3"):
    pytest.skip("FUSE needs /dev/fuse and fusermount3", allow_module_level=True)
pytest.importorskip("mfusepy", exc_type=(ImportError, OSError))


class Mounted:
    """A mount with its server."""

    def __init__(self, reader: Reader, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir()
        self.server: Worker | None = fork_worker(lambda: mount(reader, folder))
        deadline = time.monotonic() + 10
        while not os.path.ismount(folder) and time.monotonic() < deadline:
            time.sleep(0.01)

    @property
    def file(self) -> Path:
        return self.folder / "volume"

    def unmount(self) -> int:
        subprocess.run(["fusermount3", "-u", self.folder], check=True)
        return self.join()

    def join(self) -> int:
        assert self.server is not None
        status, self.server = self.server.join(), None
        return status

    def wait_until_gone(self) -> None:
        deadline = time.monotonic() + 10
        while is_listed(self.folder) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not is_listed(self.folder)

    def close(self) -> None:
        if self.server is not None:
            with suppress(ProcessLookupError):
                self.server.kill()
            self.server.join()
            subprocess.run(["fusermount3", "-u", "-z", self.folder], capture_output=True)


def is_listed(folder: Path) -> bool:
    return f" {folder} " in Path("/proc/self/mountinfo").read_text()


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Mounted]:
    found = Mounted(FaultyReader(DATA, [(4 << 20, (4 << 20) + 4096)]), tmp_path / "mnt")
    yield found
    found.close()


def test_one_read_only_file(mounted: Mounted) -> None:
    assert [path.name for path in mounted.folder.iterdir()] == ["volume"]
    facts = mounted.file.stat()
    assert facts.st_size == len(DATA)
    assert stat.S_IMODE(facts.st_mode) == 0o400
    with pytest.raises(OSError) as caught:
        mounted.file.open("r+b")
    assert caught.value.errno == errno.EROFS
    with pytest.raises(FileNotFoundError):
        (mounted.folder / "other").stat()
    with pytest.raises(OSError):
        (mounted.folder / "new").touch()
    assert mounted.unmount() == 0


def test_content_and_unreadable_places(mounted: Mounted) -> None:
    with mounted.file.open("rb") as file:
        assert file.read(4 << 20) == DATA[: 4 << 20]
        assert os.pread(file.fileno(), 1 << 20, len(DATA) - 10) == DATA[-10:]
        assert os.pread(file.fileno(), 10, len(DATA)) == b""
        with pytest.raises(OSError) as caught:
            os.pread(file.fileno(), 4096, 4 << 20)
        assert caught.value.errno == errno.EIO
        assert os.pread(file.fileno(), 1000, (4 << 20) + 300000) == DATA[(4 << 20) + 300000 :][:1000]


def test_eight_readers_at_once(mounted: Mounted) -> None:
    expected = hashlib.sha256(DATA[: 4 << 20]).digest()
    seen = []

    def read_all() -> None:
        with mounted.file.open("rb") as file:
            seen.append(hashlib.sha256(file.read(4 << 20)).digest())

    threads = [threading.Thread(target=read_all) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [expected] * 8


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_server_leaves_no_mount_even_while_it_is_read(mounted: Mounted, number: signal.Signals) -> None:
    assert mounted.server is not None
    fd = os.open(mounted.file, os.O_RDONLY)
    os.read(fd, 100)
    os.kill(mounted.server.pid, number)
    assert mounted.join() in (0, -number)
    mounted.wait_until_gone()
    with pytest.raises(OSError):
        os.pread(fd, 4096, 2 << 20)
    with suppress(OSError):  # closing flushes, which nobody answers
        os.close(fd)


def test_an_ext4_inside_mounts_read_only_over_a_loop_device(tmp_path: Path) -> None:
    if os.geteuid() != 0 or not shutil.which("mkfs.ext4") or not Path("/dev/loop-control").exists():
        pytest.skip("needs root, mkfs.ext4 and loop devices")
    tree, image = tmp_path / "tree", tmp_path / "image"
    tree.mkdir()
    (tree / "file").write_bytes(DATA)
    subprocess.run(["mkfs.ext4", "-q", "-d", tree, image, "16M"], check=True)
    found = Mounted(FaultyReader(image.read_bytes(), []), tmp_path / "mnt")
    inside = tmp_path / "inside"
    inside.mkdir()
    try:
        check = subprocess.run(["e2fsck", "-fn", found.file], capture_output=True, text=True)
        assert check.returncode == 0, check.stdout
        subprocess.run(["mount", "-o", "ro,loop", found.file, inside], check=True)
        try:
            assert (inside / "file").read_bytes() == DATA
        finally:
            subprocess.run(["umount", inside], check=True)
        assert found.unmount() == 0
    finally:
        found.close()


def test_folders_that_will_not_do(tmp_path: Path, mounted: Mounted) -> None:
    reader = FaultyReader(DATA, [])
    with pytest.raises(NotFound, match="no such folder"):
        mount(reader, tmp_path / "missing")
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="not empty"):
        mount(reader, tmp_path)
    with pytest.raises(Busy, match="mounted"):
        mount(reader, mounted.folder)


def test_without_the_extra_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mfusepy", None)
    with pytest.raises(Unsupported, match="mfusepy") as caught:
        mount(FaultyReader(DATA, []), tmp_path)
    assert "serve" in caught.value.hint


def test_a_failed_mount_is_told(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root mounts without fusermount3")
    script = (
        "import sys; from pathlib import Path; from luksafe.errors import LuksafeError\n"
        "from luksafe.reader import BytesReader; from luksafe.view.fuse import mount\n"
        "try: mount(BytesReader(b'x'), Path(sys.argv[1]))\n"
        "except LuksafeError as error: print(error)"
    )
    environment = {**os.environ, "PATH": "/nonexistent", "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run([sys.executable, "-c", script, tmp_path], env=environment, capture_output=True, text=True)
    assert "cannot mount" in result.stdout
