"""A sector of noise in the key material: nothing in the header tells, but a proven backup does."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import escrow_samples as samples
import pytest
from cli.conftest import World
from generators.headers import UUID, VOLUME_KEY, luks2_image, seeded_bytes, with_binary, with_document

DATA = bytes(range(256)) * 4096
AT = 80 * 512
NOISE = seeded_bytes(9)(512)


@pytest.fixture
def proven(world: World) -> Path:
    """A volume with a proven backup."""
    disk = world.image(data=luks2_image() + DATA)
    assert world.run("backup", disk).status == 0
    assert world.run("prove", UUID, "--key-file", world.key_file).status == 0
    return disk


def id_of(world: World) -> str:
    (found,) = [b["id"] for b in world.run("list", "--json").json["backups"] if b["proven"]]
    return str(found)[:12]


def damage(disk: Path) -> None:
    with disk.open("r+b") as out:
        out.seek(AT)
        out.write(NOISE)


def checked(world: World, disk: Path) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The reasons by their code, the codes of the notes."""
    (volume,) = world.run("check", disk, "--json").json["volumes"]
    return {r["code"]: r for r in volume["reasons"]}, [n["code"] for n in volume["notes"]]


def test_check_calls_the_keyslot_damaged_and_proposes_no_backup(world: World, proven: Path) -> None:
    damage(proven)
    found, _ = checked(world, proven)
    assert "keyslot 0 of" in found["keyslot-damaged"]["text"]
    assert found["keyslot-damaged"]["next"] == f"luksafe restore {id_of(world)} {proven} --dry-run"
    assert "drift" not in found
    assert f"luksafe backup {proven}" not in world.run("check", proven).out


def test_an_unproven_backup_may_itself_be_the_damaged_one(world: World) -> None:
    disk = world.image(data=luks2_image() + DATA)
    world.run("backup", disk)
    damage(disk)
    found, _ = checked(world, disk)
    assert "or in backup" in found["keyslot-damaged"]["text"]
    assert found["keyslot-damaged"]["next"] == f"luksafe diagnose {disk}"


def test_no_backup_is_to_be_forgotten_while_the_device_is_damaged(world: World, proven: Path) -> None:
    other = luks2_image()
    older = world.image("older.img", other + DATA)
    assert older.read_bytes() == proven.read_bytes()
    without = with_binary(_with_another_salt(other), seqid=3)
    proven.write_bytes(without + DATA)
    assert world.run("backup", proven).status == 0
    assert checked(world, proven)[1] == ["revoked-keyslots"]
    damage(proven)
    found, notes = checked(world, proven)
    assert "keyslot-damaged" in found
    assert notes == []


def _with_another_salt(image: bytes) -> bytes:
    return with_document(image, lambda d: d["keyslots"]["0"]["kdf"].update(salt="AAAA" * 10 + "AAA="))


def test_a_header_that_is_an_older_proven_backup_is_known_as_that(world: World, proven: Path) -> None:
    before = proven.read_bytes()
    proven.write_bytes(with_binary(luks2_image(), seqid=7, label="later") + DATA)
    assert world.run("backup", proven).status == 0
    proven.write_bytes(before)
    found, _ = checked(world, proven)
    assert "unproven" not in found
    assert id_of(world) in found["not-current"]["text"]


def test_a_damaged_keyslot_does_not_become_the_current_backup(world: World, proven: Path) -> None:
    damage(proven)
    ran = world.run("backup", proven, "--json")
    assert (ran.status, ran.json["error"]["code"]) == (14, "damaged-keyslot")
    assert "--allow-damaged-keyslot" in ran.json["error"]["hint"]
    (only,) = world.run("list", "--json").json["backups"]
    assert only["current"]


def test_a_damaged_keyslot_is_kept_when_asked_for_and_that_is_a_warning(world: World, proven: Path) -> None:
    damage(proven)
    ran = world.run("backup", proven, "--allow-damaged-keyslot")
    assert ran.status == 3
    assert "DANGER  keyslot 0 of" in ran.out
    found, _ = checked(world, proven)
    assert found["keyslot-damaged"]["next"] == f"luksafe restore {id_of(world)} {proven} --dry-run"
    assert world.run("backup", proven).status == 14


def test_a_restore_of_the_damaged_backup_names_the_proven_one(world: World, proven: Path) -> None:
    good = id_of(world)
    damage(proven)
    assert world.run("backup", proven, "--allow-damaged-keyslot").status == 3
    ran = world.run("restore", UUID, proven, "--dry-run", "--json")
    (danger,) = ran.json["plan"]["dangers"]
    assert (ran.status, danger["code"], danger["flag"]) == (14, "contradicted-backup", "--allow-damaged-backup")
    assert f"luksafe restore {good}" in danger["text"]
    assert world.run("restore", good, proven, "--yes").status == 0
    assert proven.read_bytes() == luks2_image() + DATA


def test_diagnose_believes_the_proven_backup_and_not_the_damaged_one(world: World, proven: Path) -> None:
    damage(proven)
    assert world.run("backup", proven, "--allow-damaged-keyslot").status == 3
    ran = world.run("diagnose", proven, "--json", "--key-file", world.key_file)
    (slot,) = ran.json["keyslots"]
    assert (ran.json["verdict"], slot["state"]) == ("needs-backup", "destroyed")


