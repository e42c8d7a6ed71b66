"""Packets and secrets that come from elsewhere: found by UUID, proven by what is at hand, or else kept unproven."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from cli.conftest import World
from cli.test_escrow_use import save, secret_of
from generators.headers import CHEAP_ARGON2, UUID, VOLUME_KEY, luks2_image, seeded_bytes

from luksafe.escrow.recovery_key import make_recovery_key
from luksafe.luks.create import Parameters, create_header
from luksafe.ops.escrow import import_
from luksafe.secret import SecretBytes


def test_verify_finds_the_device_of_a_packet_on_this_machine(
    world: World, recipient: str, identity: Path, loop_device: Callable[..., str]
) -> None:
    own = str(uuid.uuid4())
    disk = world.image(data=luks2_image(uuid=own) + bytes(1 << 20))
    packet = save(world, disk, "--recipient", recipient)
    verify = ("escrow", "verify", packet, "--identity", identity)
    absent = world.run(*verify)
    assert (absent.status, f"no device of this machine has the UUID {own}" in absent.err) == (15, True)
    first = loop_device(disk)
    assert world.run(*verify).status == 0
    second = loop_device(world.image("copy.img", disk.read_bytes()))
    several = world.run(*verify)
    assert (several.status, first in several.err, second in several.err) == (2, True, True)


def test_a_lone_recovery_key_is_of_the_volume_that_it_opens(world: World, recipient: str, identity: Path) -> None:
    key = make_recovery_key(seeded_bytes(3)).reveal()
    parameters = Parameters("luks2", UUID, "aes-xts-plain64", 1 << 20)
    header = create_header(parameters, SecretBytes(VOLUME_KEY), SecretBytes(key), CHEAP_ARGON2, seeded_bytes())
    disk = world.image(data=header + bytes(1 << 20))
    typed = world.folder / "key.txt"
    typed.write_text(key.decode().upper().replace("-", " ") + "\n")
    command = ("escrow", "import", typed, "--recipient", recipient, "--json")
    unknown = world.run(*command)
    assert [each["state"] for each in unknown.json["imported"]] == ["unproven"]
    proven = world.run(*command, "--opens", disk)
    assert [each["state"] for each in proven.json["imported"]] == ["proven"]
    assert secret_of(world, proven.json["packets"][0]["id"], identity) == key


def test_a_damaged_backup_proves_nothing_and_stops_no_import(world: World, recipient: str) -> None:
    assert world.run("backup", world.image()).status == 0
    for image in world.vault.glob("*/*.hdr.gz"):
        image.write_bytes(b"torn")
    (world.folder / "raw.key").write_bytes(VOLUME_KEY)
    ran = world.run("escrow", "import", world.folder / "raw.key", "--recipient", recipient, "--json")
    assert [each["state"] for each in ran.json["imported"]] == ["unproven"]


def test_what_is_far_too_much_is_not_imported(world: World, recipient: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (world.folder / "large.csv").write_bytes(bytes(import_.MAX_FILE_BYTES + 1))
    ran = world.run("escrow", "import", world.folder / "large.csv", "--recipient", recipient, "--json")
    assert [each["state"] for each in ran.json["imported"]] == ["skipped"]
    monkeypatch.setattr(import_, "MOST_FILES", 2)
    for number in range(3):
        (world.folder / "many").mkdir(exist_ok=True)
        (world.folder / "many" / str(number)).write_bytes(b"")
    assert world.run("escrow", "import", world.folder / "many", "--recipient", recipient).status == 12


def test_a_packet_is_resealed_where_its_device_is_gone(world: World, recipient: str, identity: Path) -> None:
    disk = world.image()
    packet = save(world, disk, "--recipient", recipient)
    disk.unlink()
    ran = world.run("escrow", "reseal", packet, "--identity", identity, "--recipient", recipient, "--json")
    assert ran.status == 0, ran.err
    assert secret_of(world, ran.json["packets"][0]["id"], identity) == VOLUME_KEY
