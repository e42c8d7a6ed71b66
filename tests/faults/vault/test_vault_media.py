"""Stores on real file systems: full, read-only, not mounted, without hard links."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from vault_samples import (
    LATER,
    NOW,
    UUID,
    files_of,
    image_of,
    image_path,
    make_vault,
    open_vault,
    record_of,
    record_path,
)

from luksafe.errors import StoreError
from luksafe.vault.report import State

ROOT = Path(__file__).resolve().parents[3]
IMAGE = image_of()


@contextmanager
def mounted(what: list[str | Path], where: Path) -> Iterator[None]:
    """Mount something, or skip where this may not be done."""
    where.mkdir(exist_ok=True)
    run = subprocess.run(["mount", *what, where], capture_output=True, text=True)
    if run.returncode:
        pytest.skip(f"cannot mount here: {run.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", where], check=True)


@contextmanager
def small_ext4(folder: Path, where: Path, size: int = 1 << 20) -> Iterator[Path]:
    """A loop-mounted file system of one MiB; gives the file that it is in."""
    if not shutil.which("mkfs.ext4"):
        pytest.skip("mkfs.ext4 is not installed")
    disk = folder / "disk.img"
    if not disk.exists():
        disk.write_bytes(bytes(size))
        options = ["-q", "-O", "^has_journal", "-m", "0", "-N", "64"]
        subprocess.run(["mkfs.ext4", *options, disk], check=True, capture_output=True)
    with mounted(["-o", "loop", disk], where):
        yield disk


def noise(number: int) -> bytes:
    """An image that does not pack."""
    return hashlib.shake_128(f"noise {number}".encode()).digest(200_000)


def test_a_full_disk_keeps_what_it_has_and_takes_more_when_there_is_room(tmp_path: Path) -> None:
    with small_ext4(tmp_path, tmp_path / "usb"), make_vault(tmp_path, "usb") as vault:
        ids = []
        for number in range(12):
            added = vault.add(record_of(parents=vault.lineage(UUID).events), noise(number), now=NOW)
            ids.append(added.id)
            if added.problems:
                break
        assert [(problem.store, problem.code) for problem in added.problems] == [("usb", "store-full")]
        assert added.stores == ["home"]
        assert "free some space" in added.problems[0].hint
        assert not list((tmp_path / "usb").rglob(".new-*"))
        usb = vault.check(now=NOW).stores[1]
        assert usb.names(State.DAMAGED, State.UNREADABLE) == []
        assert set(usb.names(State.MISSING)) <= {image_path(ids[-1]), record_path(ids[-1])}
        assert usb.intact == sorted(ids[:-1])
        (report,) = [report for report in vault.sync(now=NOW).stores if report.store == "usb"]
        assert [problem.code for problem in report.problems] == ["store-full"]
        vault.forget(ids[0], "old", now=NOW)
        (report,) = [report for report in vault.sync(now=NOW).stores if report.store == "usb"]
        assert report.problems == []
        assert vault.check(now=NOW).stores[1].is_level


def test_a_disk_too_full_for_a_tombstone_is_emptied_first(tmp_path: Path) -> None:
    with small_ext4(tmp_path, tmp_path / "usb"), make_vault(tmp_path, "usb") as vault:
        backup_id = vault.add(record_of(), noise(1), now=NOW).id
        with (tmp_path / "usb" / "filler").open("wb", buffering=0) as filler:
            while True:
                try:
                    filler.write(bytes(1024))
                except OSError:
                    break
        forgotten = vault.forget(backup_id, "", now=NOW)
        assert (forgotten.stores, forgotten.problems) == (["home", "usb"], [])
        assert not (tmp_path / "usb" / image_path(backup_id)).exists()


def test_a_home_on_a_full_disk_says_so(tmp_path: Path) -> None:
    with mounted(["-t", "tmpfs", "-o", "size=64k", "tmpfs"], tmp_path / "home"), make_vault(tmp_path) as vault:
        before = files_of(tmp_path)
        with pytest.raises(StoreError, match="is full") as raised:
            vault.add(record_of(), noise(1), now=NOW)
        assert raised.value.code == "store-full"
        assert files_of(tmp_path) == before


def test_a_read_only_store_is_read_and_not_written(tmp_path: Path) -> None:
    with small_ext4(tmp_path, tmp_path / "usb"), make_vault(tmp_path, "usb") as vault:
        first = vault.add(record_of(), IMAGE, now=NOW).id
    disk = tmp_path / "disk.img"
    with mounted(["-o", "loop,ro", disk], tmp_path / "usb"), open_vault(tmp_path) as vault:
        before = files_of(tmp_path / "usb")
        second = vault.add(record_of(parents=[first]), image_of("second"), now=NOW)
        assert [(problem.store, problem.code) for problem in second.problems] == [("usb", "store-read-only")]
        (tmp_path / "home" / image_path(first)).unlink()
        assert vault.image(first).store == "usb"
        reports = {report.store: report for report in vault.sync(now=NOW).stores}
        assert reports["home"].copied == [image_path(first)]
        assert [problem.code for problem in reports["usb"].problems] == ["store-read-only"]
        assert reports["usb"].intact == [first]
        forgotten = vault.forget(first, "", now=NOW)
        assert forgotten.stores == ["home"]
        assert [problem.code for problem in forgotten.problems] == ["store-read-only"]
        assert [backup.id for backup in vault.backups()] == [second.id]
        assert files_of(tmp_path / "usb") == before


def test_a_stick_that_is_not_mounted_gets_nothing_and_catches_up(tmp_path: Path) -> None:
    with small_ext4(tmp_path, tmp_path / "usb"), make_vault(tmp_path, "usb") as vault:
        first = vault.add(record_of(), IMAGE, now=NOW).id
    with open_vault(tmp_path) as vault:
        assert [away.name for away in vault.away] == ["usb"]
        second = vault.add(record_of(parents=[first]), image_of("second"), now=LATER)
        assert [away.name for away in second.away] == ["usb"]
        vault.sync(now=LATER)
        vault.check(now=LATER)
        assert os.listdir(tmp_path / "usb") == [], "the bare mount point stays empty"
        copies = {backup.id: [(copy.store, copy.here) for copy in backup.copies] for backup in vault.backups()}
        assert copies == {first: [("home", True), ("usb", False)], second.id: [("home", True)]}
    with small_ext4(tmp_path, tmp_path / "usb"), open_vault(tmp_path) as vault:
        (report,) = [report for report in vault.sync(now=LATER).stores if report.store == "usb"]
        assert report.copied == [image_path(second.id), record_path(second.id)]
        assert all(report.is_level for report in vault.check(now=LATER).stores)


def test_a_vault_that_is_open_writes_to_the_stick_only(tmp_path: Path) -> None:
    """Unmounted lazily while in use: what follows goes to the stick or fails, never to the disk below."""
    with small_ext4(tmp_path, tmp_path / "usb"), make_vault(tmp_path, "usb") as vault:
        subprocess.run(["umount", "--lazy", tmp_path / "usb"], check=True)
        added = vault.add(record_of(), IMAGE, now=NOW)
        assert os.listdir(tmp_path / "usb") == []
        vault.close()
        subprocess.run(["mount", "-o", "loop", tmp_path / "disk.img", tmp_path / "usb"], check=True)
        assert (image_path(added.id) in files_of(tmp_path / "usb")) == ("usb" in added.stores)


PROGRAM = """
import os, sys
from pathlib import Path
from vault_samples import NOW, image_of, record_of
from luksafe.errors import LuksafeError
from luksafe.vault.vault import Vault
with Vault.open(Path(sys.argv[1]) / "home", random=os.urandom) as vault:
    try:
        added = vault.add(record_of(), image_of("strace"), now=NOW)
    except LuksafeError as error:
        sys.exit(f"{error.code}: {error}")
    print(",".join(added.stores), *(problem.code for problem in added.problems))
