"""Accidents that need a kernel: arrays by mdadm, reencryptions that were killed. Diagnosed here, mended there."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from compat.accidents import KEY, Outcome, healthy_volume, judge, look, opens_after_repair

from luksafe.device.source import open_source
from luksafe.luks.repair.effort import Effort
from luksafe.luks.repair.volume import propose_repair

from .conftest import VirtualMachine

pytestmark = [pytest.mark.vm, pytest.mark.slow]

SUPERBLOCKS = ("0.90", "1.0", "1.1", "1.2")
FORMATS = ("luks1", "luks2")
DISKS = "abcdefgh"
COST = "--pbkdf-force-iterations 1000"
KILLED = "strace -f -o /tmp/trace -e trace={call} -e inject={call}:signal=SIGKILL:when={count}"
REENCRYPT = {
    # hotzones of 1 MiB, so that it is in the middle of the data when it is killed
    "luks1": KILLED.format(call="fsync", count=5) + f" cryptsetup reencrypt -q -B 1 {COST} --key-file /share/key",
    "luks2": KILLED.format(call="fsync", count=30)
    + f" cryptsetup reencrypt -q --hotzone-size 1M --pbkdf pbkdf2 {COST} --key-file /share/key",
}
RESUME = {"luks1": "reencrypt -q", "luks2": "reencrypt -q --resume-only"}
Record = Callable[[str, object], None]


def test_arrays(vm: VirtualMachine, tmp_path: Path, record_property: Record) -> None:
    """Every form of superblock over a volume of either format."""
    cases = [(luks, version) for luks in FORMATS for version in SUPERBLOCKS]
    before = {luks: healthy_volume(luks, tmp_path)(0) for luks in FORMATS}
    disks = [tmp_path / f"{luks}-{version}.img" for luks, version in cases]
    for disk, (luks, _) in zip(disks, cases):
        disk.write_bytes(before[luks])
    create = "mdadm --create /dev/md0 --run --level=1 --raid-devices=2 --assume-clean"
    script = ["modprobe raid1"]
    for letter, (_, version) in zip(DISKS, cases):
        script += [f"{create} --metadata={version} /dev/vd{letter} missing </dev/null", "mdadm --stop /dev/md0"]
    vm.sh("\n".join([*script, "sync"]), disks=disks)
    outcomes = [
        judge(f"mdadm-{version}", "linux_raid_member", luks, before[luks], disk)
        for disk, (luks, version) in zip(disks, cases)
    ]
    for outcome in outcomes:
        record_property("accident", outcome.row())
    assert all(outcome.is_right and outcome.is_named for outcome in outcomes), outcomes
    for disk, outcome in zip(disks, outcomes):
        assert outcome.verdict != "repairable" or opens_after_repair(disk, tmp_path), outcome


@pytest.mark.parametrize("luks", FORMATS)
def test_reencryption_killed_midway(vm: VirtualMachine, luks: str, tmp_path: Path, record_property: Record) -> None:
    """It is recognised, nothing is proposed to be written, and the command that is named brings it to its end."""
    disk = tmp_path / "disk.img"
    disk.write_bytes(healthy_volume(luks, tmp_path)(0))
    (vm.share / "key").write_text(KEY)
    files = vm.share / f"files-{luks}"
    files.mkdir()
    before = vm.sh(
        "modprobe dm-crypt; cryptsetup open --key-file /share/key /dev/vda v; sha256sum </dev/mapper/v >/share/before\n"
        f"cryptsetup close v; cd {_guest(files)}; {REENCRYPT[luks]} /dev/vda || echo $?; sync",
        disks=[disk],
    )
    assert before.strip() == "137"
    diagnosis = look(disk, tmp_path)
    verdict = diagnosis.verdict.value
    allowed = ("needs-backup",) if luks == "luks1" else ("healthy",)
    outcome = Outcome("reencrypt-killed", luks, verdict, allowed, diagnosis.overwritten_by, "", diagnosis.summary)
    record_property("accident", outcome.row())
    assert outcome.is_right, outcome
    assert "reencryption" in diagnosis.summary
    assert any("cryptsetup reencrypt" in command for command in diagnosis.next)
    with open_source(disk) as reader:
        assert propose_repair(reader, bytes, Effort(10)).patches == ()
    copy = tmp_path / "copy.img"
    shutil.copy(disk, copy)
    after = vm.sh(
        f"modprobe dm-crypt; cd {_guest(files)}; cryptsetup {RESUME[luks]} --key-file /share/key /dev/vda >&2\n"
        "cryptsetup open --key-file /share/key /dev/vda v; sha256sum </dev/mapper/v",
        disks=[copy],
    )
    assert after == (vm.share / "before").read_text()
    assert look(copy, tmp_path).verdict.value == "healthy"


def _guest(folder: Path) -> str:
    return f"/share/{folder.name}"
