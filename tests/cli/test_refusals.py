"""What must not be written over in silence, on loop devices with volumes that cryptsetup made: each danger alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import escrow_samples as samples
import pytest
from generators.headers import UUID as UUID_MADE
from generators.headers import VOLUME_KEY

TOOLS = os.environ["PATH"] + ":/usr/sbin:/sbin"
MISSING = [tool for tool in ("cryptsetup", "mkfs.ext4", "losetup") if shutil.which(tool, path=TOOLS) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
CHEAP = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")
UUID = "5d6a7f8e-0000-4000-8000-0123456789ab"
MEBIBYTE = 1 << 20


def tool(*command: object, check: bool = True) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PATH": TOOLS}
    return subprocess.run([*map(str, command)], check=check, capture_output=True, env=environment)


class Disk:
    """A loop device with a LUKS2 volume; its image is what the device holds."""

    def __init__(self, world, attach: Callable[..., str]) -> None:
        self.world, self.attach = world, attach
        self.image = world.folder / "disk.img"
        (world.folder / "second").write_bytes(b"second passphrase")
        self.format()
        self.device = attach(self.image)

    def format(self, *options: object, image: Path | None = None, size: int = 20 * MEBIBYTE) -> None:
        target = image or self.image
        with target.open("wb") as out:
            out.truncate(size)
        uuid = () if "--uuid" in options else ("--uuid", UUID)
        key = ("--key-file", self.world.key_file)
        tool("cryptsetup", "-q", "luksFormat", "--type", "luks2", *CHEAP, *uuid, *options, *key, target)

    def backup(self) -> str:
        made = self.world.run("backup", self.device, "--json")
        assert made.status == 0, made.err
        return made.json["backups"][0]["id"]

    def opens_with(self, key_file: Path) -> bool:
        return (
            tool("cryptsetup", "open", "--test-passphrase", "--key-file", key_file, self.device, check=False).returncode
            == 0
        )

    def bytes(self) -> bytes:
        return self.image.read_bytes()

    def is_refused(self, backup: object, dangers: dict[str, str], device: object = "") -> None:
        """Every danger is named, each flag alone is not enough, nothing is written; all flags together plan it."""
        target = device or self.device
        before = self.bytes()
        ran = self.world.run("restore", backup, target, "--yes", "--json")
        assert ran.status == 14, ran.err
        found = {d["code"]: d["flag"] for d in ran.json["plan"]["dangers"]}
        assert found == dangers
        texts = [d["text"] for d in ran.json["plan"]["dangers"]]
        assert len(set(texts)) == len(texts)
        assert all(text in ran.err for text in texts)
        for flag in found.values():
            assert flag in ran.err
            if len(found) > 1:
                assert self.world.run("restore", backup, target, "--yes", *flag.split()).status == 14
        assert self.world.run("restore", backup, target, "--yes", "--over", "minix").status == 14
        assert self.bytes() == before

    def is_accepted(self, backup: object, dangers: dict[str, str]) -> None:
        flags = [word for flag in dangers.values() for word in flag.split()]
        ran = self.world.run("restore", backup, self.device, "--yes", *flags)
        assert ran.status == 0, ran.err


@pytest.fixture
def disk(world, loop_device) -> Disk:
    return Disk(world, loop_device)


@pytest.fixture
def mounted() -> Iterator[Callable[..., Path]]:
    """Mounts read-only, so that unmounting writes nothing."""
    points: list[Path] = []

    def mount(device: str, point: Path) -> Path:
        point.mkdir()
        if tool("mount", "-o", "ro,noload", device, point, check=False).returncode:
            pytest.skip("mounting is not possible here")
        points.append(point)
        return point

    yield mount
    for point in reversed(points):
        tool("umount", point)


def test_over_an_ext4(disk):
    backup, good = disk.backup(), disk.bytes()
    tool("mkfs.ext4", "-q", "-F", "-E", "nodiscard", disk.device)
    dangers = {"foreign-signature": "--over ext4"}
    disk.is_refused(backup, dangers)
    disk.is_accepted(backup, dangers)
    assert disk.opens_with(disk.world.key_file)
    assert disk.bytes()[: 32 << 10] == good[: 32 << 10]
    assert disk.world.run("undo", disk.device, "--yes").status == 0
    assert tool("blkid", "-p", "-o", "value", "-s", "TYPE", disk.device).stdout.strip() == b"ext4"


def test_over_a_mounted_ext4(disk, mounted):
    backup = disk.backup()
    tool("mkfs.ext4", "-q", "-F", "-E", "nodiscard", disk.device)
    point = mounted(disk.device, disk.world.folder / "mnt")
    dangers = {"in-use": "--allow-in-use", "foreign-signature": "--over ext4"}
    disk.is_refused(backup, dangers)
    refused = disk.world.run("restore", backup, disk.device, "--yes")
    assert f"{disk.device} is mounted at {point} (ext4, read-only)" in refused.err
    disk.is_refused(backup, dangers, disk.image)  # the file beneath the loop device is as much in use
    before = disk.bytes()
    disk.is_accepted(backup, dangers)
    assert disk.opens_with(disk.world.key_file)
    undone = disk.world.run("undo", disk.device, "--yes", "--json")
    assert (undone.status, "add --allow-in-use" in undone.err) == (14, True)
    assert f"{disk.device} is mounted at {point}" in undone.err
    assert disk.world.run("undo", disk.device, "--yes", "--allow-in-use").status == 0
    assert disk.bytes() == before


def test_a_file_that_a_loop_device_shows(disk):
    backup = disk.backup()
    tool("cryptsetup", "config", "--label", "later", disk.device)
    disk.is_refused(backup, {"in-use": "--allow-in-use", "older": "--allow-older"}, disk.image)


def test_an_older_header_whose_revoked_passphrase_would_work_again(disk):
    second, key = disk.world.folder / "second", disk.world.key_file
    tool("cryptsetup", "-q", "luksAddKey", *CHEAP, "--key-file", key, disk.device, second)
    backup = disk.backup()
    tool("cryptsetup", "-q", "luksKillSlot", "--key-file", key, disk.device, "1")
    assert not disk.opens_with(second)
    dangers = {"older": "--allow-older"}
    disk.is_refused(backup, dangers)
    assert "revoked passphrases work again (keyslot 1)" in disk.world.run("restore", backup, disk.device, "--yes").err
    disk.is_accepted(backup, dangers)
    assert disk.opens_with(second)


def test_a_revoked_passphrase_of_luks1_which_counts_no_generations(world, loop_device):
    second, key, image = world.folder / "second", world.key_file, world.folder / "one.img"
    second.write_bytes(b"second passphrase")
    image.write_bytes(bytes(4 * MEBIBYTE))
    luks1 = ("--type", "luks1", "--pbkdf-force-iterations", "1000")
    tool("cryptsetup", "-q", "luksFormat", *luks1, "--key-file", key, image)
    tool("cryptsetup", "-q", "luksAddKey", "--pbkdf-force-iterations", "1000", "--key-file", key, image, second)
    device = loop_device(image)
    backup = world.run("backup", device, "--json").json["backups"][0]["id"]
    tool("cryptsetup", "-q", "luksKillSlot", "--key-file", key, device, "1")
    before = image.read_bytes()
    refused = world.run("restore", backup, device, "--yes", "--json")
    dangers = refused.json["plan"]["dangers"]
    assert (refused.status, [(d["code"], d["flag"]) for d in dangers]) == (14, [("keyslots-return", "--allow-older")])
    assert "revoked passphrases work again (keyslot 1)" in refused.err
    assert image.read_bytes() == before
    assert world.run("restore", backup, device, "--yes", "--allow-older").status == 0
    tool("cryptsetup", "open", "--test-passphrase", "--key-file", second, device)


def test_a_keyslot_that_only_the_device_has(disk):
    backup = disk.backup()
    tool(
        "cryptsetup",
        "-q",
        "luksAddKey",
        *CHEAP,
        "--key-file",
        disk.world.key_file,
        disk.device,
        disk.world.folder / "second",
    )
    dangers = {"older": "--allow-older", "keyslots-vanish": "--allow-lost-keyslots"}
    disk.is_refused(backup, dangers)
    disk.is_accepted(backup, dangers)
    assert not disk.opens_with(disk.world.folder / "second")


def test_another_volume_key(disk):
    other = disk.world.folder / "other.img"
    disk.format(image=other)
    dangers = {"other-key": "--allow-other-key", "unknown-device": "--allow-unknown-device"}
    disk.is_refused(other, dangers)
    disk.is_accepted(other, dangers)


def test_another_volume(disk):
    other = disk.world.folder / "other.img"
    disk.format("--uuid", "00000000-0000-4000-8000-000000000001", "--sector-size", "512", image=other)
    dangers = {
        "other-uuid": "--allow-other-uuid",
        "other-key": "--allow-other-key",
        "other-sector-size": "--allow-other-sector-size",
        "unknown-device": "--allow-unknown-device",
    }
    disk.is_refused(other, dangers)
    disk.is_accepted(other, dangers)


def test_another_sector_size_of_the_same_key(disk):
    key_file, volume_key = disk.world.key_file, disk.world.folder / "volume.key"
    volume_key.write_bytes(bytes(range(64)))
    for sector_size, name in (("512", "small.img"), ("4096", "large.img")):
        options = ("--volume-key-file", volume_key, "--key-size", "512", "--sector-size", sector_size)
        disk.format(*options, image=disk.world.folder / name)
    device = disk.attach(disk.world.folder / "small.img")
    ran = disk.world.run("restore", disk.world.folder / "large.img", device, "--yes", "--json")
    found = {d["code"]: d["flag"] for d in ran.json["plan"]["dangers"]}
    assert ran.status == 14
    assert found["other-sector-size"] == "--allow-other-sector-size"
    assert "512 to 4096" in ran.err or ("512" in ran.err and "4096" in ran.err)
    assert disk.world.run("restore", disk.world.folder / "large.img", device, "--yes", *found.values()).status == 0
    assert tool("cryptsetup", "open", "--test-passphrase", "--key-file", key_file, device).returncode == 0


def test_a_smaller_device(disk):
    backup = disk.backup()
    small = disk.world.folder / "small.img"
    small.write_bytes(disk.bytes()[: 18 * MEBIBYTE])
    device, before = disk.attach(small), small.read_bytes()
    refused = disk.world.run("restore", backup, device, "--yes", "--json")
    assert [(d["code"], d["flag"]) for d in refused.json["plan"]["dangers"]] == [("smaller-device", "--allow-smaller")]
    assert f"{18 * MEBIBYTE} bytes, the one backed up had {20 * MEBIBYTE}" in refused.err
    assert small.read_bytes() == before
    assert disk.world.run("restore", backup, device, "--yes", "--allow-smaller").status == 0


def test_a_device_that_the_header_does_not_fit_on(disk):
    backup = disk.backup()
    tiny = disk.world.folder / "tiny.img"
    tiny.write_bytes(bytes(16 << 10))
    ran = disk.world.run("restore", backup, disk.attach(tiny), "--yes", "--allow-smaller", "--json")
    assert (ran.status, ran.json["error"]["code"]) == (14, "too-small")
    assert "has 16384 bytes; the header and its keyslots take 290816" in ran.err
    assert tiny.read_bytes() == bytes(16 << 10)


def test_a_device_in_reencryption(world, corpus, loop_device):
    image = world.image(data=corpus.data("re-checksum-stopped"))
    device, before = loop_device(image), image.read_bytes()
    backup = world.run("backup", device, "--json").json["backups"][0]["id"]
    refused = world.run("restore", backup, device, "--yes", "--json")
    assert refused.status == 14
    dangers = refused.json["plan"]["dangers"]
    assert [(d["code"], d["flag"]) for d in dangers] == [("in-reencryption", "--allow-reencryption")]
    assert "the device is in reencryption" in refused.err
    assert image.read_bytes() == before
    assert world.run("restore", backup, device, "--yes", "--allow-reencryption").status == 0
    assert image.read_bytes() == before


def test_a_backup_with_a_destroyed_keyslot(world, corpus, loop_device):
    image = world.image(data=corpus.data("dmg-base-a"))
    bad = world.image("bad.img", corpus.data("dmg-a-keyslot1-zero-sector"))
    device, before = loop_device(image), image.read_bytes()
    refused = world.run("restore", bad, device, "--yes", "--json")
    dangers = refused.json["plan"]["dangers"]
    assert [(d["code"], d["flag"]) for d in dangers] == [("destroyed-keyslot", "--allow-damaged-backup")]
    assert "the key material of keyslot 1 of the backup is destroyed" in refused.err
    assert image.read_bytes() == before
    assert world.run("restore", bad, device, "--yes", "--allow-damaged-backup").status == 0
    assert image.read_bytes()[:65536] == bad.read_bytes()[:65536]


@pytest.mark.parametrize("stdin", [b"", b"y\n", b"YES\n" * 3], ids=["/dev/null", "echo y |", "yes YES |"])
@pytest.mark.parametrize("verb", ["restore", "undo"])
def test_without_a_terminal_nothing_is_assumed_to_be_yes(world, verb, stdin):
    disk = world.image()
    backup = world.run("backup", disk, "--json").json["backups"][0]["id"]
    damaged = bytes(4096) + disk.read_bytes()[4096:]
    disk.write_bytes(damaged)  # else a restore has nothing to write, and asks nothing
    if verb == "undo":
        assert world.run("restore", backup, disk, "--yes").status == 0
        disk.write_bytes(bytes(8192) + disk.read_bytes()[8192:])
    before = disk.read_bytes()
    command = {"restore": ("restore", backup, disk), "undo": ("undo", disk, "--allow-changed")}[verb]
    ran = world.process(*command, stdin=stdin)
    assert (ran.status, "there is no terminal; nothing was written" in ran.err) == (2, True)
    assert disk.read_bytes() == before


def test_a_restore_of_what_is_there_already_asks_nothing_as_it_writes_nothing(world):
    disk = world.image()
    backup = world.run("backup", disk, "--json").json["backups"][0]["id"]
    before = disk.stat().st_mtime_ns
    ran = world.process("restore", backup, disk, stdin=b"")
    assert (ran.status, "nothing to write" in ran.out) == (0, True)
    assert (disk.stat().st_mtime_ns, world.run("undo", disk, "--yes").status) == (before, 15)


@pytest.mark.parametrize("verb", ["repair", "rebuild", "save", "revoke", "rotate"])
def test_without_a_terminal_every_other_verb_that_writes_waits_for_a_yes_as_well(world, verb):
    disk, recipient = world.image(), str(samples.age_identity().to_public())
    identity, volume_key = world.folder / "identity", world.folder / "volume.key"
    identity.write_text(f"{samples.age_identity()}\n")
    volume_key.write_bytes(VOLUME_KEY)
    enrol = ("escrow", "save", disk, "--key-file", world.key_file, "--recipient", recipient, "--recovery-key")
    assert world.run("backup", disk).status == 0
    packet = world.run(*enrol, "--yes", "--json").json["packets"][0]["id"] if verb in ("revoke", "rotate") else ""
    lost = {"repair": 4096, "rebuild": 65536}.get(verb, 0)
    disk.write_bytes(bytes(lost) + disk.read_bytes()[lost:])
    stated = ("--uuid", UUID_MADE, "--allow-noise", "--allow-unknown-device") if verb == "rebuild" else ()
    command = {
        "repair": ("repair", disk),
        "rebuild": ("rebuild", disk, "--volume-key-file", volume_key, "--new-key-file", world.key_file),
        "save": enrol,
        "revoke": ("escrow", "revoke", packet, disk),
        "rotate": ("escrow", "rotate", packet, disk, "--identity", identity, "--recipient", recipient),
    }[verb]
    before = disk.read_bytes()
    ran = world.process(*command, *stated, stdin=b"YES\n" * 9)
    assert (ran.status, "there is no terminal; nothing was written" in ran.err) == (2, True), ran.err
    assert "repeat the command with --yes" in ran.err
    assert disk.read_bytes() == before


@pytest.mark.parametrize(("answer", "status"), [("y", 14), ("yes", 14), ("", 14), ("YES", 0)])
def test_on_a_terminal_only_the_whole_word_is_a_yes(world, answer, status):
    pexpect = pytest.importorskip("pexpect")
    disk = world.image()
    backup = world.run("backup", disk, "--json").json["backups"][0]["id"]
    good = disk.read_bytes()
    bad = bytes(4096) + good[4096:]
    disk.write_bytes(bad)
    command = ["-m", "luksafe", "--vault", str(world.vault), "restore", backup, str(disk)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    # standard input says YES as well: it is not asked
    shell = f'echo YES | exec "{sys.executable}" "$@"'
    child = pexpect.spawn("/bin/sh", ["-c", shell, "sh", *command], env=environment, timeout=60)
    child.expect("Enter skips")
    child.sendline("")
    child.expect("Type YES to go on: ")
    child.sendline(answer)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == status
    assert disk.read_bytes() == (good if status == 0 else bad)
