"""``luksafe rescue`` through a pseudo terminal of 80 by 25: five disasters, each ending with the data readable."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest
from generators.headers import PASSPHRASE, VOLUME_KEY, luks2_image

from luksafe.crypto.sectors import sector_cipher
from luksafe.device.identity import describe
from luksafe.ops.rescue.journal import journal_folder
from luksafe.secret import SecretBytes

from .conftest import World

MIB = 1 << 20
WORDS = b"all that is written here makes sense. "
HEADER_BYTES = MIB
KEYSLOT_END = 32768 + 256_000


def volume() -> bytes:
    """A volume with a header of 1 MiB and 3 MiB of text, the rest never written."""
    plain = (WORDS * (3 * MIB // len(WORDS) + 1))[: 3 * MIB]
    with SecretBytes(VOLUME_KEY) as key:
        data = bytes(sector_cipher("aes-xts-plain64", key, sector_size=512).encrypt(plain, 0))
    return luks2_image() + data + bytes(20 * MIB)


def sha(path: Path, start: int = 0) -> str:
    return hashlib.sha256(path.read_bytes()[start:]).hexdigest()


class Talk:
    """A conversation with ``luksafe rescue``."""

    def __init__(self, world: World, *arguments: object) -> None:
        env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "TERM": "vt100",
            "LUKSAFE_VAULT": str(world.vault),
        }
        command = ["-m", "luksafe", "rescue", *map(str, arguments)]
        self.screen = pexpect.spawn(
            sys.executable, command, env=env, dimensions=(25, 80), encoding="utf-8", timeout=120
        )
        self.text = ""

    def wait(self, pattern: str) -> None:
        """Read until a pattern; screens that are full are turned on the way."""
        while True:
            which = self.screen.expect([re.escape("-- Enter shows more --"), pattern])
            self.text += self.screen.before + self.screen.after
            if which == 1:
                return
            self.screen.sendline("")

    def say(self, pattern: str, answer: str) -> None:
        self.wait(pattern)
        self.screen.sendline(answer)

    def choose(self, title: str) -> None:
        """Choose the way out whose title has these words."""
        before = len(self.text)
        self.wait("q: leave:")
        (number,) = re.findall(rf"(?m)^ *(\d+)  .*{title}", self.text[before:])[:1]
        self.screen.sendline(number)

    def confirm(self) -> None:
        """Answer YES; a restore is given the passphrase that proves it before."""
        self.wait("Enter skips[^\r\n]*: |Type YES to go on: ")
        if not self.text.endswith("go on: "):
            self.screen.sendline(PASSPHRASE.decode())
            self.wait("Type YES to go on: ")
        self.screen.sendline("YES")

    def passphrase(self) -> None:
        self.say("Passphrase for [^\r\n]*: ", PASSPHRASE.decode())

    def end(self) -> int:
        while self.screen.expect([re.escape("-- Enter shows more --"), pexpect.EOF]) == 0:
            self.text += self.screen.before
            self.screen.sendline("")
        self.text += self.screen.before
        self.screen.close()
        lines = re.sub("\x1b\\[[0-9;]*[A-Za-z]", "", self.text).replace("\r", "\n").split("\n")
        own = [line for line in lines if "/" not in line]  # names of files may be longer than a line
        assert max(map(len, own)) <= 80, max(own, key=len)
        assert "Traceback" not in self.text
        return int(self.screen.exitstatus or 0)


def run_steps(talk: Talk, *expected: str) -> None:
    """Take every step: ``p`` is one that asks for the passphrase, ``w`` one that asks for YES, ``-`` asks nothing."""
    for kind in expected:
        talk.say("q: leave:", "r")
        if kind == "p":
            talk.passphrase()
        elif kind == "w":
            talk.confirm()


def begin(world: World, path: Path) -> Talk:
    before = sha(path)
    talk = Talk(world, path)
    talk.say("Enter makes the copy, q leaves:", "")
    talk.wait("all back as it was")
    assert sha(path) == before
    return talk


def assert_opens(world: World, path: Path) -> None:
    ran = world.run("prove", path, "--data", path, "--key-file", world.key_file, "--json")
    assert ran.status == 0
    assert ran.json["data"]["makes_sense"] is True


pytestmark = pytest.mark.slow  # each command of a conversation is a process of its own


@pytest.fixture
def disk(world: World) -> Path:
    return world.image("disk.img", volume())


def test_mkfs_over_it_with_a_backup_in_the_vault(world: World, disk: Path) -> None:
    if shutil.which("mkfs.vfat") is None:
        pytest.skip("needs mkfs.vfat")
    world.run("backup", disk)
    whole = disk.read_bytes()
    subprocess.run(["mkfs.vfat", disk], check=True, capture_output=True)
    damaged = disk.read_bytes()
    talk = begin(world, disk)
    talk.choose("Write backup")
    run_steps(talk, "p", "w", "p")
    assert talk.end() == 0
    assert "a FAT filesystem was made on it" in re.sub(r"\s+", " ", talk.text)
    assert "The data can be read." in talk.text
    assert_opens(world, disk)
    after = disk.read_bytes()
    assert after[HEADER_BYTES:] == damaged[HEADER_BYTES:] == whole[HEADER_BYTES:]
    (entry,) = re.findall(r"undo --entry (\S+)", talk.text)[:1]
    assert f"--entry {entry} --allow-changed" in re.sub(r"\s+", " ", talk.text)
    listed = world.run("undo", "--list", disk).out
    assert re.search(rf"{entry} +kept ", listed), listed
    back = world.run("undo", "--entry", entry, "--allow-changed", disk, "--yes")
    assert back.status in (0, 3)
    assert "the first copy of a rescue" in re.sub(r"\s+", " ", back.out + back.err)
    assert disk.read_bytes() == damaged  # the first copy brings back what was there before the rescue


@pytest.fixture
def clone(world: World, disk: Path) -> Path:
    """The volume that the vault has as another file, its header and key material gone."""
    world.run("backup", disk)
    return world.image("clone.img", bytes(MIB) + volume()[MIB:])


def test_no_known_backup_but_that_of_another_name(world: World, disk: Path, clone: Path) -> None:
    other = world.image("other.img", luks2_image(uuid="00000000-1111-4222-8333-444444444444") + bytes(MIB))
    assert world.run("backup", other).status in (0, 3)
    damaged = clone.read_bytes()
    talk = begin(world, clone)
    talk.choose("Try backup")
    run_steps(talk, "p", "w", "p")
    assert talk.end() == 0
    words = re.sub(r"\s+", " ", talk.text)
    assert "no backup that is known to be of this device. It has 2 backups of other volumes" in words
    assert "as large as this device" in words
    assert "/disk.img" in words
    assert words.index("/disk.img") < words.index("/other.img")
    assert clone.read_bytes()[:KEYSLOT_END] == disk.read_bytes()[:KEYSLOT_END]
    assert clone.read_bytes()[HEADER_BYTES:] == damaged[HEADER_BYTES:]


def test_a_backup_of_another_volume_is_refused_by_its_proof(world: World, disk: Path) -> None:
    world.run("backup", disk)
    noise = world.image("noise.img", bytes(MIB) + os.urandom(4 * MIB))
    (name,) = [backup["id"] for backup in world.run("list", "--json").json["backups"]]
    before = sha(noise)
    talk = begin(world, noise)
    talk.say("q: leave:", "f")
    talk.say("Its path, or a backup in the vault [^\r\n]*: ", name[:8])
    talk.say("q: leave:", "r")
    talk.passphrase()
    talk.wait("That did not work: the answer is no")
    talk.say("q: leave:", "q")
    assert talk.end() == 10
    assert sha(noise) == before


def test_an_empty_file_is_named_before_any_copy(world: World) -> None:
    empty = world.image("empty.img", b"")
    ran = world.run("rescue", empty)
    assert ran.status == 15
    assert "is empty (0 bytes): is it the right path?" in re.sub(r"\s+", " ", ran.err)
    assert "is empty (0 bytes)" in re.sub(r"\s+", " ", world.run("diagnose", empty).out)


def test_check_and_list_of_an_unknown_device_name_the_list(world: World, clone: Path) -> None:
    assert "luksafe list" in world.run("check", clone).out
    assert "luksafe list" in world.run("list", clone).out


def test_primary_header_damaged(world: World, disk: Path) -> None:
    whole = disk.read_bytes()
    with disk.open("r+b") as file:
        file.write(bytes(4096))
    talk = begin(world, disk)
    talk.choose("Mend the header")
    run_steps(talk, "w", "p")
    assert talk.end() == 0
    assert_opens(world, disk)
    assert disk.read_bytes()[16384:] == whole[16384:]


def test_keyslot_destroyed_passphrase_no_longer_accepted(world: World, disk: Path) -> None:
    whole = disk.read_bytes()
    world.run("backup", disk)
    with disk.open("r+b") as file:
        file.seek(32768 + 8192)
        file.write(bytes(4096))
    talk = begin(world, disk)
    talk.choose("Write backup")
    run_steps(talk, "p", "w", "p")
    assert talk.end() == 0
    assert "the key material of every keyslot is destroyed" in re.sub(r"\s+", " ", talk.text)
    assert disk.read_bytes() == whole


OTHER = b"another passphrase"
CHEAP = "--pbkdf pbkdf2 --pbkdf-force-iterations 1000"


def needs_cryptsetup() -> None:
    if shutil.which("cryptsetup") is None:
        pytest.skip("needs cryptsetup")


def test_formatted_again(world: World, disk: Path) -> None:
    needs_cryptsetup()
    world.run("backup", disk)
    whole = disk.read_bytes()
    options = ["--type", "luks2", *CHEAP.split(), "--offset", "2048", "--key-file", "-"]
    subprocess.run(["cryptsetup", "luksFormat", "-q", *options, disk], input=OTHER, check=True)
    formatted = disk.read_bytes()
    talk = begin(world, disk)
    talk.choose("Write backup")
    run_steps(talk, "p", "w", "p")
    assert talk.end() == 0
    assert "THINK TWICE" in talk.text
    assert_opens(world, disk)
    after = disk.read_bytes()
    assert after[:KEYSLOT_END] == whole[:KEYSLOT_END]  # the header, and its keyslot
    assert after[HEADER_BYTES:] == formatted[HEADER_BYTES:] == whole[HEADER_BYTES:]


def save_packet(world: World, disk: Path, *where: object) -> None:
    (world.folder / "words").write_bytes(b"words")
    sealed = ("--recipient", "passphrase", "--packet-key-file", world.folder / "words")
    ran = world.run("escrow", "save", disk, "--key-file", world.key_file, *sealed, *where, "--yes")
    assert ran.status == 0, ran.err


def go_in_by_packet(talk: Talk) -> None:
    """The packet is opened, a new passphrase given; a cheaper key derivation is added, as any option can be."""
    talk.choose("Get in with escrow packet")
    talk.say("q: leave:", "o")
    talk.say("Its options, as in a shell: ", '--pbkdf "unfinished')
    talk.wait("a quotation mark is open")
    talk.say("q: leave:", "o")
    talk.say("Its options, as in a shell: ", CHEAP)
    talk.say("q: leave:", "r")
    talk.say("Passphrase of packet [^\r\n]*: ", "words")
    talk.say("New passphrase for [^\r\n]*: ", OTHER.decode())
    talk.say("\\(again\\): ", OTHER.decode())
    talk.say("Type YES to go on: ", "YES")
    talk.say("q: leave:", "r")
    talk.say("Passphrase for [^\r\n]*: ", OTHER.decode())
    assert talk.end() == 0
    assert "The data can be read." in talk.text


def test_lost_passphrase_and_a_packet_in_the_vault(world: World, disk: Path) -> None:
    needs_cryptsetup()
    save_packet(world, disk)
    whole = disk.read_bytes()
    go_in_by_packet(begin(world, disk))
    after = disk.read_bytes()
    assert after[32768:KEYSLOT_END] == whole[32768:KEYSLOT_END]
    assert after[HEADER_BYTES:] == whole[HEADER_BYTES:]
    assert_opens(world, disk)  # with the old passphrase as well


def test_header_zeroed_and_a_packet_in_a_file(world: World, disk: Path) -> None:
    (world.folder / "stick").mkdir()
    save_packet(world, disk, "--output", world.folder / "stick")
    shutil.rmtree(world.vault)
    with disk.open("r+b") as file:
        file.write(bytes(32768))
    whole = disk.read_bytes()
    talk = begin(world, disk)
    talk.say("q: leave:", "f")
    (packet,) = (world.folder / "stick").glob("*.age")
    talk.say("Its path[^\r\n]*: ", str(packet))
    go_in_by_packet(talk)
    assert disk.read_bytes()[HEADER_BYTES:] == whole[HEADER_BYTES:]


@pytest.fixture
def loops(world: World) -> Iterator[None]:
    """Loop devices over files of this test are taken away after it, however it ends."""
    if os.geteuid() != 0 or shutil.which("losetup") is None or not Path("/dev/loop-control").exists():
        pytest.skip("loop devices need root, losetup and /dev/loop-control")
    yield
    for image in world.folder.glob("*.img"):
        listed = subprocess.run(
            ["losetup", "--noheadings", "--output", "NAME", "-j", image], capture_output=True, text=True
        )
        for node in listed.stdout.split():
            subprocess.run(["losetup", "--detach", node], check=True)


def test_partition_table_lost(world: World, loops: None) -> None:
    disk = world.image("whole.img", bytes(MIB) + volume() + bytes(MIB))
    before = sha(disk)
    talk = begin(world, disk)
    talk.choose("Search the whole device")
    talk.say("r: run it, b: back to the ways:", "r")
    talk.choose("Reach the volume")
    run_steps(talk, "-", "p")
    talk.say("q: leave:", "q")
    assert talk.end() == 0
    (node,) = re.findall(r"losetup .*(/dev/loop\d+) ", talk.text)[:1]
    assert Path(node).read_bytes() == disk.read_bytes()[MIB:]
    assert "The data can be read." in talk.text
    assert sha(disk) == before


def test_interrupted_restore(world: World, disk: Path) -> None:
    world.run("backup", disk)
    whole = disk.read_bytes()
    with disk.open("r+b") as file:
        file.write(bytes(64 << 10))
    (name,) = [backup["id"] for backup in world.run("list", "--json").json["backups"]]
    interrupt(world, disk, name)
    talk = begin(world, disk)
    talk.choose("Finish the write")
    run_steps(talk, "w", "p")
    assert talk.end() == 0
    assert disk.read_bytes() == whole


def interrupt(world: World, disk: Path, name: str) -> None:
    """Kill a restore at its second write to the device."""
    script = (
        "import os, signal, sys\n"
        "real, seen = os.pwrite, []\n"
        "def pwrite(fd, data, at):\n"
        "    if os.readlink(f'/proc/self/fd/{fd}') == os.path.realpath(sys.argv[1]):\n"
        "        seen.append(at)\n"
        "        if len(seen) == 2:\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return real(fd, data, at)\n"
        "os.pwrite = pwrite\n"
        "from luksafe.cli.main import main\n"
        "main(['--vault', sys.argv[2], 'restore', sys.argv[3], sys.argv[1], '--yes'])\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script, disk, world.vault, name], env=env, capture_output=True)
    assert done.returncode == -9, done.stderr


def test_left_and_resumed_refused_and_skipped(world: World, disk: Path) -> None:
    with disk.open("r+b") as file:
        file.write(bytes(4096))
    damaged = sha(disk)
    talk = begin(world, disk)
    talk.choose("Mend the header")
    talk.say("q: leave:", "r")
    talk.say("Type YES to go on: ", "no")
    talk.wait("it refused, for safety")
    talk.say("q: leave:", "s")
    talk.say("q: leave:", "q")
    assert talk.end() == 10
    assert "luksafe rescue" in talk.text
    assert sha(disk) == damaged
    again = Talk(world, disk)
    again.say("at step 2 of: Mend the header[^\r\n]*\r\nEnter goes on there, w shows all ways:", "w")
    again.choose("Mend the header")
    run_steps(again, "w", "p")
    assert again.end() == 0
    assert "You left a rescue" in again.text
    assert again.text.count("Enter makes the copy") == 0


def test_ways_as_json_and_what_is_no_conversation(world: World, disk: Path) -> None:
    before = sha(disk)
    assert world.run("rescue", disk, "--json").json["verdict"] == "healthy"
    with disk.open("r+b") as file:
        file.write(bytes(4096))
    ran = world.run("rescue", disk, "--json")
    assert ran.status == 10
    assert ran.json["ways"][0]["key"] == "repair"
    assert ran.json["ways"][0]["steps"][0]["command"] == ["luksafe", "repair", str(disk)]
    assert world.run("rescue", disk, "--yes").status == 2
    assert world.process("rescue", disk).status == 2
    assert world.run("rescue", world.folder / "nowhere").status == 15
    assert sha(disk) != before


WHOLE = '"format": 1, "device": "d", "target_key": "k", "begun": ""'
UNUSABLE = [
    *("", "{}", "[]", '{"format": 9}', '{"format": 1, "guesses": [{}]}'),
    f'{{{WHOLE}, "done": [{{}}]}}',
    f'{{{WHOLE}, "step": "first"}}',
]


@pytest.mark.parametrize("text", UNUSABLE)
def test_journal_of_something_else(world: World, disk: Path, text: str) -> None:
    with disk.open("r+b") as file:
        file.write(bytes(4096))
    folder = journal_folder(world.folder / "state" / "luksafe", describe(disk).target_key)
    folder.mkdir(parents=True)
    (folder / "journal.json").write_text(text)
    assert world.run("rescue", disk).status == 12
