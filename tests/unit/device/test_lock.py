"""cryptsetup's metadata locks: against itself, against us, and where there can be none."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from luksafe.device import lock
from luksafe.device.lock import metadata_lock
from luksafe.device.proclocks import LockHolder, lock_holders, parse_locks
from luksafe.errors import Busy

CRYPTSETUP_FOLDER = Path("/run/cryptsetup")
needs_tools = pytest.mark.skipif(
    shutil.which("cryptsetup") is None or shutil.which("strace") is None, reason="needs cryptsetup and strace"
)


@pytest.fixture
def luks2(tmp_path: Path) -> Path:
    image = tmp_path / "luks2.img"
    with image.open("wb") as out:
        out.truncate(32 << 20)
    command = "cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file -"
    subprocess.run([*command.split(), image], input=b"x", check=True)
    return image


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Lock folders of our own, not yet made."""
    mine = [tmp_path / "run-cryptsetup", tmp_path / "run-lock-cryptsetup"]
    monkeypatch.setattr(lock, "_FOLDERS", tuple(mine))
    return mine


@contextmanager
def stopped_at_flock(log: Path, number: int, *command: str | Path) -> Iterator[int]:
    """cryptsetup, stopped right after its ``number``-th flock: it holds that lock. Gives its PID."""
    tracer = subprocess.Popen(
        ["strace", "-f", "-o", log, "-e", "trace=flock", "-e", f"inject=flock:signal=STOP:when={number}", *command],
        stdout=subprocess.DEVNULL,
    )
    try:
        give_up = time.monotonic() + 20
        while not (log.exists() and "stopped by SIGSTOP" in log.read_text()):
            assert time.monotonic() < give_up and tracer.poll() is None, log.read_text()
            time.sleep(0.02)
        pid = int(log.read_text().split()[0])
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        tracer.wait()


def first_exclusive_flock(log: Path, *command: str | Path) -> int:
    subprocess.run(["strace", "-f", "-o", log, "-e", "trace=flock", *command], check=True, stdout=subprocess.DEVNULL)
    calls = [line for line in log.read_text().splitlines() if "flock(" in line]
    return next(n for n, line in enumerate(calls, 1) if re.search(r"LOCK_EX\)", line))


