"""What a backup proves of a header that is whole in itself, and of sectors that the medium refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli.conftest import World
from generators.headers import luks1_image, luks2_image, seeded_bytes, with_binary, with_document

from luksafe.device.source import DeviceReader

DATA = seeded_bytes(5)(1 << 20)


@pytest.fixture
def first(world: World) -> Path:
    """A LUKS1 volume and its backup."""
    disk = world.image(data=luks1_image() + DATA)
    assert world.run("backup", disk).status == 0
    return disk


@pytest.fixture
def second(world: World) -> Path:
    """A LUKS2 volume and its backup."""
    disk = world.image(data=luks2_image() + DATA)
    assert world.run("backup", disk).status == 0
    return disk


def put(disk: Path, offset: int, data: bytes) -> None:
    with disk.open("r+b") as out:
        out.seek(offset)
        out.write(data)


def diagnosed(world: World, disk: Path) -> tuple[str, dict[str, dict[str, Any]]]:
    """The verdict, and the findings by their code."""
    ran = world.run("diagnose", disk, "--json")
    return ran.json["verdict"], {finding["code"]: finding for finding in ran.json["findings"]}


def test_a_header_with_another_sector_size_and_the_same_sequence_id(world: World, second: Path) -> None:
    changed = with_document(luks2_image(), lambda d: d["segments"]["0"].update(sector_size=4096))
    second.write_bytes(changed + DATA)
    verdict, findings = diagnosed(world, second)
    assert verdict == "needs-backup"
    text = findings["contradicts-backup"]["text"]
    assert text.endswith("sector size of segment 0 changed from 512 to 4096, with the same sequence id")


def test_a_later_header_is_no_damage(world: World, second: Path) -> None:
    second.write_bytes(with_binary(luks2_image(), seqid=4, label="x") + DATA)
    verdict, findings = diagnosed(world, second)
    assert (verdict, set(findings) - {"weak-kdf"}) == ("healthy", {"changed-since-backup"})
    assert "label changed from test to x" in findings["changed-since-backup"]["text"]


def test_a_device_that_lost_its_end(world: World, second: Path) -> None:
    whole = second.read_bytes()
    second.write_bytes(whole[:-8192])
    _, findings = diagnosed(world, second)
    assert (findings["device-shrunk"]["offset"], findings["device-shrunk"]["length"]) == (len(whole) - 8192, 8192)


def test_a_salt_with_one_flipped_bit_is_no_new_passphrase(world: World, first: Path) -> None:
    put(first, 216, bytes([first.read_bytes()[216] ^ 1]))
    verdict, findings = diagnosed(world, first)
    assert verdict == "needs-backup"
    assert "the salt differs in a few bits only, so it was damaged" in findings["contradicts-backup"]["text"]


def test_a_damaged_uuid_is_no_other_volume(world: World, first: Path) -> None:
    put(first, 168, b"0000")
    verdict, findings = diagnosed(world, first)
    assert verdict == "repairable"
    assert "UUID changed" in findings["contradicts-backup"]["text"]
    assert "with the same keyslots" in findings["contradicts-backup"]["text"]
    assert "formatted-again" not in findings


@pytest.fixture
def bad_sector(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, int], None]:
    """Makes the medium refuse one sector of a disk from now on."""

    def make(disk: Path, at: int) -> None:
        real = DeviceReader.read_at

        def read_at(reader: DeviceReader, offset: int, length: int) -> bytes:
            if reader.path == str(disk) and offset < at + 512 and at < offset + length:
                raise OSError(5, "Input/output error", reader.path)
            return real(reader, offset, length)

        monkeypatch.setattr(DeviceReader, "read_at", read_at)

    return make


@pytest.mark.parametrize("with_backup", [False, True], ids=["alone", "with a backup"])
def test_a_sector_that_cannot_be_read_holds_no_zeros(
    world: World, bad_sector: Callable[[Path, int], None], with_backup: bool
) -> None:
    """Nobody wrote zeros there, and the rest of the header is judged all the same."""
    disk = world.image(data=luks1_image() + DATA)
    if with_backup:
        assert world.run("backup", disk).status == 0
    bad_sector(disk, 8192)
    ran = world.run("diagnose", disk, "--json")
    damage = [f for f in ran.json["findings"] if f["code"] == "damaged-range"]
    assert [(f["where"], f["offset"], f["length"]) for f in damage] == [("keyslot 0", 8192, 512)]
    assert "unreadable" in damage[0]["text"]
    assert ran.json["overwritten_by"] == []
    assert ran.json["keyslots"][0]["state"] == "destroyed"
    assert ran.json["verdict"] == "needs-backup"
