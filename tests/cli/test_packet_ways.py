"""The header is destroyed and there is an escrow packet: the command that diagnose names brings the data back."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import escrow_samples as samples
import pytest
from cli.conftest import Ran, World
from cli.test_rescue import MIB, Talk, volume
from lost_headers import CHEAP

pytestmark = pytest.mark.skipif(shutil.which("cryptsetup") is None, reason="cryptsetup is not installed")

WORDS = b"words that open the packet"
KEYSLOT_OFFSET, KEYSLOT_BYTES = 32768, 256_000
Disaster = Callable[[Path], None]


def zeros(*ranges: tuple[int, int]) -> Disaster:
    def do(disk: Path) -> None:
        with disk.open("r+b") as file:
            for start, end in ranges:
                file.seek(start)
                file.write(bytes(end - start))

    return do


def mkfs(disk: Path) -> None:
    if shutil.which("mkfs.vfat") is None:
        pytest.skip("needs mkfs.vfat")
    subprocess.run(["mkfs.vfat", disk], check=True, capture_output=True)


DISASTERS: dict[str, tuple[Disaster, str]] = {
    "json-of-both-copies": (zeros((4096, 16384), (20480, 32768)), "needs-key"),
    "keyslots": (zeros((KEYSLOT_OFFSET, KEYSLOT_OFFSET + KEYSLOT_BYTES)), "needs-key"),
    # nothing on the device says any more whose packet it would have to be
    "both-copies": (zeros((0, 32768)), "needs-backup"),
    "header-and-keyslots": (zeros((0, MIB)), "needs-backup"),
    "mkfs": (mkfs, "needs-backup"),
}


@pytest.fixture
def disk(world: World) -> Path:
    (world.folder / "new").write_bytes(b"a new passphrase")
    (world.folder / "words").write_bytes(WORDS)
    (world.folder / "stick").mkdir()
    (world.folder / "identity").write_text(f"{samples.age_identity()}\n")
    return world.image("disk.img", volume())


def save(world: World, disk: Path, scheme: str, *how: object) -> None:
    sealed = {
        "age": ("--recipient", str(samples.age_identity().to_public())),
        "passphrase": ("--recipient", "passphrase", "--packet-key-file", world.folder / "words"),
    }
    ran = world.run("escrow", "save", disk, "--key-file", world.key_file, *sealed[scheme], *how, "--yes", "--json")
    assert ran.status == 0, ran.err


def diagnosed(world: World, disk: Path) -> tuple[str, list[list[str]]]:
    """The verdict, and the commands with a packet that are to be typed."""
    before = disk.read_bytes()
    found = world.run("diagnose", disk, "--json").json
    assert disk.read_bytes() == before
    return found["verdict"], [shlex.split(line) for line in found["next"] if "escrow" in line]


def typed(world: World, command: list[str], **words: object) -> Ran:
    """Run what was proposed, with its words in capitals filled in."""
    filled = [str(words.get(word, word)) for word in command[1:]]
    opener = () if "--identity" in filled else ("--key-file", world.folder / "words")
    return world.run(*filled, *opener, "--new-key-file", world.folder / "new", *CHEAP, "--yes")


def assert_is_back(world: World, disk: Path, before: bytes, damaged: bytes) -> None:
    ran = world.run("prove", disk, "--data", disk, "--key-file", world.folder / "new", "--json")
    assert ran.status == 0, ran.err
    assert ran.json["data"]["makes_sense"] is True
    assert disk.read_bytes()[MIB:] == damaged[MIB:]
    assert subprocess.run(["cryptsetup", "open", "--test-passphrase", "--key-file", "new", disk]).returncode == 0
    assert before[MIB:] == damaged[MIB:] or damaged[:3] == b"\xeb\x3c\x90"


@pytest.mark.parametrize("scheme", ["age", "passphrase"])
@pytest.mark.parametrize("name", DISASTERS)
def test_packet_in_the_vault(world: World, disk: Path, name: str, scheme: str) -> None:
    save(world, disk, scheme)
    assert world.run("list", "--json").json["backups"] == []  # nothing but the packet is there
    whole = disk.read_bytes()
    happen, verdict = DISASTERS[name]
    happen(disk)
    damaged = disk.read_bytes()
    said, [command] = diagnosed(world, disk)
    assert said == verdict
    assert ("--identity" in command) == (scheme == "age")
    done = typed(world, command, FILE=world.folder / "identity")
    assert done.status == 0, done.err
    assert_is_back(world, disk, whole, damaged)


@pytest.mark.parametrize("name", DISASTERS)
def test_packet_in_a_file(world: World, disk: Path, name: str) -> None:
    save(world, disk, "age", "--output", world.folder / "stick")
    shutil.rmtree(world.vault)
    whole = disk.read_bytes()
    happen, _ = DISASTERS[name]
    happen(disk)
    damaged = disk.read_bytes()
    verdict, [command] = diagnosed(world, disk)
    assert verdict == "needs-backup"
    assert command == ["luksafe", "escrow", "apply", "PACKET", str(disk)]
    (packet,) = (world.folder / "stick").glob("*.age")
    done = typed(world, [*command, "--identity", "FILE"], PACKET=packet, FILE=world.folder / "identity")
    assert done.status == 0, done.err
    assert_is_back(world, disk, whole, damaged)
    verdict, _ = diagnosed(world, disk)
    assert verdict == ("needs-backup" if name == "keyslots" else "healthy")  # the old keyslot is still destroyed


def test_a_recovery_key_is_no_volume_key(world: World, disk: Path) -> None:
    """It opens a keyslot: with the header gone it is not the way in, and the verdict does not say so."""
    save(world, disk, "age", "--recovery-key")
    for backup in world.run("list", "--json").json["backups"]:
        assert world.run("forget", backup["id"], "--yes", "--allow-last").status in (0, 3)
    zeros((4096, 16384), (20480, 32768))(disk)
    verdict, [command] = diagnosed(world, disk)
    assert verdict == "needs-backup"
    done = typed(world, command, FILE=world.folder / "identity")
    assert done.status == 11
    assert "header" in done.err


def test_rescue_offers_every_packet_that_diagnose_names(world: World, disk: Path) -> None:
    for label in "abc":  # three backups, which are two ways each
        subprocess.run(["cryptsetup", "config", "--label", label, disk], check=True)
        assert world.run("backup", disk).status == 0
    save(world, disk, "age", "--recovery-key")
    for _ in range(4):
        save(world, disk, "age")
    zeros((KEYSLOT_OFFSET, MIB))(disk)
    _, commands = diagnosed(world, disk)
    named = [command[3] for command in commands]
    assert len(set(named)) == 5
    ways = world.run("rescue", disk, "--json").json["ways"]
    assert [way["key"].partition(":")[2] for way in ways if way["key"].startswith("packet:")] == named
    talk = Talk(world, disk)
    talk.say("Enter makes the copy, q leaves:", "")
    talk.choose(f"Get in with escrow packet {named[-1]}")
    talk.say("q: leave:", "q")
    assert talk.end() == 10
    assert f"escrow apply {named[-1]} {disk}" in talk.text


def test_of_packets_that_nothing_ties_to_the_device_some_are_named_and_the_rest_counted(
    world: World, disk: Path
) -> None:
    for _ in range(8):
        save(world, disk, "age")
    zeros((0, MIB))(disk)
    _, commands = diagnosed(world, disk)
    assert commands[-2:] == [["luksafe", "escrow", "show"], ["luksafe", "escrow", "apply", "PACKET", str(disk)]]
    found = world.run("rescue", disk, "--json").json
    offered = [way["key"].partition(":")[2] for way in found["ways"] if way["key"].startswith("packet:")]
    assert offered == [command[3] for command in commands[:-2]]
    assert len(offered) == 6
    assert "2 more than are named below" in found["story"][-1]
