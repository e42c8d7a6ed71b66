"""``rebuild`` from a packet and from memory, and ``findkeys``: the key is proven before it is used or told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import escrow_samples as samples
import pytest
from cli.conftest import World
from cli.test_rebuild import CHEAP, NEW_PASSPHRASE, opens, volume, wipe
from generators.headers import PASSPHRASE, UUID, VOLUME_KEY, luks1_image, luks2_image

from luksafe.crypto.sectors import sector_cipher
from luksafe.luks.inspection import inspect
from luksafe.memory.schedule import expand_key
from luksafe.reader import BytesReader
from luksafe.secret import SecretBytes


@pytest.fixture
def identity(world: World) -> Path:
    (world.folder / "new").write_bytes(NEW_PASSPHRASE)
    path = world.folder / "identity"
    path.write_text(f"{samples.age_identity()}\n")
    return path


def packet_of(world: World, disk: Path, *more: Any) -> str:
    """A packet in a folder of its own, so that no vault helps."""
    folder = world.folder / f"packets-{disk.name}"
    folder.mkdir()
    options = ("--recipient", samples.age_identity().to_public(), "--output", folder, *more)
    ran = world.run("escrow", "save", disk, "--key-file", world.key_file, *options, "--json")
    assert ran.status == 0, ran.err
    return next(path for path in ran.json["packets"][0]["files"] if path.endswith(".age"))


def rebuild(world: World, disk: Path, packet: str, *more: Any) -> Any:
    world.vault = world.folder / "another-vault"
    options = ("--packet", packet, "--identity", "identity", "--new-key-file", "new", *CHEAP, *more)
    return world.run("rebuild", disk, *options)


@pytest.mark.parametrize("format", ["luks1", "luks2"])
def test_from_a_packet_alone(world: World, identity: Path, format: str) -> None:
    image = volume(luks1_image() if format == "luks1" else luks2_image())
    disk = world.image(data=image)
    packet = packet_of(world, disk)
    before = inspect(BytesReader(image)).require_header()
    offset = before.data_offset
    wipe(disk, offset)
    ran = rebuild(world, disk, packet, "--yes", "--json")
    assert ran.status == 0, ran.err
    assert [proof["by"] for proof in ran.json["proofs"]] == ["canary"]
    assert (ran.json["data"]["verdict"], ran.json["base"]) == ("sense", None)
    after = inspect(BytesReader(disk.read_bytes())).require_header()
    assert (after.uuid, after.label) == (before.uuid, before.label)
    assert after.digests[0].digest == before.digests[0].digest  # the very same: backups of before still fit
    assert disk.read_bytes()[offset:] == image[offset:]
    assert opens(disk, NEW_PASSPHRASE)


def test_other_sector_sizes(world: World, identity: Path) -> None:
    cipher = sector_cipher("aes-xts-plain64", SecretBytes(VOLUME_KEY), sector_size=4096)
    data = bytes(cipher.encrypt(b"It was a dark and stormy night.\n" * 32768, 0))
    disk = world.image(data=luks2_image(sector_size=4096) + data)
    packet = packet_of(world, disk)
    wipe(disk)
    assert rebuild(world, disk, packet, "--yes").status == 0
    assert inspect(BytesReader(disk.read_bytes())).require_header().sector_size == 4096


def test_the_header_that_is_sealed_with_it_is_the_base(world: World, identity: Path) -> None:
    disk = world.image(data=volume(luks2_image()))
    packet = packet_of(world, disk, "--with-header")
    wipe(disk)
    ran = rebuild(world, disk, packet, "--yes", "--json")
    assert ran.status == 0, ran.err
    assert ran.json["base"].startswith("the header in packet")
    assert opens(disk, PASSPHRASE, 0) and opens(disk, NEW_PASSPHRASE, 1)


def test_a_sealed_passphrase_opens_the_sealed_header(world: World, identity: Path) -> None:
    disk = world.image(data=volume(luks2_image()))
    packet = packet_of(world, disk, "--with-header", "--secret", "passphrase")
    wipe(disk)
    assert rebuild(world, disk, packet, "--yes").status == 0
    assert opens(disk, NEW_PASSPHRASE, 1)


def test_a_passphrase_alone_gives_no_key(world: World, identity: Path) -> None:
    disk = world.image(data=volume(luks2_image()))
    packet = packet_of(world, disk, "--secret", "passphrase")
    assert rebuild(world, disk, packet, "--yes").status == 11


def test_a_packet_of_another_volume_is_refused(world: World, identity: Path) -> None:
    other = bytes(sector_cipher("aes-xts-plain64", SecretBytes(VOLUME_KEY[::-1])).encrypt(b"text " * 209715 + b"t", 0))
    disk = world.image(data=bytes(1 << 20) + other)
    packet = packet_of(world, world.image("other.img", volume(luks2_image())))
    before = disk.read_bytes()
    ran = rebuild(world, disk, packet, "--yes")
    assert (ran.status, disk.read_bytes()) == (14, before)
    assert not list(world.folder.glob("another-vault/undo/*"))


def memory(world: World, *keys: bytes) -> Path:
    """A raw image of memory with the key schedules of XTS pairs as aesni has them: the tweak key's first."""
    out = bytearray(1 << 20)
    for number, key in enumerate(keys):
        at = 4096 * (number + 1)
        for place, half in ((at, key[32:]), (at + 496, key[:32])):
            schedule = expand_key(half)
            out[place : place + len(schedule)] = schedule
    path = world.folder / "memory.raw"
    path.write_bytes(out)
    return path