"""


def run_injected(folder: Path, *injections: str) -> subprocess.CompletedProcess[str]:
    """Add a backup in a process of its own, with system calls made to fail by strace."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    calls = [option for injection in injections for option in ("-e", f"inject={injection}")]
    command = ["strace", "-f", "-qq", "-o", os.devnull, *calls, sys.executable, "-c", PROGRAM, folder]
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
    run = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path})
    if "ptrace" in run.stderr.lower():
        pytest.skip(f"strace cannot trace here: {run.stderr.strip()}")
    return run


@pytest.mark.parametrize("error", ["EPERM", "EOPNOTSUPP"])
def test_file_systems_without_hard_links_will_do(tmp_path: Path, error: str) -> None:
    make_vault(tmp_path, "usb").close()
    run = run_injected(tmp_path, f"link,linkat:error={error}")
    assert (run.returncode, run.stdout) == (0, "home,usb\n"), run.stderr
    with open_vault(tmp_path) as vault:
        assert all(report.is_level for report in vault.check(now=NOW).stores)
    assert not list(tmp_path.rglob(".new-*"))


@pytest.mark.parametrize(
    ("injection", "code"),
    [
        ("fsync:error=EIO", "store-failing"),
        ("link,linkat:error=ENOSPC", "store-full"),
        ("link,linkat:error=EROFS", "store-read-only"),
        ("mkdir,mkdirat:error=EDQUOT", "store-full"),
    ],
)
def test_a_kernel_that_says_no_every_time(tmp_path: Path, injection: str, code: str) -> None:
    make_vault(tmp_path, "usb").close()
    before = files_of(tmp_path)
    run = run_injected(tmp_path, injection)
    assert run.returncode == 1
    assert run.stderr.startswith(f"{code}: no store took it"), run.stderr
    assert files_of(tmp_path) == before
    with open_vault(tmp_path) as vault:
        assert vault.backups() == []


@pytest.mark.slow
@pytest.mark.parametrize("call", ["fsync", "linkat", "unlinkat,unlink", "renameat,rename", "mkdirat,mkdir"])
def test_killed_by_the_kernel_at_each_call_of_a_kind(tmp_path: Path, call: str) -> None:
    """As the cut points, but with a real kernel's word for it."""
    make_vault(tmp_path / "start", "usb").close()
    number = 0
    while True:
        number += 1
        folder = tmp_path / f"cut{number}"
        shutil.copytree(tmp_path / "start", folder)
        config = folder / "home" / "config.toml"
        config.write_text(config.read_text().replace(f'"{tmp_path / "start"}/', f'"{folder}/'))
        killed = run_injected(folder, f"{call}:signal=KILL:when={number}").returncode != 0
        with open_vault(folder) as vault:
            for report in vault.check(now=NOW).stores:
                assert report.names(State.DAMAGED, State.UNREADABLE) == []
            assert vault.add(record_of(), image_of("strace"), now=NOW).stores == ["home", "usb"]
            assert all(report.is_level for report in vault.check(now=NOW).stores)
        if not killed:
            break
    assert number > 1
