"""A write that dies or fails at every system call that writes: old, new, or undo gives back the old bytes.

The program runs in a forked process, whose n-th writing call is hit: killed before or after it, cut short, or made to
fail, for every n until it gets through. After each, luksafe must tell the truth, and undo must give back exactly what
was there. A few cuts are made by strace as well, so that nothing hides below Python.
"""

from __future__ import annotations

import errno
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from generators.headers import UUID, luks1_image, luks2_image

from luksafe.cli.app import App
from luksafe.cli.main import main

# loaded once here, and not again in each of the thousands of processes that are forked
for name in ("cli.check", "cli.restore", "cli.undo", "ops.keyslot_health", "probe.recognise", "vault.vault"):
    importlib.import_module(f"luksafe.{name}")
importlib.import_module("numpy")

DATA = bytes(range(256)) * 2048
CALLS = ("pwrite", "write", "fsync", "link", "rename", "unlink", "mkdir", "rmdir")
FAULTS = ("killed before", "killed after", "cut short", "short write", "EIO", "ENOSPC")
NOT_HIT = 99


@dataclass
class Bench:
    """A damaged device, its backup in a vault with one store, and the bytes before and after a restore."""

    folder: Path
    device: Path
    kind: str
    old: bytes
    new: bytes

    def row(self, verb: str, fault: str, states: Counter[str]) -> dict[str, object]:
        """The line of the table that the terminal shows when all is done (tests/conftest.py)."""
        luks = f"luks{self.new[7]}"
        counts = {state: states[state] for state in ("old", "new", "between")}
        return {"verb": verb, "luks": luks, "device": self.kind, "fault": fault, "calls": states.total(), **counts}

    def luksafe(
        self, *arguments: object, hit: int = 0, fault: str = "", calls: tuple[str, ...] = CALLS
    ) -> tuple[int, str, str]:
        """Exit status (negative: the signal), stdout, stderr. With ``hit`` that writing call meets the fault."""
        out, err = self.folder / "out", self.folder / "err"
        pid = os.fork()
        if pid == 0:
            run_in_child(["--vault", str(self.folder / "vault"), *map(str, arguments)], out, err, hit, fault, calls)
        _, waited = os.waitpid(pid, 0)
        status = os.waitstatus_to_exitcode(waited)
        return status, out.read_text(), err.read_text()

    def bytes_now(self) -> bytes:
        with self.device.open("rb") as file:
            return file.read()

    def reset(self) -> None:
        fd = os.open(self.device, os.O_WRONLY)
        os.pwrite(fd, self.old, 0)
        os.fsync(fd)
        os.close(fd)
        for place in self.folder.glob("**/undo"):
            shutil.rmtree(place)