def test_from_memory_with_a_backup(world: World, identity: Path) -> None:
    disk = world.image(data=volume(luks2_image()))
    world.run("backup", disk)
    wipe(disk)
    options = ("--from-memory", memory(world, VOLUME_KEY[::-1], VOLUME_KEY), "--new-key-file", "new", *CHEAP, "--yes")
    ran = world.run("rebuild", disk, *options)
    assert ran.status == 0, ran.err
    assert opens(disk, NEW_PASSPHRASE, 1)


def test_from_memory_without_the_key(world: World, identity: Path) -> None:
    disk = world.image(data=volume(luks2_image()))
    before = disk.read_bytes()
    ran = world.run("rebuild", disk, "--from-memory", memory(world, VOLUME_KEY[::-1]), "--new-key-file", "new", "--yes")
    assert (ran.status, disk.read_bytes()) == (11, before)
    wipe(disk)
    assert world.run("rebuild", disk, "--from-memory", "memory.raw", "--new-key-file", "new", "--yes").status == 2


def test_findkeys_tells_proven_keys_only(world: World) -> None:
    disk = world.image(data=volume(luks2_image()))
    other = world.luks1("other.img")
    image = memory(world, VOLUME_KEY[::-1], VOLUME_KEY)
    ran = world.run("findkeys", image, "--device", disk, "--device", other, "--json")
    assert ran.status == 0
    assert [(key["uuid"], key["found"], key["proven_by"]) for key in ran.json["keys"]] == [(UUID, True, "a digest")] * 2
    assert ran.json["schedules"] == 4
    assert VOLUME_KEY.hex() not in ran.out + ran.err and VOLUME_KEY[::-1].hex() not in ran.out + ran.err
    assert VOLUME_KEY.hex() in world.run("findkeys", image, "--device", disk, "--show").out
    out = world.folder / "key"
    assert world.run("findkeys", image, "--device", disk, "--out", out).status == 0
    assert (out.read_bytes(), out.stat().st_mode & 0o777) == (VOLUME_KEY, 0o600)
    assert world.run("findkeys", image, "--device", disk, "--device", other, "--out", "two").status == 2
    assert world.run("findkeys", image, "--device", disk, "--out", out).status == 14


def test_findkeys_without_a_key(world: World) -> None:
    disk = world.image(data=volume(luks2_image()))
    image = memory(world, VOLUME_KEY[::-1])
    ran = world.run("findkeys", image, "--device", disk, "--out", "key")
    assert (ran.status, "not found" in ran.out) == (10, True)
    assert not (world.folder / "key").exists()
    assert world.run("findkeys", image, "--mapping", "no-such-mapping").status == 15


def test_findkeys_says_which_ciphers_it_cannot_find(world: World) -> None:
    disk = world.image(data=luks2_image(encryption="serpent-xts-plain64"))
    ran = world.run("findkeys", memory(world, VOLUME_KEY), "--device", disk)
    assert (ran.status, "serpent" in ran.out) == (10, True)
