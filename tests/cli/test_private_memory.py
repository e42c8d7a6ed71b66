"""A user without privileges: other processes of that user see no key, and whatever the user may do works as before."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from generators.headers import PASSPHRASE, luks2_image

NOBODY = 65534
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder of that user's with an image; those of pytest are closed to others."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    with tempfile.TemporaryDirectory(prefix="luksafe-") as name:
        folder = Path(name)
        (folder / "disk.img").write_bytes(luks2_image() + bytes(1 << 20))
        (folder / "passphrase").write_bytes(PASSPHRASE)
        for path in (folder, *folder.iterdir()):
            os.chown(path, NOBODY, NOBODY)
        yield folder


@pytest.fixture
def start(home: Path) -> Start:
    """Start a program as that user, in that folder."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(home), "TMPDIR": str(home)}
    environment |= {"XDG_STATE_HOME": str(home / "state"), "LUKSAFE_VAULT": str(home / "vault")}

    def run(*command: str) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command,
            cwd=home,
            env=environment,
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            stdin=pipe,
            stdout=pipe,
            stderr=subprocess.STDOUT,
        )

    return run


@pytest.fixture
def python(start: Start) -> str:
    """An interpreter that this user may run, and that finds what luksafe needs."""
    for path in (sys.executable, "/usr/bin/python3"):
        try:
            probe = start(path, "-c", "import luksafe.ops.proof, pyrage, msgspec, cryptography.hazmat.bindings._rust")
        except OSError:
            continue
        probe.communicate()
        if probe.returncode == 0:
            return path
    pytest.skip("another user cannot run this installation")


def may_be_read(start: Start, pid: int) -> bool:
    reader = start("dd", f"if=/proc/{pid}/mem", "count=0")
    reader.communicate()
    return reader.returncode == 0


def luksafe(start: Start, python: str, *words: str) -> str:
    process = start(python, "-m", "luksafe", *words)
    said, _ = process.communicate()
    assert process.returncode == 0, said
    return said.decode()


def test_no_other_process_reads_its_memory(start: Start, python: str) -> None:
    other = start("sleep", "60")
    try:
        if not may_be_read(start, other.pid):
            pytest.skip("this kernel lets no process read another one's memory (yama)")
    finally:
        other.kill()
        other.communicate()
    process = start(python, "-m", "luksafe", "prove", "disk.img", "--key-file", "-")
    until = time.monotonic() + 30
    while may_be_read(start, process.pid) and time.monotonic() < until:  # it is only starting
        time.sleep(0.05)
    was_private = process.poll() is None and not may_be_read(start, process.pid)
    said, _ = process.communicate(PASSPHRASE)
    assert b"proven" in said
    assert was_private


def test_backup_and_restore_without_privileges(start: Start, python: str, home: Path) -> None:
    """What is written is read back past the page cache, by way of /proc/self."""
    luksafe(start, python, "backup", "disk.img")
    whole = (home / "disk.img").read_bytes()
    (home / "disk.img").write_bytes(bytes(4096) + whole[4096:])
    assert "restored" in luksafe(start, python, "restore", "2c5b1d66-6f54-4f0a-8a1b-0123456789ab", "disk.img", "--yes")
    assert (home / "disk.img").read_bytes() == whole
    luksafe(start, python, "extract", "disk.img", "data.img", "--key-file", "passphrase")


def test_mounting_without_privileges(start: Start, python: str, home: Path) -> None:
    if shutil.which("fusermount3") is None or not os.access("/dev/fuse", os.R_OK):
        pytest.skip("needs fusermount3")
    pytest.importorskip("mfusepy")
    (home / "mnt").mkdir()
    os.chown(home / "mnt", NOBODY, NOBODY)
    process = start(python, "-m", "luksafe", "mount", "disk.img", "mnt", "--key-file", "passphrase")
    assert process.stdout is not None
    try:
        assert any(b"mnt/" in line for line in iter(process.stdout.readline, b""))
        look = start("ls", "mnt")
        said, _ = look.communicate()
        assert (look.returncode, bool(said)) == (0, True)
    finally:
        process.terminate()
        process.communicate()
