"""``rebuild`` on images: a new header round a known key, with the parameters from here or there."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pexpect
import pytest
from cli.conftest import World
from generators.headers import PASSPHRASE, UUID, VOLUME_KEY, luks1_image, luks2_image

from luksafe.crypto.sectors import sector_cipher
from luksafe.luks.inspection import inspect
from luksafe.luks.unlock import unlock
from luksafe.reader import BytesReader
from luksafe.secret import SecretBytes

CHEAP = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", 1000)
NEW_PASSPHRASE = b"new passphrase"
STATED: dict[str, Any] = {
    "--type": "luks2",
    "--uuid": UUID,
    "--cipher": "aes-xts-plain64",
    "--sector-size": 512,
    "--data-offset": 1 << 20,
}


def plaintext(size: int = 1 << 20) -> bytes:
    """Data that make sense: text, and structures that repeat."""
    return (b"The quick brown fox jumps over the lazy dog.\n" * (size // 45 + 1))[:size]


def volume(header: bytes, key: bytes = VOLUME_KEY) -> bytes:
    """A header image with encrypted data behind it."""
    return header + bytes(sector_cipher("aes-xts-plain64", SecretBytes(key)).encrypt(plaintext(), 0))


@pytest.fixture
def files(world: World) -> dict[str, Path]:
    made = {name: world.folder / name for name in ("vk", "other-vk", "new")}
    made["vk"].write_bytes(VOLUME_KEY)
    made["other-vk"].write_bytes(bytes(64 - i for i in range(64)))
    made["new"].write_bytes(NEW_PASSPHRASE)
    return made


def wipe(path: Path, size: int = 1 << 20) -> None:
    with path.open("r+b") as file:
        file.write(bytes(size))


def options(stated: dict[str, Any]) -> list[Any]:
    return [word for pair in stated.items() for word in pair]


def opens(path: Path, passphrase: bytes, keyslot: int | None = None) -> bool:
    reader = BytesReader(path.read_bytes())
    header = inspect(reader).require_header()
    return unlock(reader, header, SecretBytes(passphrase), keyslot=keyslot).volume_key == SecretBytes(VOLUME_KEY)


def run(world: World, device: Path, *more: Any, key: str = "vk") -> Any:
    return world.run("rebuild", device, "--volume-key-file", key, "--new-key-file", "new", *CHEAP, *more)


@pytest.mark.parametrize("format", ["luks1", "luks2"])
def test_stated_parameters(world: World, files: dict[str, Path], format: str) -> None:
    image = volume(luks1_image() if format == "luks1" else luks2_image())
    disk = world.image(data=image)
    offset = len(image) - (1 << 20)
    wipe(disk, offset)
    stated = {**STATED, "--type": format, "--data-offset": offset}
    ran = run(world, disk, *options(stated), "--yes", "--json")
    assert ran.status == 0, ran.err
    assert ran.json["data"]["verdict"] == "sense"
    assert (ran.json["uuid"], ran.json["keyslot"], ran.json["valid"]) == (UUID, 0, True)
    assert disk.read_bytes()[offset:] == image[offset:]
    assert opens(disk, NEW_PASSPHRASE)
    assert world.run("undo", disk, "--yes").status == 0
    assert not any(disk.read_bytes()[:offset])


def test_parameters_and_keyslots_from_the_vault(world: World, files: dict[str, Path]) -> None:
    disk = world.image(data=volume(luks2_image()))
    world.run("backup", disk)
    wipe(disk)
    ran = run(world, disk, "--yes", "--json")
    assert ran.status == 0, ran.err
    assert ran.json["base"].startswith("backup ")
    assert [proof["by"] for proof in ran.json["proofs"]] == ["digest"]
    assert ran.json["keyslot"] == 1
    assert opens(disk, NEW_PASSPHRASE, 1) and opens(disk, PASSPHRASE, 0)


def test_an_intact_header_gets_one_more_keyslot(world: World, files: dict[str, Path]) -> None:
    disk = world.image(data=volume(luks2_image()))
    assert run(world, disk, "--yes").status == 0
    assert opens(disk, NEW_PASSPHRASE, 1) and opens(disk, PASSPHRASE, 0)


def test_a_destroyed_keyslot_goes(world: World, files: dict[str, Path]) -> None:
    disk = world.image(data=volume(luks2_image()))
    with disk.open("r+b") as file:
        file.seek(32768)
        file.write(bytes(4096))
    ran = run(world, disk, "--yes")
    assert ran.status == 0
    assert "that go: 0" in ran.err
    assert opens(disk, NEW_PASSPHRASE, 0)


def test_to_a_file(world: World, files: dict[str, Path]) -> None:
    disk = world.image(data=volume(luks2_image()))
    wipe(disk)
    before = disk.read_bytes()
    ran = run(world, disk, *options(STATED), "--to", "header")
    assert ran.status == 0, ran.err
    assert disk.read_bytes() == before
    header = world.folder / "header"
    assert header.stat().st_mode & 0o777 == 0o600
    assert opens(header, NEW_PASSPHRASE)
    proven = world.run("prove", disk, "--header", header, "--key-file", "new", "--json")
    assert proven.json["data"]["makes_sense"]
    assert run(world, disk, *options(STATED), "--to", "header").status == 14  # never over a file that is there
    assert run(world, disk, *options(STATED), "--to", "second", "--dry-run").status == 0
    assert not (world.folder / "second").exists()


def test_a_detached_header_only_goes_to_a_file(world: World, files: dict[str, Path]) -> None:
    data = bytes(sector_cipher("aes-xts-plain64", SecretBytes(VOLUME_KEY)).encrypt(plaintext(), 0))
    disk = world.image(data=data)
    stated = {**STATED, "--data-offset": 0}
    ran = run(world, disk, *options(stated), "--yes")
    assert (ran.status, disk.read_bytes()) == (14, data)
    assert "--to FILE" in ran.err
    assert run(world, disk, *options(stated), "--to", "header").status == 0
    assert opens(world.folder / "header", NEW_PASSPHRASE)


WRONG: dict[str, tuple[str, dict[str, Any]]] = {
    "another key": ("other-vk", {}),
    "another offset": ("vk", {"--data-offset": (1 << 20) + 4096}),
    "another sector size": ("vk", {"--sector-size": 4096}),
    "another IV offset": ("vk", {"--iv-offset": 8}),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_key_or_parameter_is_refused(world: World, files: dict[str, Path], case: str) -> None:
    key, changed = WRONG[case]
    disk = world.image(data=volume(luks2_image()))
    wipe(disk)
    before = disk.read_bytes()
    ran = run(world, disk, *options({**STATED, **changed}), "--yes", key=key)
    assert ran.status == 14, ran.err
    assert "--allow-noise" in ran.err
    assert disk.read_bytes() == before
    assert not world.vault.exists() or not list(world.vault.glob("undo/*"))


def test_a_key_that_no_known_header_has_is_rejected(world: World, files: dict[str, Path]) -> None:
    disk = world.image(data=volume(luks2_image()))
    ran = run(world, disk, "--yes", key="other-vk")
    assert (ran.status, disk.read_bytes()) == (11, volume(luks2_image()))
    stated = run(world, disk, *options(STATED), "--yes", key="other-vk")
    assert stated.status == 14


def test_data_never_written_prove_nothing(world: World, files: dict[str, Path]) -> None:
    disk = world.image(data=bytes(2 << 20))
    ran = run(world, disk, *options(STATED), "--yes")
    assert (ran.status, "--allow-unproven" in ran.err) == (14, True)
    assert run(world, disk, *options(STATED), "--yes", "--allow-unproven").status == 0


def test_usage(world: World, files: dict[str, Path]) -> None:
    disk = world.image(data=bytes(2 << 20))
    assert world.run("rebuild", disk).status == 2
    assert run(world, disk).status == 2
    incomplete = run(world, disk, "--cipher", "aes-xts-plain64")
    assert incomplete.status == 2
    assert "--type --uuid --data-offset --sector-size" in incomplete.err
    (world.folder / "new").write_bytes(b"")
    assert run(world, world.image(data=volume(luks2_image())), "--yes").status == 2
    luks1 = {**STATED, "--type": "luks1", "--data-offset": 2 << 20}
    ran = run(world, world.image(data=volume(luks1_image())), *options(luks1), "--pbkdf", "argon2id")
    assert (ran.status, "PBKDF2 only" in ran.err) == (2, True)


def test_room_is_checked(world: World, files: dict[str, Path]) -> None:
    disk = world.image(data=volume(luks2_image()))
    ran = run(world, disk, *options({**STATED, "--data-offset": 65536}), "--yes", "--allow-noise")
    assert (ran.status, disk.read_bytes()) == (14, volume(luks2_image()))


def test_what_was_written_over_the_header_is_named_and_wiped(world: World, files: dict[str, Path]) -> None:
    image = bytearray(volume(luks2_image()))
    image[:32768] = bytes(32768)
    image[0x10040:0x10048] = b"_BHRfS_M"  # btrfs beyond the new header: it would be mistaken for the volume
    disk = world.image(data=bytes(image))
    assert run(world, disk, *options(STATED), "--yes").status == 0
    assert opens(disk, NEW_PASSPHRASE)


def test_dry_run_writes_nothing_and_asks_nothing(world: World, files: dict[str, Path]) -> None:
    disk = world.image(data=volume(luks2_image()))
    wipe(disk)
    before = disk.read_bytes()
    ran = world.run("rebuild", disk, "--volume-key-file", "vk", *options(STATED), "--dry-run", "--json")
    assert (ran.status, disk.read_bytes()) == (0, before)
    assert ran.json["plan"]["purpose"] == "rebuild"
    assert [phase["name"] for phase in ran.json["plan"]["phases"]] == [
        "keyslot areas",
        "secondary header",
        "primary header",
    ]
    assert PASSPHRASE.decode() not in ran.out and VOLUME_KEY.hex() not in ran.out


def test_the_passphrase_and_the_question_are_asked_on_the_terminal(world: World, files: dict[str, Path]) -> None:
    disk = world.image(data=volume(luks2_image()))
    wipe(disk)
    words = ["rebuild", str(disk), "--volume-key-file", "vk", *map(str, [*CHEAP, *options(STATED)])]
    terminal = pexpect.spawn(
        sys.executable,
        ["-m", "luksafe", "--vault", str(world.vault), *words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=str(world.folder),
        timeout=60,
    )
    for _ in range(2):
        terminal.expect("New passphrase for")
        terminal.sendline(NEW_PASSPHRASE)
    terminal.expect("Type YES")
    terminal.sendline("YES")
    terminal.expect("rebuilt")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    assert opens(disk, NEW_PASSPHRASE)


def test_without_a_terminal_nothing_is_asked_and_nothing_is_written(world: World, files: dict[str, Path]) -> None:
    disk = world.image(data=volume(luks2_image()))
    wipe(disk)
    before = disk.read_bytes()
    ran = world.process("rebuild", disk, "--volume-key-file", "vk", *options(STATED), "--yes")
    assert (ran.status, disk.read_bytes()) == (2, before)
    unconfirmed = world.process(
        "rebuild", disk, "--volume-key-file", "vk", "--new-key-file", "new", *CHEAP, *options(STATED)
    )
    assert (unconfirmed.status, disk.read_bytes()) == (2, before)


def test_mappings_that_are_not_there(world: World, files: dict[str, Path]) -> None:
    disk = world.image()
    assert world.run("mappings", "no-such-mapping").status == 15
    assert world.run("rebuild", disk, "--from-mapping", "no-such-mapping", "--new-key-file", "new").status == 15
    assert world.run("emergency", "no-such-mapping", "--new-key-file", "new").status == 15
    assert world.run("mappings", "--json").json["mappings"] is not None