def test_zeros_in_a_keyslot_are_said_without_any_backup_and_by_the_first_one(world: World) -> None:
    disk = world.image(data=luks2_image() + DATA)
    with disk.open("r+b") as out:
        out.seek(AT)
        out.write(bytes(512))
    assert checked(world, disk)[0]["destroyed-keyslot"]["next"] == f"luksafe diagnose {disk}"
    ran = world.run("backup", disk)
    assert ran.status == 3
    assert f"DANGER  the key material of keyslot 0 of {disk} is destroyed" in ran.out
    found, notes = checked(world, disk)
    assert found["destroyed-keyslot"]["next"] == f"luksafe diagnose {disk}"
    assert notes == ["destroyed-keyslot"]
    assert world.run("backup", disk, "--json").json["backups"][0]["destroyed_keyslots"] == [0]


def test_repair_points_to_diagnose_where_a_keyslot_is_destroyed_and_the_rest_whole(world: World) -> None:
    disk = world.image(data=luks2_image() + DATA)
    whole = world.run("repair", disk)
    assert (whole.status, f"luksafe diagnose {disk}" in whole.out) == (0, True)
    with disk.open("r+b") as out:
        out.seek(AT)
        out.write(bytes(512))
    ran = world.run("repair", disk, "--dry-run")
    assert ran.status == 10
    assert f"the key material of keyslot 0 of {disk} is destroyed" in ran.out
    assert f"next: luksafe diagnose {disk}" in ran.out
    assert world.run("repair", disk, "--json").json["destroyed_keyslots"] == [0]


def test_where_the_current_backup_is_the_damaged_one_the_proven_one_is_proposed(world: World, proven: Path) -> None:
    good = id_of(world)
    damage(proven)
    assert world.run("backup", proven, "--allow-damaged-keyslot").status == 3
    with proven.open("r+b") as out:
        out.write(bytes(32768))
    restore = f"luksafe restore {good} {proven} --dry-run"
    assert checked(world, proven)[0]["header-damaged"]["next"] == restore
    said = world.run("diagnose", proven, "--json").json["next"]
    assert said[:2] == [f"luksafe prove {good} --data {proven}", restore]
    assert len([line for line in said if "luksafe restore" in line]) == 1
    ways = [way["key"] for way in world.run("rescue", proven, "--json").json["ways"]]
    assert ways.index(f"read:{good}") == 0
    assert ways.index(f"restore:{good}") == min(n for n, key in enumerate(ways) if key.startswith("restore:"))
    assert world.run(*restore.split()[1:]).status == 0


@pytest.fixture
def packet(world: World, proven: Path) -> tuple[str, ...]:
    """Volume key and recovery key of the volume in a packet; the header with its keyslot is backed up."""
    if not shutil.which("cryptsetup"):
        pytest.skip("cryptsetup is not installed")
    recipient = samples.age_identity().to_public()
    (world.folder / "id").write_text(f"{samples.age_identity()}\n")
    saved = world.run(
        "escrow", "save", proven, "--key-file", world.key_file, "--recovery-key", "--recipient", recipient, "--secret",
        "volume-key", "--yes", "--json",
    )  # fmt: skip
    assert saved.status == 0, saved.err
    return str(saved.json["packets"][0]["id"]), "--identity", "id"


def backups(world: World) -> list[str]:
    return [b["id"] for b in world.run("list", "--json").json["backups"]]


def test_escrow_adds_nothing_to_a_header_that_backup_would_refuse(world: World, packet: tuple[str, ...]) -> None:
    disk = Path("disk.img")
    damage(disk)
    before, kept = disk.read_bytes(), backups(world)
    (world.folder / "volume-key").write_bytes(VOLUME_KEY)
    to = ("--recipient", samples.age_identity().to_public())
    save = ("escrow", "save", disk, "--volume-key-file", "volume-key", "--recovery-key", *to, "--yes")
    rotate = ("escrow", "rotate", packet[0], disk, *packet[1:], *to, "--yes")
    revoke = ("escrow", "revoke", packet[0], disk, *packet[1:], "--yes")
    for command in (save, rotate, revoke):
        for words in (command, (*command, "--dry-run")):
            ran = world.run(*words, "--json")
            assert (ran.status, ran.json["error"]["code"]) == (14, "damaged-keyslot"), words
            assert f"keyslot 0 of {disk} is damaged" in ran.err
            assert "--allow-damaged-keyslot" in ran.err
    assert (disk.read_bytes(), backups(world)) == (before, kept)
    for command in (save, revoke):
        ran = world.run(*command, "--allow-damaged-keyslot")
        assert ran.status == 3, ran.err
        assert ran.err.count(f"warning: keyslot 0 of {disk} is damaged") == 1
        assert f"; see luksafe diagnose {disk}" in ran.err


def test_a_packet_that_helps_where_a_keyslot_is_damaged_is_only_warned_of(
    world: World, packet: tuple[str, ...]
) -> None:
    disk = Path("disk.img")
    damage(disk)
    (world.folder / "new").write_bytes(b"a new passphrase")
    applied = world.run("escrow", "apply", packet[0], disk, *packet[1:], "--new-key-file", "new", "--yes")
    assert applied.status == 0, applied.err
    assert applied.err.count(f"warning: keyslot 0 of {disk} is damaged") == 1


def test_the_damaged_keyslot_itself_may_be_revoked(world: World, packet: tuple[str, ...]) -> None:
    disk = Path("disk.img")
    with disk.open("r+b") as out:
        out.seek(world.run("show", disk, "--json").json["keyslots"][1]["area"]["offset"] + 512)
        out.write(NOISE)
    assert "keyslot 1" in checked(world, disk)[0]["keyslot-damaged"]["text"]
    revoked = world.run("escrow", "revoke", packet[0], disk, "--yes")
    assert (revoked.status, "damaged" in revoked.err) == (3, False), revoked.err
    assert f"{disk}: keyslot 1 is erased" in revoked.out
