"""A restore that dies or fails at every system call that writes: old, new, or undo gives back the old bytes.

strace kills the real program, or makes the system call fail, at its first, second, third … such call, until it gets
through. After each, luksafe must tell the truth, and undo must give back exactly what was there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from generators.headers import UUID, luks1_image, luks2_image

DATA = bytes(range(256)) * 2048
WRITING_CALLS = ("pwrite64", "write", "fsync", "link", "linkat", "rename", "renameat2", "unlinkat", "unlink")
FAULTS = ("signal=KILL", "error=EIO", "error=ENOSPC")
MOST_CALLS = 400

pytestmark = [
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed"),
    pytest.mark.slow,
    pytest.mark.timeout(1500),
]


@dataclass
class Bench:
    """A wrecked device, its backup in a vault with one store, and the bytes before and after."""

    folder: Path
    device: Path
    image: Path
    old: bytes
    new: bytes

    def luksafe(self, *arguments: object, trace: tuple[str, ...] = ()) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "luksafe", "--vault", str(self.folder / "vault"), *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "XDG_STATE_HOME": str(self.folder)}
        return subprocess.run([*trace, *command], capture_output=True, env=environment, start_new_session=True)

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


@pytest.fixture(params=["luks1", "luks2"])
def content(request) -> tuple[bytes, bytes]:
    good = (luks1_image() if request.param == "luks1" else luks2_image()) + DATA
    return b"\xa5" * 50_000 + good[50_000:], good


@pytest.fixture(params=["file", "loop"])
def bench(request, tmp_path, content) -> Iterator[Bench]:
    old, new = content
    image = tmp_path / "disk.img"
    image.write_bytes(new)
    device = image
    if request.param == "loop":
        made = subprocess.run(["losetup", "--find", "--show", image], capture_output=True, text=True)
        if made.returncode:
            pytest.skip(f"no loop device here: {made.stderr.strip()}")
        device = Path(made.stdout.strip())
    ready = Bench(tmp_path, device, image, old, new)
    try:
        assert ready.luksafe("stores", "add", "s", tmp_path / "store").returncode == 0
        assert ready.luksafe("backup", device).returncode == 0
        ready.reset()
        yield ready
    finally:
        if request.param == "loop":
            subprocess.run(["losetup", "--detach", device], check=False)


def cases(bench: Bench, call: str, fault: str) -> Iterator[tuple[int, subprocess.CompletedProcess[bytes]]]:
    """The restore, hit at its n-th call of that kind, for every n until it is hit no more."""
    for number in range(1, MOST_CALLS):
        bench.reset()
        log = bench.folder / "strace.log"
        rule = f"inject={call}:{fault}:when={number}"
        trace = ("strace", "-f", "-o", str(log), "-e", f"trace={call}", "-e", rule)
        done = bench.luksafe("restore", UUID, bench.device, "--yes", trace=trace)
        text = log.read_text(errors="replace")
        if "INJECTED" not in text and "killed by SIGKILL" not in text:
            assert done.returncode == 0, done.stderr
            return
        yield number, done
    raise AssertionError("it never gets through")


def judge(bench: Bench, done: subprocess.CompletedProcess[bytes]) -> str:
    """The state that was left, and that it can be got out of."""
    now = bench.bytes_now()
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    if now == bench.old:
        state = "old"
    elif now == bench.new:
        state = "new"
    else:
        state = "between"
        checked = json.loads(bench.luksafe("check", bench.device, "--json").stdout)
        reasons = {reason["code"] for reason in checked["volumes"][0]["reasons"]}
        assert "interrupted-write" in reasons, reasons
        refused = bench.luksafe("restore", UUID, bench.device, "--yes")
        assert refused.returncode == 14, refused.stderr
    if state != "old":
        undone = bench.luksafe("undo", bench.device, "--yes")
        assert undone.returncode == 0, undone.stderr
        assert bench.bytes_now() == bench.old
    return state


@pytest.mark.parametrize("fault", FAULTS)
def test_every_cut_leaves_old_new_or_undo(bench, fault, record_property):
    table: dict[str, dict[str, int]] = {}
    for call in WRITING_CALLS:
        counts = table.setdefault(call, {"old": 0, "new": 0, "between": 0})
        for _, done in cases(bench, call, fault):
            counts[judge(bench, done)] += 1
    record_property("outcomes", json.dumps(table))
    assert table["pwrite64"]["old"] + table["pwrite64"]["between"] > 0
    print(fault, json.dumps(table))


def test_an_interrupted_undo_is_done_by_doing_it_again(bench):
    assert bench.luksafe("restore", UUID, bench.device, "--yes").returncode == 0
    for number in range(1, 20):
        trace = ("strace", "-f", "-o", "/dev/null", "-e", "trace=pwrite64")
        done = bench.luksafe(
            "undo", bench.device, "--yes", trace=(*trace, "-e", f"inject=pwrite64:signal=KILL:when={number}")
        )
        if done.returncode == 0:
            break
        again = bench.luksafe("undo", bench.device, "--yes")
        assert again.returncode == 0, again.stderr
        assert bench.bytes_now() == bench.old
        assert bench.luksafe("check", bench.device, "--json").stdout.count(b"interrupted-write") == 0
        for place in bench.folder.glob("**/undo"):
            shutil.rmtree(place)
        assert bench.luksafe("restore", UUID, bench.device, "--yes").returncode == 0
    else:
        raise AssertionError("it never gets through")


def test_an_interrupted_restore_can_be_finished(bench):
    trace = ("strace", "-f", "-o", "/dev/null", "-e", "trace=pwrite64", "-e", "inject=pwrite64:signal=KILL:when=2")
    bench.luksafe("restore", UUID, bench.device, "--yes", trace=trace)
    finished = bench.luksafe("undo", bench.device, "--finish", "--yes")
    assert finished.returncode == 0, finished.stderr
    assert bench.bytes_now() == bench.new
