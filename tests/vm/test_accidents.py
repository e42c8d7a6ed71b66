"""Accidents that need a kernel: arrays by mdadm, reencryptions that were killed. Done and mended there, judged here."""

from __future__ import annotations

import random
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from compat.accidents import KEY, Outcome, healthy_volume, judge, look, opens_after_repair
from compat.probe.probe_images import MIB

from luksafe.device.source import open_source
from luksafe.luks.inspection import inspect
from luksafe.luks.repair.effort import Effort
from luksafe.luks.repair.volume import propose_repair

from .conftest import VirtualMachine

pytestmark = [pytest.mark.vm, pytest.mark.slow]

SUPERBLOCKS = ("0.90", "1.0", "1.1", "1.2")
FORMATS = ("luks1", "luks2")
DISKS = "abcdefgh"
COST = "--pbkdf-force-iterations 1000"
KILLED = "strace -f -o /tmp/trace -e trace={call} -e inject={call}:signal=SIGKILL:when={count} cryptsetup reencrypt -q"
REENCRYPT = {
    # the log of LUKS1 is written at the end only, if not asked for: what it does not know it would encrypt twice
    "luks1": KILLED + f" -B 1 --write-log {COST} --key-file /share/key",
    "luks2": KILLED + f" --hotzone-size 512K --pbkdf pbkdf2 {COST} --key-file /share/key",
}
IMAGE_BYTES = {"luks1": 14 * MIB, "luks2": 22 * MIB}
KILLS = {"luks1": ("write", range(33, 37, 2)), "luks2": ("fsync", range(28, 30))}
"""The system call before which it is killed: in LUKS1 a block of data, with the log up to date; in LUKS2 either copy of
the header. (Between a block and its line in the log LUKS1 would encrypt that block twice: no tool can tell.)"""
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
@pytest.mark.timeout(900)
def test_reencryption_killed_midway(vm: VirtualMachine, luks: str, tmp_path: Path, record_property: Record) -> None:
    """It is recognised, nothing that would lead back is proposed, and the commands named bring it to its end."""
    call, counts = KILLS[luks]
    (vm.share / "key").write_text(KEY)
    image = healthy_volume(luks, tmp_path)(0)[: IMAGE_BYTES[luks]]
    disks = [tmp_path / f"killed-{count}.img" for count in counts]
    for disk in disks:
        disk.write_bytes(image)
    script = ["modprobe dm-crypt; cryptsetup open --key-file /share/key /dev/vda v; sha256sum </dev/mapper/v"]
    script += ["cryptsetup close v >&2"]
    for letter, count in zip(DISKS, counts):
        folder = f"/share/{luks}-{letter}"  # where LUKS1 has its log
        command = REENCRYPT[luks].format(call=call, count=count)
        script += [f"mkdir {folder}; cd {folder}; {command} /dev/vd{letter} || test $? = 137"]
    data = vm.sh("\n".join([*script, "sync"]), disks=disks)
    script = ["modprobe dm-crypt"]
    for letter, disk in zip(DISKS, disks):
        script += [f"cd /share/{luks}-{letter}"]
        script += [f"{as_typed(line, disk, letter)} >&2" for line in check_interrupted(disk, luks, record_property)]
        script += [f"cryptsetup open --key-file /share/key /dev/vd{letter} v; sha256sum </dev/mapper/v"]
        script += ["cryptsetup close v >&2"]
    assert vm.sh("\n".join(script), disks=disks, timeout=800) == data * len(disks)
    assert {look(disk, tmp_path).verdict.value for disk in disks} == {"healthy"}


def as_typed(line: str, disk: Path, letter: str) -> str:
    """A command that was proposed, in the guest, with the passphrase from a file."""
    words = [word.replace(str(disk), f"/dev/vd{letter}") for word in shlex.split(line)]
    if words[0] == "cryptsetup":
        words += ["-q", "--key-file", "/share/key"]
    if words[0] == "luksafe":
        words = ["python3", "-m", "luksafe", "--vault", f"/tmp/vault-{letter}", "--yes", *words[1:]]
        words += ["--key-file", "/share/key"] if "prove" in words else []
    return shlex.join(words) + " </dev/null"


def check_interrupted(disk: Path, luks: str, record_property: Record) -> list[str]:
    """Diagnose, and carry out the repair if one is proposed; gives the other commands that were proposed."""
    diagnosis = look(disk, disk.parent)
    with open_source(disk) as reader:
        repair = propose_repair(reader, random.Random(1).randbytes, Effort(10))
        one_copy_is_older = len({copy.seqid for copy in inspect(reader).copies}) == 2
    allowed = ("needs-backup",) if luks == "luks1" else ("repairable",) if one_copy_is_older else ("healthy",)
    named, verdict = diagnosis.overwritten_by, diagnosis.verdict.value
    outcome = Outcome(f"reencrypt-{disk.stem}", luks, verdict, allowed, named, "", diagnosis.summary)
    record_property("accident", outcome.row())
    assert outcome.is_right, outcome
    assert repair.sides == ()
    assert bool(repair.patches) == (verdict == "repairable")
    with disk.open("r+b") as out:
        for patch in repair.patches:
            out.seek(patch.offset)
            out.write(patch.data)
    proposed = [line for line in diagnosis.next if not line.startswith("luksafe repair")]
    assert any(line.startswith("cryptsetup reencrypt") for line in proposed)
    return proposed
