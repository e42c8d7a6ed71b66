"""After a restore nothing of another header, filesystem or partition table may come back: on images of real tools."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from generators.headers import PASSPHRASE

from luksafe.luks.luks2.binary_header import HEADER_SIZES
from luksafe.luks.repair.effort import Effort
from luksafe.ops.backup import backup_device
from luksafe.ops.diagnosis.facts import gather
from luksafe.ops.diagnosis.judge import diagnose
from luksafe.ops.repair import RepairRequest, plan_repair
from luksafe.ops.restore import plan, plan_with_proof
from luksafe.ops.target import open_target
from luksafe.ops.undo import plan_undo
from luksafe.ops.workspace import Workspace
from luksafe.ops.write.apply import apply
from luksafe.ops.write.plan import WritePlan

MIB = 1 << 20
LUKS1 = ("--type", "luks1", "--pbkdf-force-iterations", "1000")
LUKS2 = ("--type", "luks2", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")


class Disk:
    """An image, cryptsetup on it, and a vault beside it."""

    def __init__(self, folder: Path) -> None:
        self.path, self.key = folder / "disk.img", folder / "key"
        self.key.write_bytes(PASSPHRASE)
        self.workspace = Workspace(folder / "vault", state_folder=folder / "state")
        with self.path.open("wb") as out:
            out.truncate(160 * MIB)

    def run(self, *words: object) -> str:
        done = subprocess.run([*map(str, words)], check=True, capture_output=True, text=True)
        return done.stdout

    def format(self, *options: str) -> None:
        self.run("cryptsetup", "luksFormat", "-q", *options, self.path, self.key)

    def only_slot_1(self) -> None:
        add = ("cryptsetup", "luksAddKey", "-q", "--pbkdf-force-iterations", "1000", "--key-slot", "1")
        self.run(*add, "--key-file", self.key, self.path, self.key)
        self.run("cryptsetup", "luksKillSlot", "-q", "--key-file", self.key, self.path, "0")

    def backup(self) -> str:
        return backup_device(self.workspace, str(self.path)).added.id

    def restore(self, backup: str, **options: Any) -> WritePlan:
        planned, _ = plan_with_proof(self.workspace, backup, str(self.path), **options)
        apply(planned, self.workspace)
        return planned

    def read(self, offset: int, length: int) -> bytes:
        with self.path.open("rb") as disk:
            disk.seek(offset)
            return disk.read(length)

    def stale(self) -> list[int]:
        return [at for at in HEADER_SIZES if self.read(at, 6) in (b"SKUL\xba\xbe", b"LUKS\xba\xbe")]

    def opens(self) -> bool:
        command = ["cryptsetup", "open", "--test-passphrase", "--key-file", self.key, self.path]
        return subprocess.run(command, capture_output=True).returncode == 0


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    if shutil.which("cryptsetup") is None:
        pytest.skip("cryptsetup is not installed")
    return Disk(tmp_path)


def of_luks1(disk: Disk) -> None:
    disk.format(*LUKS1)
    disk.only_slot_1()


def of_luks2(disk: Disk) -> None:
    disk.format(*LUKS2)


@pytest.mark.parametrize(
    ("make", "again", "expected"),
    [(of_luks1, LUKS2, []), (of_luks2, (*LUKS2, "--luks2-metadata-size", "1m"), [0x4000])],
    ids=["luks1-under-luks2", "luks2-with-larger-metadata"],
)
def test_no_second_header_of_another_format_stays(
    make: Callable[[Disk], None], again: tuple[str, ...], expected: list[int], disk: Disk
) -> None:
    make(disk)
    backup, dump = disk.backup(), disk.run("cryptsetup", "luksDump", disk.path)
    theirs = disk.path.with_name("theirs")
    disk.run("cryptsetup", "luksHeaderBackup", disk.path, "--header-backup-file", theirs)
    disk.format(*again)
    before = disk.path.read_bytes()
    disk.restore(backup)
    assert disk.stale() == expected
    assert disk.run("cryptsetup", "luksDump", disk.path) == dump
    assert disk.opens()
    # cryptsetup's own restore leaves the same in every place that is used; what is unused is zero or noise
    whole, ours = theirs.read_bytes(), disk.read(0, theirs.stat().st_size)
    different = {at for at in range(0, len(whole), 512) if whole[at : at + 512] != ours[at : at + 512]}
    with disk.workspace.open_vault() as vault:
        kept = vault.backups()[0].record.kept
    assert not any(start <= at < start + length for at in different for start, length in kept)
    apply(plan_undo(disk.workspace, disk.path).write, disk.workspace)
    assert disk.path.read_bytes() == before


def test_a_small_damage_after_a_restore_brings_no_dead_header_back(disk: Disk) -> None:
    of_luks1(disk)
    backup = disk.backup()
    disk.format(*LUKS2)
    disk.restore(backup)
    with disk.path.open("r+b") as out:
        out.write(bytes(256))
    subprocess.run(["cryptsetup", "luksDump", disk.path], capture_output=True)
    assert disk.read(0, 256) == bytes(256)
    planned = plan_repair(disk.workspace, str(disk.path), RepairRequest(), Effort(5))
    assert planned.plan is None


@pytest.mark.parametrize("length", [6, 168, 256])
def test_repair_takes_no_second_header_of_another_format(length: int, disk: Disk) -> None:
    of_luks1(disk)
    header = disk.read(0, 4096)
    disk.format(*LUKS2)
    with disk.path.open("r+b") as out:  # what a restore without regard to it leaves
        out.write(bytes(length) + header[length:])
    planned = plan_repair(disk.workspace, str(disk.path), RepairRequest(), Effort(5))
    assert not any("secondary" in proposal.code for proposal in planned.outcome.proposals)


def test_a_signature_in_an_unused_keyslot_is_taken_out(disk: Disk) -> None:
    if shutil.which("mkfs.btrfs") is None:
        pytest.skip("mkfs.btrfs is not installed")
    of_luks1(disk)
    backup = disk.backup()
    disk.run("mkfs.btrfs", "-q", "-f", disk.path)
    assert b"_BHRfS_M" in disk.read(65536, 4096)
    planned = disk.restore(backup)
    assert b"_BHRfS_M" not in disk.read(0, 2 * MIB)
    assert any("remains of btrfs stay where the data lie" in note for note in planned.notes)
    assert disk.run("blkid", "-p", "-o", "value", "-s", "TYPE", disk.path).strip() == "crypto_LUKS"
    assert disk.opens()


def test_a_healthy_header_is_restored_without_a_byte_changed_elsewhere(disk: Disk) -> None:
    for make in (of_luks1, of_luks2):
        make(disk)
        before = disk.path.read_bytes()
        planned = disk.restore(disk.backup())
        assert "unused space" not in [phase.name for phase in planned.phases]
        assert disk.path.read_bytes() == before


def test_a_backup_gpt_is_named_and_taken_out(disk: Disk) -> None:
    if shutil.which("sgdisk") is None:
        pytest.skip("sgdisk is not installed")
    of_luks2(disk)
    backup = disk.backup()
    disk.run("sgdisk", "--clear", "--new=1:0:0", disk.path)
    damaged = disk.path.read_bytes()
    planned = plan(disk.workspace, backup, str(disk.path))
    assert any("take it out with --remove-backup-gpt" in note for note in planned.notes)
    disk.restore(backup)
    assert b"EFI PART" in disk.read(160 * MIB - 512, 512)
    with open_target(disk.workspace, str(disk.path)) as target:
        assert "backup-gpt" in [finding.code for finding in diagnose(gather(disk.workspace, target)).findings]
    found = plan_repair(disk.workspace, str(disk.path), RepairRequest(), Effort(5))
    assert "--remove-backup-gpt" in found.backup_gpt
    mended = plan_repair(disk.workspace, str(disk.path), RepairRequest(remove_backup_gpt=True), Effort(5))
    assert mended.plan is not None
    apply(mended.plan, disk.workspace)
    assert b"EFI PART" not in disk.path.read_bytes()[-34 * 512 :]
    disk.path.write_bytes(damaged)
    planned = disk.restore(backup, remove_backup_gpt=True)
    assert not any("--remove-backup-gpt" in note for note in planned.notes)
    assert disk.path.read_bytes()[-34 * 512 :] == bytes(34 * 512)
    assert "Found valid GPT" not in subprocess.run(["sgdisk", "-p", disk.path], capture_output=True, text=True).stdout
    assert disk.opens()
