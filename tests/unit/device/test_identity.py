"""Who a device is, with and without udev; and the key that it keeps."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from luksafe import programs
from luksafe.device.identity import describe
from luksafe.errors import NotFound, UsageError

PARTUUID = "aaaaaaaa-0000-0000-0000-000000000001"
TABLE = f"label: gpt\nlabel-id: 11111111-2222-3333-4444-555555555555\nsize=2M, name=data, uuid={PARTUUID}\nsize=1M\n"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    with path.open("wb") as out:
        out.truncate(8 << 20)
    return path


def test_a_file(image: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(image)
    facts = describe(link)
    at = image.stat()
    assert (facts.path, facts.kind, facts.size_bytes) == (str(image), "file", 8 << 20)
    assert (facts.major, facts.minor, facts.inode) == (os.major(at.st_dev), os.minor(at.st_dev), at.st_ino)
    assert facts.target_key == f"file:{image}"
    assert not facts.read_only
    assert json.loads(json.dumps(facts.to_json()))["partition"] is None


def test_a_loop_device_over_a_file_has_the_key_of_the_file(image: Path, loop_device: Callable[..., str]) -> None:
    device = loop_device(image, "--read-only", "--sector-size", "4096")
    facts = describe(device)
    assert (facts.path, facts.kind, facts.size_bytes, facts.major) == (device, "block", 8 << 20, 7)
    assert facts.read_only
    assert facts.logical_sector_bytes == 4096
    assert facts.loop is not None
    assert facts.loop.backing_file == str(image)
    assert facts.target_key == describe(image).target_key
    shifted = describe(loop_device(image, "--offset", "1048576"))
    assert shifted.target_key == f"file:{image}+1048576"
    assert shifted.disk_sequence != facts.disk_sequence


def test_a_partition_is_known_by_its_partuuid(image: Path, partitioned_disk: Callable[[Path, str], str]) -> None:
    device = partitioned_disk(image, TABLE)
    facts = describe(f"{device}p1")
    assert facts.target_key == f"partuuid:{PARTUUID}"
    assert facts.partition is not None
    assert facts.partition.uuid == PARTUUID
    assert facts.partition.type == "0fc63daf-8483-4772-8e79-3d69d8477de4"
    assert (facts.partition.number, facts.partition.start_bytes, facts.partition.size_bytes) == (1, 1 << 20, 2 << 20)
    assert (facts.partition.disk, facts.partition.name) == (device, "data")
    assert facts.partition_table_uuid == describe(device).partition_table_uuid == "11111111-2222-3333-4444-555555555555"


def test_without_blkid_and_udev_a_partition_is_known_by_its_place(
    image: Path, partitioned_disk: Callable[[Path, str], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    device = partitioned_disk(image, TABLE)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(programs, "ROOT_PATH", str(tmp_path))
    monkeypatch.setattr("luksafe.device.udev._DATABASE", tmp_path / "none")
    facts = describe(f"{device}p2")
    assert facts.target_key == f"file:{image}+{3 << 20}"
    assert facts.partition is not None
    assert facts.partition.uuid == ""


def test_the_database_of_udev_is_read(
    image: Path, loop_device: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    device = loop_device(image)
    minor = os.minor(os.stat(device).st_rdev)
    (tmp_path / f"b7:{minor}").write_text(
        "S:disk/by-id/x\nE:ID_MODEL=Great_Disk\nE:ID_SERIAL_SHORT=S1\nE:ID_WWN=0x5\nG:a\n"
    )
    (tmp_path / "by-id").mkdir()
    (tmp_path / "by-id" / "ata-Great_Disk_S1").symlink_to(device)
    (tmp_path / "by-id" / "ata-Other").symlink_to("/dev/null")
    monkeypatch.setattr("luksafe.device.udev._DATABASE", tmp_path)
    monkeypatch.setattr("luksafe.device.udev._LINKS", tmp_path)
    facts = describe(device)
    assert (facts.model, facts.serial, facts.wwn) == ("Great Disk", "S1", "0x5")
    assert facts.links == (str(tmp_path / "by-id" / "ata-Great_Disk_S1"),)


def test_other_things_have_no_identity(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        describe(tmp_path / "none")
    for path in (tmp_path, "/dev/null"):
        with pytest.raises(UsageError):
            describe(path)
