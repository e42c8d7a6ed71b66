"""Which write an undo is about: what the device holds decides, not numbers; and no end is dead."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from generators.headers import UUID, luks1_image, luks2_image, with_binary

from luksafe.device.exclusive import WritableDevice
from luksafe.luks.luks2.same_copy import is_same_copy
from luksafe.ops.write import apply as write_module

DATA = bytes(range(256)) * 4096
HEADER_BYTES = 16384


def entries(world, disk: Path) -> list[dict[str, object]]:
    return world.run("undo", disk, "--list", "--json").json["entries"]


def zeroed(disk: Path) -> bytes:
    """The header lost; what is there then."""
    raw = disk.read_bytes()
    disk.write_bytes(bytes(HEADER_BYTES * 2) + raw[HEADER_BYTES * 2 :])
    return disk.read_bytes()


def restored(world, disk: Path) -> str:
    ran = world.run("restore", UUID, disk, "--yes", "--json")
    assert ran.status == 0, ran.err
    return ran.json["undo"]


def move_home(world, name: str) -> None:
    """What a reinstall does: the home and the state folder are gone, and new ones begin."""
    away = world.folder / name
    away.mkdir()
    for path in (world.vault, world.folder / "state"):
        if path.exists():
            path.rename(away / path.name)


def merge_undo(source: Path, home: Path) -> None:
    """What the stick brings along: the entries of the time before."""
    shutil.copytree(source / "undo", home / "undo", dirs_exist_ok=True)


@pytest.fixture
def disk(world) -> Path:
    path = world.image(data=luks2_image() + DATA)
    assert world.run("backup", path).status == 0
    return path


def test_after_a_reinstall_an_old_stick_decides_nothing(world, disk):
    """The old vault has three writes, the new one has one: plain undo takes back what is on the device."""
    good = disk.read_bytes()
    zeroed(disk)
    for _ in range(3):
        restored(world, disk)
        assert world.run("undo", disk, "--yes").status == 0
    last = restored(world, disk)
    assert disk.read_bytes() == good
    move_home(world, "before")
    other = with_binary(luks2_image(), label="new") + DATA
    disk.write_bytes(other)
    assert world.run("backup", disk).status == 0
    between = zeroed(disk)
    current = restored(world, disk)
    assert disk.read_bytes() == other
    assert int(current[:6]) < int(last[:6])
    merge_undo(world.folder / "before" / "vault", world.vault)
    planned = world.run("undo", disk, "--dry-run", "--json")
    assert (planned.status, planned.json["entry"]) == (0, current)
    assert world.run("undo", disk, "--yes").status == 0
    assert disk.read_bytes() == between


def test_two_writes_that_fit_are_both_shown_and_none_is_chosen(world, disk):
    """The same header restored before and after the reinstall: both are on the device, and nothing relates them."""
    zeroed(disk)
    first = restored(world, disk)
    move_home(world, "before")
    assert world.run("backup", disk).status == 0
    lost = zeroed(disk)
    second = restored(world, disk)
    now = disk.read_bytes()
    merge_undo(world.folder / "before" / "vault", world.vault)
    refused = world.run("undo", disk, "--yes", "--json")
    assert (refused.status, refused.json["error"]["code"]) == (14, "several-undo-entries")
    assert {entry["id"] for entry in refused.json["entries"]} == {first, second}
    assert disk.read_bytes() == now
    command = f"luksafe undo --entry {second} {disk}"
    assert command in refused.err
    assert world.run(*command.split()[1:], "--yes").status == 0
    assert disk.read_bytes() == lost


def test_a_later_write_is_told_by_what_it_follows_not_by_its_number(world, disk):
    """An entry says what it follows: the later of two that are both on the device is undone first, then the earlier."""
    states = [zeroed(disk)]
    first = restored(world, disk)
    states.append(disk.read_bytes())
    disk.write_bytes(with_binary(luks2_image(), label="x") + DATA)
    world.run("backup", disk)
    disk.write_bytes(states[1])
    second = world.run("restore", UUID, disk, "--yes", "--allow-older", "--json")
    assert second.status == 0, second.err
    listed = {entry["id"]: entry["follows"] for entry in entries(world, disk)}
    assert listed[second.json["undo"]] == [first]
    for wanted in reversed(states):
        assert world.run("undo", disk, "--yes").status == 0
        assert disk.read_bytes() == wanted
    assert world.run("undo", disk, "--yes").status == 15


def test_a_number_is_new_in_every_place(world, disk, monkeypatch):
    """The vault is a new one, the state folder is not: the number is greater than all in both."""
    zeroed(disk)
    numbers = [int(restored(world, disk)[:6])]
    assert world.run("undo", disk, "--yes").status == 0
    shutil.rmtree(world.vault / "undo")
    numbers.append(int(restored(world, disk)[:6]))
    assert numbers[1] > numbers[0] + 1


def test_a_number_at_its_end_stops_no_write(world, disk):
    zeroed(disk)
    entry = restored(world, disk)
    top = world.vault / "undo"
    (top / entry).rename(top / f"999999-{entry[7:]}")
    assert world.run("undo", disk, "--entry", entry, "--yes").status == 0
    assert restored(world, disk).startswith("999999-")


def test_a_restore_that_changes_nothing_makes_no_entry(world, disk):
    before = disk.read_bytes()
    ran = world.run("restore", UUID, disk, "--yes", "--json")
    assert (ran.status, ran.json["done"], ran.json["undo"], ran.json["bytes"]) == (0, True, None, 0)
    assert entries(world, disk) == []
    assert disk.read_bytes() == before
    assert "nothing to write" in world.run("restore", UUID, disk, "--yes").out


# a device that becomes smaller

SHRUNK = 40_000
"""Between the header copies and the end of the key material."""


@pytest.fixture(params=["luks1", "luks2"])
def lost(request, world) -> Path:
    """A volume whose header and key material are overwritten, and its backup."""
    image = luks1_image() if request.param == "luks1" else luks2_image()
    path = world.image(data=image + DATA)
    assert world.run("backup", path).status == 0
    path.write_bytes(b"\xa5" * len(image) + DATA)
    return path


def options(world, disk: Path) -> list[str]:
    plan = world.run("restore", UUID, disk, "--dry-run", "--json").json["plan"]
    return [word for danger in plan["dangers"] for word in danger["flag"].split()]


def shrinks_at(monkeypatch: pytest.MonkeyPatch, disk: Path, number: int) -> Callable[[], None]:
    """The file is cut before the ``number``-th write to it; calling the result ends that."""
    real, counter = WritableDevice.write_at, iter(range(1, 10**6))

    def write_at(device: WritableDevice, offset: int, data: bytes) -> None:
        if next(counter) == number:
            os.truncate(disk, SHRUNK)
        real(device, offset, data)

    monkeypatch.setattr(WritableDevice, "write_at", write_at)
    return lambda: monkeypatch.setattr(WritableDevice, "write_at", real)


def test_a_device_that_shrinks_before_the_first_byte_leaves_nothing_pending(world, lost):
    flags = options(world, lost)
    before = lost.read_bytes()
    real = write_module.save_everywhere

    def cut(*arguments, **named):
        saved = real(*arguments, **named)
        os.truncate(lost, SHRUNK)
        return saved

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write_module, "save_everywhere", cut)
        ran = world.run("restore", UUID, lost, *flags, "--yes", "--json")
    assert (ran.status, f"ends at byte {SHRUNK}" in ran.err) == (14, True)
    assert lost.read_bytes() == before[:SHRUNK]
    assert [entry["state"] for entry in entries(world, lost)] == ["undone"]
    assert "interrupted-write" not in world.run("check", lost, "--json").out


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_device_that_shrinks_during_the_write_says_what_was_written_and_how_to_go_back(
    world, lost, monkeypatch, number
):
    flags = options(world, lost)
    before = lost.read_bytes()
    stop = shrinks_at(monkeypatch, lost, number)
    ran = world.run("restore", UUID, lost, *flags, "--yes", "--json")
    stop()
    if ran.status == 14:  # before the first byte
        assert number == 1
        assert lost.read_bytes() == before[:SHRUNK]
        return
    if ran.status == 0:
        assert number == 3 and luks1_image()[:8] == world.folder.joinpath(lost.name).read_bytes()[:8]
        return
    assert ran.json["error"]["code"] == "write-failed"
    assert "nothing was written" not in ran.err
    assert "ritten" in ran.err and "saved in" in ran.err
    undo = f"luksafe undo --allow-smaller {lost}"
    assert undo in ran.err
    # no verb ends in a circle: restore names the three ways on, and each of them runs
    refused = world.run("restore", UUID, lost, *flags, "--yes", "--json")
    assert refused.status == 14
    finish = world.run("undo", "--finish", lost, "--yes", "--json")
    assert (finish.status, finish.json["error"]["code"]) == (14, "out-of-reach")
    assert "--drop" in finish.err
    assert world.run("undo", lost, "--yes").status == 14
    assert world.run(*undo.split()[1:], "--yes").status == 0
    assert lost.read_bytes() == before[:SHRUNK]
    assert "interrupted-write" not in world.run("check", lost, "--json").out


def test_a_write_that_can_neither_be_finished_nor_undone_can_be_dropped(world, lost, monkeypatch):
    """Its contents are gone from every place: the command named sets it aside, and the device can be written again."""
    flags = options(world, lost)
    before = lost.read_bytes()
    real = os.pwrite

    def cut(fd: int, data: bytes, offset: int) -> int:
        if os.readlink(f"/proc/self/fd/{fd}") == str(lost):
            real(fd, data[:5000], offset)
            raise OSError(5, "Input/output error")
        return real(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", cut)
    assert world.run("restore", UUID, lost, *flags, "--yes").status == 1
    monkeypatch.setattr(os, "pwrite", real)
    assert lost.read_bytes() != before
    for file in world.folder.rglob("undo/*/*.bin"):
        os.truncate(file, 3)
    ran = world.run("undo", lost, "--yes")
    assert ran.status == 1
    entry = entries(world, lost)[0]["id"]
    drop = f"luksafe undo --drop --entry {entry} {lost}"
    assert drop in ran.err
    now = lost.read_bytes()
    assert drop.replace("--drop --entry", "--drop --entry") in world.run("restore", UUID, lost, "--yes").err
    assert world.run(*drop.split()[1:]).status == 0
    assert lost.read_bytes() == now
    assert world.run("restore", UUID, lost, *options(world, lost), "--yes").status == 0


def test_an_interrupt_in_the_middle_says_what_was_written(world, lost, monkeypatch):
    flags = options(world, lost)
    before = lost.read_bytes()
    real, counter = WritableDevice.write_at, iter(range(1, 100))

    def write_at(device: WritableDevice, offset: int, data: bytes) -> None:
        if next(counter) == 2:
            raise KeyboardInterrupt
        real(device, offset, data)

    monkeypatch.setattr(WritableDevice, "write_at", write_at)
    ran = world.run("restore", UUID, lost, *flags, "--yes")
    monkeypatch.setattr(WritableDevice, "write_at", real)
    assert ran.status == 130
    assert "ritten" in ran.err and f"luksafe undo {lost}" in ran.err
    assert world.run("undo", lost, "--yes").status == 0
    assert lost.read_bytes() == before


# cryptsetup mends a header copy in between

needs_cryptsetup = pytest.mark.skipif(shutil.which("cryptsetup") is None, reason="cryptsetup is not installed")


@pytest.fixture
def real_volume(world) -> Path:
    path = world.folder / "real.img"
    with path.open("wb") as out:
        out.truncate(18 << 20)
    cheap = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--uuid", UUID)
    subprocess.run(["cryptsetup", "luksFormat", "-q", "--type", "luks2", *cheap, path, "-"], input=b"x", check=True)
    assert world.run("backup", path).status == 0
    return path


@needs_cryptsetup
@pytest.mark.parametrize("lost_copy", ["primary", "both", "secondary"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_restore_cut_off_and_then_mended_by_cryptsetup_can_be_undone_and_finished(
    world, real_volume, monkeypatch, lost_copy, number
):
    """At the next boot the first look of cryptsetup writes the other copy anew, with a salt of its own."""
    good = real_volume.read_bytes()
    damaged = bytearray(good)
    if lost_copy in ("primary", "both"):
        damaged[:4096] = bytes(4096)
    if lost_copy in ("secondary", "both"):
        damaged[HEADER_BYTES : HEADER_BYTES + 4096] = bytes(4096)
    real_volume.write_bytes(bytes(damaged))
    real, counter = WritableDevice.write_at, iter(range(1, 100))

    def write_at(device: WritableDevice, offset: int, data: bytes) -> None:
        if next(counter) > number:
            raise KeyboardInterrupt
        real(device, offset, data)

    monkeypatch.setattr(WritableDevice, "write_at", write_at)
    ran = world.run("restore", UUID, real_volume, *options(world, real_volume), "--yes")
    monkeypatch.setattr(WritableDevice, "write_at", real)
    assert ran.status in (0, 130)
    subprocess.run(["cryptsetup", "luksDump", real_volume], capture_output=True)
    left = real_volume.read_bytes()
    undone = world.run("undo", real_volume, "--yes")
    assert undone.status == 0, undone.err
    assert real_volume.read_bytes() == bytes(damaged)
    real_volume.write_bytes(left)
    entry = entries(world, real_volume)[-1]["id"]
    finished = world.run("undo", "--finish", "--entry", entry, real_volume, "--yes")
    assert finished.status == 0, finished.err
    assert real_volume.read_bytes() == good


def test_copies_are_the_same_but_for_salt_checksum_and_place():
    area = luks2_image()[:HEADER_BYTES]
    secondary = luks2_image()[HEADER_BYTES : 2 * HEADER_BYTES]
    assert is_same_copy(area, secondary)
    assert is_same_copy(with_binary(luks2_image(), salt=bytes(64))[:HEADER_BYTES], secondary)
    assert not is_same_copy(with_binary(luks2_image(), label="other")[:HEADER_BYTES], secondary)
    assert not is_same_copy(with_binary(luks2_image(), seqid=99)[:HEADER_BYTES], secondary)
    broken = bytearray(area)
    broken[5000] ^= 1
    assert not is_same_copy(bytes(broken), secondary)
    assert not is_same_copy(b"", secondary)
    assert not is_same_copy(area[:100], secondary)