def run_in_child(arguments: list[str], out: Path, err: Path, hit: int, fault: str, calls: tuple[str, ...]) -> None:
    """Run luksafe in this forked process and leave it; never returns."""
    status = 70
    try:
        os.setsid()
        for path, number in ((out, 1), (err, 2)):
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(fd, number)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", closefd=False)
        App._current = None
        if hit:
            install(hit, fault, calls)
        try:
            main(arguments)
        except SystemExit as leave:
            status = int(leave.code or 0)
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def install(hit: int, fault: str, calls: tuple[str, ...]) -> None:
    """Make the ``hit``-th writing call of this process meet the fault."""
    counter = iter(range(1, 10**6))

    def wrap(real: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            if name == "write" and args[0] in (1, 2):
                return real(*args, **options)
            if next(counter) != hit:
                return real(*args, **options)
            Path("hit").write_text(name)
            if fault == "short write":  # the kernel may take less than it was given, at any time
                given = (args[1][: max(1, len(args[1]) // 2)],) if name in ("pwrite", "write") else args[1:2]
                return real(args[0], *given, *args[2:], **options)
            if fault == "killed after":
                real(*args, **options)
            if fault.startswith("killed"):
                os.kill(os.getpid(), signal.SIGKILL)
            if fault == "cut short" and name in ("pwrite", "write"):
                view = memoryview(args[1])
                real(args[0], view[: len(view) // 2], *args[2:])
                os.kill(os.getpid(), signal.SIGKILL)
            number = errno.ENOSPC if fault == "ENOSPC" else errno.EIO
            raise OSError(number, os.strerror(number))

        return call

    for name in calls:
        setattr(os, name, wrap(getattr(os, name), name))


@pytest.fixture(params=["luks1", "luks2"])
def content(request) -> tuple[bytes, bytes]:
    good = (luks1_image() if request.param == "luks1" else luks2_image()) + DATA
    return b"\xa5" * 50_000 + good[50_000:], good


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory where that is possible: thousands of syncs on a disk take their time."""
    where = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=where) as name:
        yield Path(name)


@contextmanager
def made_bench(folder: Path, kind: str, old: bytes, new: bytes) -> Iterator[Bench]:
    """On a file or over a loop device; the backup is of ``new``, then ``old`` takes its place."""
    device = folder / "disk.img"
    device.write_bytes(new)
    if kind == "loop":
        made = subprocess.run(["losetup", "--find", "--show", device], capture_output=True, text=True)
        if made.returncode:
            pytest.skip(f"no loop device here: {made.stderr.strip()}")
        device = Path(made.stdout.strip())
    ready = Bench(folder, device, kind, old, new)
    try:
        assert ready.luksafe("stores", "add", "s", folder / "store")[0] == 0
        assert ready.luksafe("backup", device)[0] == 0
        ready.reset()
        yield ready
    finally:
        if kind == "loop":
            subprocess.run(["losetup", "--detach", device], check=False)


@pytest.fixture(params=["file", "loop"])
def bench(request, folder, content, monkeypatch) -> Iterator[Bench]:
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    monkeypatch.chdir(folder)
    with made_bench(folder, request.param, *content) as ready:
        yield ready


def cuts(
    bench: Bench, fault: str, *command: object, before: Callable[[], None], calls: tuple[str, ...] = CALLS
) -> Iterator[tuple[str, str]]:
    """Hit the command at every writing call; gives the call's name and stderr, until it gets through."""
    for number in range(1, 500):
        before()
        Path("hit").unlink(missing_ok=True)
        status, _, err = bench.luksafe(*command, hit=number, fault=fault, calls=calls)
        if not Path("hit").exists():
            assert status == 0, err
            return
        assert status != 70, err
        yield Path("hit").read_text(), err
    raise AssertionError("it never gets through")


def judge(bench: Bench) -> str:
    """The state that was left, and that undo gets out of it with exactly the old bytes."""
    now = bench.bytes_now()
    state = {bench.old: "old", bench.new: "new"}.get(now, "between")
    if state == "between":
        checked = json.loads(bench.luksafe("check", bench.device, "--json")[1])
        reasons = {reason["code"] for reason in checked["volumes"][0]["reasons"]}
        assert "interrupted-write" in reasons
        status, _, err = bench.luksafe("restore", UUID, bench.device, "--yes")
        assert (status, "interrupted" in err) == (14, True)
    if state != "old":
        status, _, err = bench.luksafe("undo", bench.device, "--yes")
        assert status == 0, err
        assert bench.bytes_now() == bench.old
    return state


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_restore_hit_at_every_call_leaves_old_new_or_undo(bench, fault, record_property):
    calls, states = set(), Counter()
    for call, err in cuts(bench, fault, "restore", UUID, bench.device, "--yes", before=bench.reset):
        assert "Traceback" not in err, err
        calls.add(call)
        state = judge(bench)
        assert state == "new" or fault != "short write"
        states[state] += 1
    assert "pwrite" in calls
    record_property("interruptions", bench.row("restore", fault, states))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_undo_hit_at_every_call_is_done_by_doing_it_again(bench, record_property):
    states: Counter[str] = Counter()

    def restored() -> None:
        bench.reset()
        assert bench.luksafe("restore", UUID, bench.device, "--yes")[0] == 0

    for _call, err in cuts(bench, "killed before", "undo", bench.device, "--yes", before=restored):
        assert "Traceback" not in err
        states[{bench.old: "old", bench.new: "new"}.get(bench.bytes_now(), "between")] += 1
        status, _, err = bench.luksafe("undo", bench.device, "--yes")
        # killed after the last byte was back and noted: then there is nothing left to undo
        assert status in (0, 15), err
        assert bench.bytes_now() == bench.old
        assert "interrupted-write" not in bench.luksafe("check", bench.device, "--json")[1]
    record_property("interruptions", bench.row("undo", "killed before", states))


def test_an_interrupted_restore_can_be_finished(bench):
    bench.luksafe("restore", UUID, bench.device, "--yes", hit=1, fault="cut short", calls=("pwrite",))
    assert bench.bytes_now() not in (bench.old, bench.new)
    status, _, err = bench.luksafe("undo", bench.device, "--finish", "--yes")
    assert status == 0, err
    assert bench.bytes_now() == bench.new


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("number", [1, 2])
def test_killed_by_strace_at_the_writes_to_the_device(bench, number):
    rule = ("-e", "trace=pwrite64", "-e", f"inject=pwrite64:signal=KILL:when={number}")
    command = [sys.executable, "-m", "luksafe", "--vault", "vault", "restore", UUID, str(bench.device), "--yes"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run(["strace", "-f", "-o", "/dev/null", *rule, *command], capture_output=True, env=environment)
    judge(bench)