@needs_tools
@pytest.mark.parametrize("on", ["file", "loop"])
def test_waits_for_a_cryptsetup_that_reads_or_writes(
    luks2: Path, on: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    target = str(luks2) if on == "file" else request.getfixturevalue("loop_device")(luks2)
    with stopped_at_flock(tmp_path / "log", 1, "cryptsetup", "luksDump", target) as pid:
        with metadata_lock(target, wait_seconds=0) as state:
            assert state.held, state.why  # both only read
        with (
            pytest.raises(Busy, match=rf"locked by cryptsetup \(PID {pid}\)"),
            metadata_lock(target, exclusive=True, wait_seconds=0.1),
        ):
            pass
    config = ("cryptsetup", "config", "--label", "x", target)
    number = first_exclusive_flock(tmp_path / "log2", *config)
    with (
        stopped_at_flock(tmp_path / "log3", number, *config) as pid,
        pytest.raises(Busy, match=rf"locked by cryptsetup \(PID {pid}\)"),
        metadata_lock(target, wait_seconds=0.1),
    ):
        pass
    with metadata_lock(target, exclusive=True, wait_seconds=0) as state:
        assert state.held, state.why


@needs_tools
@pytest.mark.parametrize("on", ["file", "loop"])
def test_cryptsetup_waits_for_us(luks2: Path, on: str, request: pytest.FixtureRequest) -> None:
    target = str(luks2) if on == "file" else request.getfixturevalue("loop_device")(luks2)
    dump = ["cryptsetup", "luksDump", target]
    with metadata_lock(target) as state:
        assert state.held, state.why
        subprocess.run(dump, check=True, capture_output=True, timeout=20)
    with metadata_lock(target, exclusive=True) as state:
        assert state.held, state.why
        waiting = subprocess.Popen(dump, stdout=subprocess.DEVNULL)
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(timeout=0.5)
    assert waiting.wait(timeout=20) == 0
    if on == "loop":
        assert not (CRYPTSETUP_FOLDER / f"L_7:{os.minor(os.stat(target).st_rdev)}").exists()


def test_waiting_ends_when_the_lock_is_free(tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.touch()
    with path.open() as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        timer = threading.Timer(0.2, fcntl.flock, (holder, fcntl.LOCK_UN))
        timer.start()
        with metadata_lock(path, wait_seconds=20) as state:
            assert state.held
        timer.join()


def test_a_device_is_locked_in_every_folder_there_is(
    tmp_path: Path, loop_device: Callable[..., str], folders: list[Path]
) -> None:
    image = tmp_path / "image"
    image.write_bytes(bytes(4096))
    device = loop_device(image)
    name = f"L_7:{os.minor(os.stat(device).st_rdev)}"
    with metadata_lock(device) as state:
        assert not state.held
        assert "no cryptsetup has run" in state.why
    with metadata_lock(device, exclusive=True) as state:  # who writes makes the folder, as cryptsetup would
        assert state.held
        assert (folders[0] / name).exists()
        assert folders[0].stat().st_mode & 0o777 == 0o700
    folders[1].mkdir()
    with metadata_lock(device) as state:
        assert state.held
        assert all((folder / name).exists() for folder in folders)
        with pytest.raises(Busy), metadata_lock(device, exclusive=True, wait_seconds=0):
            pass
        assert all((folder / name).exists() for folder in folders)  # the failed one took nothing away
    assert not any((folder / name).exists() for folder in folders)


def test_a_lock_file_removed_while_we_waited_is_not_trusted(
    tmp_path: Path, loop_device: Callable[..., str], folders: list[Path]
) -> None:
    image = tmp_path / "image"
    image.write_bytes(bytes(4096))
    device = loop_device(image)
    folders[0].mkdir()
    at = folders[0] / f"L_7:{os.minor(os.stat(device).st_rdev)}"
    with at.open("w") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)

        def leave() -> None:  # as cryptsetup does: remove the name, then let go
            at.unlink()
            holder.close()

        timer = threading.Timer(0.2, leave)
        timer.start()
        with metadata_lock(device, exclusive=True, wait_seconds=20) as state:
            assert state.held
            assert at.exists()  # the new one
            assert [h.pid for h in lock_holders(at.stat())] == [os.getpid()]
        timer.join()


def test_a_folder_of_somebody_else_is_not_used(
    tmp_path: Path, loop_device: Callable[..., str], folders: list[Path]
) -> None:
    image = tmp_path / "image"
    image.write_bytes(bytes(4096))
    device = loop_device(image)
    folders[0].mkdir()
    folders[1].mkdir()
    os.chown(folders[1], 65534, 65534)
    name = f"L_7:{os.minor(os.stat(device).st_rdev)}"
    with metadata_lock(device) as state:
        assert state.held
        assert (folders[0] / name).exists()
        assert not (folders[1] / name).exists()


def test_a_link_in_place_of_the_lock_file_is_not_followed(
    tmp_path: Path, loop_device: Callable[..., str], folders: list[Path]
) -> None:
    image = tmp_path / "image"
    image.write_bytes(bytes(4096))
    device = loop_device(image)
    folders[0].mkdir()
    (folders[0] / f"L_7:{os.minor(os.stat(device).st_rdev)}").symlink_to(tmp_path / "victim")
    with metadata_lock(device) as state:
        assert not state.held
    assert not (tmp_path / "victim").exists()


def test_locks_are_gone_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.touch()
    with pytest.raises(RuntimeError), metadata_lock(path, exclusive=True):
        raise RuntimeError
    with metadata_lock(path, exclusive=True, wait_seconds=0) as state:
        assert state.held


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_without_privileges_it_reads_without_and_says_so(tmp_path: Path, loop_device: Callable[..., str]) -> None:
    image = tmp_path / "image"
    image.write_bytes(bytes(4096))
    device = loop_device(image)
    CRYPTSETUP_FOLDER.mkdir(mode=0o700, exist_ok=True)
    mode = os.stat(device).st_mode
    os.chmod(device, 0o644)
    code = (
        "import os, sys; from luksafe.device.lock import metadata_lock\n"
        "os.setuid(65534)\n"
        "with metadata_lock(sys.argv[1]) as state: print(state.held, state.why)"
    )
    done = subprocess.run([sys.executable, "-c", code, device], capture_output=True, text=True, check=True)
    os.chmod(device, mode)
    assert done.stdout == "False /run/cryptsetup cannot be used (Permission denied); run with sudo to lock\n"


def test_proc_locks_is_read() -> None:
    text = (
        "1: FLOCK  ADVISORY  WRITE 42 fe:00:99 0 EOF\n"
        "1: -> FLOCK  ADVISORY  WRITE 43 fe:00:99 0 EOF\n"
        "2: OFDLCK ADVISORY  READ -1 fe:00:99 100 101\n"
        "3: LEASE  ACTIVE    READ 44 fe:00:99 0 EOF\n"
        "4: POSIX  ADVISORY  WRITE 45 fe:00:98 0 EOF\n\nnonsense\n"
    )
    assert parse_locks(text, "fe:00:99") == [LockHolder(42, "FLOCK", True), LockHolder(-1, "OFDLCK", False)]
    assert str(LockHolder(-1, "OFDLCK", False)) == "a process that the kernel does not name"
    assert str(LockHolder(2**22 + 1, "FLOCK", False)).startswith("a process (PID")
