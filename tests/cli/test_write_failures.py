"""The write path when the disk or the places for undo do not do as they should."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from generators.headers import UUID, luks2_image

from luksafe.device.exclusive import WritableDevice
from luksafe.device.source import DeviceReader
from luksafe.device.uncached import UncachedBytes
from luksafe.errors import DamagedInput
from luksafe.luks.inspection import inspect
from luksafe.ops.write.phases import header_phases
from luksafe.reader import BytesReader

DATA = bytes(range(256)) * 4096


@pytest.fixture
def wrecked(world):
    """A volume whose header was zeroed after its backup."""
    disk = world.image(data=luks2_image() + DATA)
    assert world.run("backup", disk).status == 0
    disk.write_bytes(bytes(len(luks2_image())) + DATA)
    return disk


def test_a_disk_that_gives_back_other_bytes_than_were_written(world, wrecked, monkeypatch):
    real = WritableDevice.read_uncached

    def forgetful(device: WritableDevice, offset: int, length: int) -> UncachedBytes:
        seen = real(device, offset, length)
        return replace(seen, data=bytes([seen.data[0] ^ 1]) + seen.data[1:])

    monkeypatch.setattr(WritableDevice, "read_uncached", forgetful)
    ran = world.run("restore", UUID, wrecked, "--yes", "--json")
    assert (ran.status, ran.json["error"]["code"]) == (1, "write-failed")
    assert "reads back differently: the disk may be failing" in ran.err
    monkeypatch.setattr(WritableDevice, "read_uncached", real)
    assert world.run("undo", wrecked, "--yes").status == 0
    assert wrecked.read_bytes() == bytes(len(luks2_image())) + DATA


def test_a_write_that_takes_nothing_is_a_failure(world, wrecked, monkeypatch):
    real = os.pwrite

    def full(fd: int, data: bytes, offset: int) -> int:
        return 0 if os.readlink(f"/proc/self/fd/{fd}") == str(wrecked) else real(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", full)
    ran = world.run("restore", UUID, wrecked, "--yes")
    assert (ran.status, "nothing more was written at byte" in ran.err) == (1, True)


def test_a_place_that_cannot_be_read_before_counts_as_zeros(world, wrecked, monkeypatch):
    """A bad sector under the header is no reason not to write there: that may be what mends it."""
    real = DeviceReader.read_at

    def bad(reader: DeviceReader, offset: int, length: int) -> bytes:
        if reader.path == str(wrecked) and offset < 4096 and isinstance(reader, WritableDevice):
            raise OSError(5, "Input/output error")
        return real(reader, offset, length)

    monkeypatch.setattr(DeviceReader, "read_at", bad)
    assert world.run("restore", UUID, wrecked, "--yes").status == 0
    monkeypatch.undo()
    assert wrecked.read_bytes() == luks2_image() + DATA


def test_beside_a_bad_sector_undo_gives_back_every_byte(world, wrecked, monkeypatch):
    """Only the block that could not be read counts as zeros, when the plan is made and when undo looks again."""
    real = DeviceReader.read_at
    raw = bytes([0xA5]) * 12288 + wrecked.read_bytes()[12288:]
    wrecked.write_bytes(raw)

    def bad(reader: DeviceReader, offset: int, length: int) -> bytes:
        if reader.path == str(wrecked) and offset < 8192 < offset + length + 4096:
            raise OSError(5, "Input/output error")
        return real(reader, offset, length)

    monkeypatch.setattr(DeviceReader, "read_at", bad)
    ran = world.run("restore", UUID, wrecked, "--yes", "--json")
    assert (ran.status, ran.json["findings"] != []) == (3, True)
    assert world.run("undo", wrecked, "--dry-run", "--json").status == 0
    monkeypatch.undo()
    assert wrecked.read_bytes() == luks2_image() + DATA
    assert world.run("undo", wrecked, "--yes").status == 0
    assert wrecked.read_bytes() == raw[:4096] + bytes(4096) + raw[8192:]


def test_an_interrupted_undo_is_done_by_undoing_again(world, wrecked, monkeypatch):
    before = wrecked.read_bytes()
    assert world.run("restore", UUID, wrecked, "--yes").status == 0
    real = os.pwrite

    def killed(fd: int, data: bytes, offset: int) -> int:
        if os.readlink(f"/proc/self/fd/{fd}") == str(wrecked):
            raise KeyboardInterrupt
        return real(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", killed)
    assert world.run("undo", wrecked, "--yes").status == 130
    monkeypatch.setattr(os, "pwrite", real)
    assert "interrupted-write" in world.run("check", wrecked, "--json").out
    assert world.run("undo", wrecked, "--yes").status == 0
    assert wrecked.read_bytes() == before
    states = [entry["state"] for entry in world.run("undo", wrecked, "--list", "--json").json["entries"]]
    assert states == ["done", "dropped", "undone"]
    assert "interrupted-write" not in world.run("check", wrecked, "--json").out


def test_without_a_second_place_for_undo_nothing_is_written(world, wrecked, monkeypatch):
    (world.folder / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(world.folder / "file" / "below"))
    before = wrecked.read_bytes()
    ran = world.run("restore", UUID, wrecked, "--yes", "--json")
    assert (ran.status, ran.json["error"]["code"]) == (14, "no-undo-place")
    assert "in one place only" in ran.err
    assert wrecked.read_bytes() == before
    assert world.run("undo", wrecked, "--list").out == ""
    world.stores(1)
    assert world.run("restore", UUID, wrecked, "--yes").status == 0


def test_where_every_place_lies_on_the_device_itself_nothing_is_written(world, wrecked, monkeypatch):
    from luksafe.ops.write import saving

    before = wrecked.read_bytes()
    monkeypatch.setattr(saving, "is_stored_on", lambda folder, target: True)
    ran = world.run("restore", UUID, wrecked, "--yes")
    assert (ran.status, "lie on the device itself" in ran.err) == (14, True)
    assert wrecked.read_bytes() == before


def undo_images(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and "undo" in p.parts and p.suffix == ".bin")


def test_a_damaged_undo_entry_is_read_from_the_other_place(world, wrecked):
    before = wrecked.read_bytes()
    assert world.run("restore", UUID, wrecked, "--yes").status == 0
    assert undo_images(world.vault)
    for file in undo_images(world.vault):
        os.truncate(file, 10)
    assert world.run("undo", wrecked, "--yes").status == 0
    assert wrecked.read_bytes() == before


def test_with_no_whole_undo_entry_nothing_is_written(world, wrecked):
    assert world.run("restore", UUID, wrecked, "--yes").status == 0
    after = wrecked.read_bytes()
    for file in undo_images(world.folder):
        os.truncate(file, 10)
    ran = world.run("undo", wrecked, "--yes", "--json")
    assert (ran.status, ran.json["error"]["code"]) == (1, "store")
    assert "no whole copy of undo entry" in ran.err
    assert wrecked.read_bytes() == after


def test_undo_knows_how_far_a_write_had_come(world, wrecked):
    """Each state of the device that a cut can leave is told apart, and one that no cut leaves needs a flag."""
    old = wrecked.read_bytes()
    assert world.run("restore", UUID, wrecked, "--yes").status == 0
    new = wrecked.read_bytes()

    def progress() -> tuple[str, int]:
        ran = world.run("undo", wrecked, "--dry-run", "--json")
        return ran.json["progress"], ran.status

    assert progress() == ("new", 0)
    wrecked.write_bytes(new[:20000] + old[20000:])
    assert progress() == ("between", 0)
    wrecked.write_bytes(old)
    assert progress() == ("old", 0)
    wrecked.write_bytes(b"x" * 600 + new[600:])
    assert progress() == ("changed", 14)


def test_undo_where_nothing_is_left_to_do_writes_nothing(world, wrecked):
    old = wrecked.read_bytes()
    assert world.run("restore", UUID, wrecked, "--yes").status == 0
    wrecked.write_bytes(old)
    ran = world.run("undo", wrecked, "--yes")
    assert (ran.status, "nothing to write" in ran.out) == (0, True)
    assert world.run("undo", wrecked, "--yes").status == 15


def test_undo_of_an_entry_that_is_not_there(world, wrecked):
    world.run("restore", UUID, wrecked, "--yes")
    ran = world.run("undo", wrecked, "--entry", "nosuch", "--yes", "--json")
    assert (ran.status, ran.json["error"]["code"]) == (15, "no-such-entry")
    assert "luksafe undo --list" in ran.err


def test_a_moved_image_is_another_device(world, wrecked):
    world.run("restore", UUID, wrecked, "--yes")
    copy = world.folder / "copy.img"
    shutil.copy(wrecked, copy)
    assert world.run("undo", copy, "--yes").status == 15


def test_no_plan_reaches_beyond_the_end_of_its_target():
    header = inspect(BytesReader(luks2_image())).require_header()
    with pytest.raises(DamagedInput, match="the target ends at byte 300000"):
        list(header_phases(luks2_image(), [(0, 300_001)], BytesReader(bytes(300_000)), header))


def test_phases_write_no_byte_twice_and_none_that_was_not_kept():
    header = inspect(BytesReader(luks2_image())).require_header()
    image = luks2_image()
    for kept in ([(0, 300_000)], [(0, 16384), (16384, 32768), (40000, 50000)], [(0, 32768)], [(8192, 40000)]):
        phases = list(header_phases(image, kept, BytesReader(bytes(len(image))), header))
        written = sorted((write.offset, write.end) for phase in phases for write in phase.writes)
        assert all(a[1] <= b[0] for a, b in pairwise(written))
        assert phases[-1].name == "primary header"
        assert [phase.name for phase in phases][-2:] == ["secondary header", "primary header"]
        for start, end in written:
            is_copy = (start, end) in ((0, 16384), (16384, 32768))
            assert is_copy or any(s <= start and end <= e for s, e in kept)


@pytest.mark.parametrize("lost", ["reader", "room"])
def test_messages_that_cannot_be_written_stop_no_write_half_way(world, wrecked, lost):
    reader, writer = os.pipe() if lost == "reader" else (os.open(os.devnull, os.O_RDONLY), os.open("/dev/full", 1))
    os.close(reader)
    command = [sys.executable, "-m", "luksafe", "--vault", world.vault, "restore", UUID, wrecked, "--yes", "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=writer)
    os.close(writer)
    assert (done.returncode, b'"done": true' in done.stdout) == (0, True)
    assert wrecked.read_bytes() == luks2_image() + DATA
    assert [e["state"] for e in world.run("undo", wrecked, "--list", "--json").json["entries"]] == ["done"]
