"""What a backup says and does when not everything is as it should be."""

from __future__ import annotations

import os
import shutil

from generators.headers import UUID, luks2_image, with_binary
from mapping_samples import mapping

from luksafe.device.source import DeviceReader
from luksafe.ops import mapping_header, moment

DATA = bytes(range(256)) * 4096


def test_several_devices_of_which_one_cannot_be_read(world):
    one = world.image("one.img", luks2_image() + DATA)
    ran = world.run("backup", one, world.image("blank.img", bytes(1 << 20)), "no-such-device", "--json")
    assert ran.status == 3
    assert [backup["uuid"] for backup in ran.json["backups"]] == [UUID]
    assert "blank.img" in ran.err
    assert "no-such-device" in ran.err


def test_when_none_can_be_backed_up_the_status_is_that_of_the_first(world):
    assert world.run("backup", "no-such-device", world.image("blank.img", bytes(1 << 20))).status == 15


def test_a_backup_in_the_vault_is_no_device(world):
    world.run("backup", world.image())
    ran = world.run("backup", UUID, "--json")
    assert (ran.status, ran.json["error"]["code"]) == (2, "usage")


def test_full_keeps_unused_space_too(world):
    raw = bytearray(luks2_image() + DATA)
    raw[900_000:900_004] = b"left"
    disk = world.image(data=bytes(raw))
    compact = world.run("backup", disk, "--json").json["backups"][0]
    full = world.run("backup", disk, "--full", "--json").json["backups"][0]
    assert compact["whole"] == ""
    assert compact["kept"][-1][1] < 900_000
    assert full["kept"] == [[0, 1 << 20]]
    assert full["id"] != compact["id"]


def test_a_damaged_header_is_kept_whole_and_that_is_a_warning(world):
    raw = bytearray(luks2_image() + DATA)
    raw[5000] ^= 1
    raw[16384 + 5000] ^= 1
    disk = world.image(data=bytes(raw))
    ran = world.run("backup", disk)
    assert ran.status == 3
    assert "whole   all" in ran.out


def test_a_store_that_is_away_gets_it_later(world):
    store, _ = world.stores()
    shutil.move(store, world.folder / "drawer")
    ran = world.run("backup", world.image())
    assert "will get it with 'luksafe sync'" in ran.out
    shutil.move(world.folder / "drawer", store)
    assert world.run("sync").status == 0
    assert len(list(store.glob("*/*.hdr.gz"))) == 1


def test_a_store_that_fails_is_named_and_the_others_have_it(world):
    store, other = world.stores()
    (store / UUID).write_text("in the way")
    ran = world.run("backup", world.image(), "--json")
    backup = ran.json["backups"][0]
    assert ran.status == 3
    assert backup["problems"]
    assert sorted(backup["stores"]) == ["home", "s1"]
    assert list(other.glob("*/*.hdr.gz"))


def test_the_words_after_a_change_and_after_going_back(world):
    disk = world.image(data=luks2_image() + DATA)
    world.run("backup", disk)
    disk.write_bytes(with_binary(luks2_image(), seqid=2, label="renamed") + DATA)
    assert "change  " in world.run("backup", disk).out
    disk.write_bytes(luks2_image() + DATA)
    assert "went back to a header that was stored before" in world.run("backup", disk).out


def test_a_previous_backup_that_cannot_be_read_is_not_compared(world):
    disk = world.image(data=luks2_image() + DATA)
    world.run("backup", disk)
    for file in world.vault.glob("*/*.hdr.gz"):
        os.truncate(file, 100)
    disk.write_bytes(with_binary(luks2_image(), seqid=2, label="renamed") + DATA)
    ran = world.run("backup", disk, "--json")
    assert ran.json["backups"][0]["changes"] == []


def test_a_disk_that_dies_while_its_header_is_read_leaves_no_empty_backup(world, monkeypatch):
    disk = world.image(data=luks2_image() + DATA)
    real = moment.kept_ranges

    def dying(*arguments, **options):
        def dead(reader, offset, length):
            raise OSError(5, "Input/output error", reader.path)

        monkeypatch.setattr(DeviceReader, "read_at", dead)
        return real(*arguments, **options)

    monkeypatch.setattr(moment, "kept_ranges", dying)
    ran = world.run("backup", disk, "--json")
    assert (ran.status, "cannot be read any more" in ran.err, "dmesg" in ran.err) == (12, True, True)
    assert not world.vault.exists()


def test_a_header_that_is_gone_below_an_open_mapping_is_no_reason_to_close_it(world, monkeypatch):
    disk = world.image(data=bytes(1 << 20) + DATA)
    monkeypatch.setattr(mapping_header, "mappings_over", lambda device: [mapping(disk)])
    ran = world.run("backup", disk)
    assert (ran.status, "home is still open" in ran.err) == (12, True)
    assert f"luksafe rebuild {disk} --from-mapping home" in ran.err
