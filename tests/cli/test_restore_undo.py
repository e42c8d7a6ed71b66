"""Restoring and undoing: the plan, the dangers, the exact bytes."""

from __future__ import annotations

import pytest
from generators.headers import UUID, encrypted, luks1_image, luks2_image, with_binary, with_document

DATA = encrypted(bytes(range(256)) * 4096)


def vfat_over(image: bytes) -> bytes:
    """What a hasty mkfs leaves: a FAT boot sector that blkid would name."""
    boot = bytearray(512)
    boot[0:3], boot[3:11] = b"\xeb\x3c\x90", b"mkfs.fat"
    boot[11:13], boot[13], boot[14:16], boot[16] = (512).to_bytes(2, "little"), 4, (1).to_bytes(2, "little"), 2
    boot[17:19], boot[19:21] = (512).to_bytes(2, "little"), (4096).to_bytes(2, "little")
    boot[21], boot[22:24], boot[24:26] = 0xF8, (3).to_bytes(2, "little"), (32).to_bytes(2, "little")
    boot[26:28], boot[38], boot[43:54], boot[54:62] = (2).to_bytes(2, "little"), 0x29, b"NO NAME    ", b"FAT12   "
    boot[510:512] = b"\x55\xaa"
    fat = b"\xf8\xff\xff" + bytes(1533)
    return bytes(boot) + fat + fat + bytes(40000 - 3584) + image[40000:]


@pytest.fixture(params=["luks1", "luks2"])
def wrecked(request, world):
    """A device backed up and then wrecked: its path, and the bytes before and after."""
    good = (luks1_image() if request.param == "luks1" else luks2_image()) + DATA
    disk = world.image(data=good)
    assert world.run("backup", disk).status == 0
    bad = vfat_over(good)
    disk.write_bytes(bad)
    return disk, good, bad


def test_restore_brings_back_every_byte_and_undo_takes_it_away_again(world, wrecked):
    disk, good, bad = wrecked
    flags = world.run("restore", UUID, disk, "--dry-run", "--json").json["plan"]["dangers"]
    options = [word for danger in flags for word in danger["flag"].split()]
    done = world.run("restore", UUID, disk, *options, "--yes", "--json")
    assert (done.status, done.json["valid"]) == (0, True)
    assert disk.read_bytes() == good
    assert len(done.json["saved_in"]) == 2
    assert world.run("prove", disk, "--key-file", world.key_file).status == 0
    undone = world.run("undo", disk, "--yes")
    assert undone.status == 0
    assert disk.read_bytes() == bad
    assert world.run("undo", disk, "--yes").status == 15


def test_finish_after_undo_needs_the_entry_by_name(world, wrecked):
    disk, good, bad = wrecked
    entry = world.run("restore", UUID, disk, *dangers(world, UUID, disk), "--yes", "--json").json["undo"]
    world.run("undo", disk, "--yes")
    assert disk.read_bytes() == bad
    assert world.run("undo", disk, "--finish", "--entry", entry, "--yes").status == 0
    assert disk.read_bytes() == good


def test_an_undo_names_what_comes_next_and_how_to_take_it_back(world, wrecked):
    disk, good, _ = wrecked
    world.run("restore", UUID, disk, *dangers(world, UUID, disk), "--yes")
    last = world.run("undo", disk, "--yes").out.splitlines()[-1]
    assert last.startswith(f"next: luksafe diagnose {disk}   (to take it back: luksafe undo --entry ")
    back = world.run(*last.partition("(to take it back: luksafe ")[2].rstrip(")").split(), "--yes")
    assert disk.read_bytes() == good
    assert f"next: luksafe prove {disk}   (" in back.out


def test_an_entry_that_is_not_there_is_named(world, wrecked):
    disk, _, _ = wrecked
    world.run("restore", UUID, disk, *dangers(world, UUID, disk), "--yes")
    ran = world.run("undo", disk, "--entry", "nope", "--yes")
    assert ran.status == 15
    assert "no undo entry 'nope'" in ran.err
    assert f"luksafe undo --list {disk}" in ran.err


def dangers(world, backup, disk) -> list[str]:
    plan = world.run("restore", backup, disk, "--dry-run", "--json").json["plan"]
    return [word for danger in plan["dangers"] for word in danger["flag"].split()]


def test_nothing_is_written_by_a_dry_run_or_without_a_terminal(world, wrecked):
    disk, _, bad = wrecked
    assert world.run("restore", UUID, disk, "--dry-run").status in (0, 14)
    flags = dangers(world, UUID, disk)
    ran = world.process("restore", UUID, disk, *flags, stdin=b"YES\nyes\n")
    assert ran.status == 2
    assert "no terminal" in ran.err
    assert disk.read_bytes() == bad


DANGERS = [
    ("other-key", lambda d: d["digests"]["0"].update(salt="AAAA"), {}, "--allow-other-key"),
    ("other-sector-size", lambda d: d["segments"]["0"].update(sector_size=4096), {}, "--allow-other-sector-size"),
    ("other-cipher", lambda d: d["segments"]["0"].update(encryption="aes-cbc-plain"), {}, "--allow-other-cipher"),
    ("other-offset", lambda d: d["segments"]["0"].update(offset="1052672"), {}, "--allow-other-offset"),
    ("other-key-size", lambda d: d["keyslots"]["0"].update(key_size=32), {}, "--allow-other-key-size"),
    ("other-uuid", lambda d: None, {"uuid": "00000000-0000-0000-0000-000000000000"}, "--allow-other-uuid"),
    ("older", lambda d: None, {"seqid": 9}, "--allow-older"),
    (
        "in-reencryption",
        lambda d: d["config"].update(requirements={"mandatory": ["offline-reencrypt"]}),
        {"seqid": 1},
        "--allow-reencryption",
    ),
]


@pytest.mark.parametrize(("code", "change", "binary", "flag"), DANGERS, ids=[d[0] for d in DANGERS])
def test_each_danger_is_refused_by_name_and_accepted_by_its_own_flag(world, code, change, binary, flag):
    disk = world.image(data=luks2_image() + DATA)
    backup = world.run("backup", disk, "--json").json["backups"][0]["id"]
    now = with_binary(with_document(luks2_image(), change), **binary) + DATA
    disk.write_bytes(now)
    refused = world.run("restore", backup, disk, "--yes", "--json")
    assert refused.status == 14
    assert [d["code"] for d in refused.json["plan"]["dangers"]] == [code]
    assert flag in refused.err
    assert disk.read_bytes() == now
    others = [other for *_, other in DANGERS if other != flag]
    assert world.run("restore", backup, disk, "--yes", *others).status == 14
    assert disk.read_bytes() == now
    assert world.run("restore", backup, disk, "--yes", flag).status == 0
    assert disk.read_bytes() == luks2_image() + DATA


def test_a_revoked_passphrase_that_would_return_is_named(world):
    def second(document):
        slot = document["keyslots"]["0"]
        document["keyslots"]["1"] = {**slot, "area": {**slot["area"], "offset": "294912"}}
        document["keyslots"]["1"]["kdf"] = {**slot["kdf"], "salt": "AAAA"}
        document["digests"]["0"]["keyslots"] = ["0", "1"]

    noise = bytearray(with_document(luks2_image(), second))
    noise[294912 : 294912 + 256000] = bytes((i * 7919 >> 3) & 255 for i in range(256000))
    disk = world.image(data=bytes(noise) + DATA)
    backup = world.run("backup", disk, "--json").json["backups"][0]["id"]
    disk.write_bytes(with_binary(luks2_image(), seqid=5) + DATA)
    refused = world.run("restore", backup, disk, "--yes")
    assert refused.status == 14
    assert "revoked passphrases work again (keyslot 1)" in refused.err


def test_keyslots_that_would_vanish_are_named(world):
    def second(document):
        slot = document["keyslots"]["0"]
        document["keyslots"]["1"] = {**slot, "area": {**slot["area"], "offset": "294912"}}
        document["keyslots"]["1"]["kdf"] = {**slot["kdf"], "salt": "AAAA"}
        document["digests"]["0"]["keyslots"] = ["0", "1"]

    disk = world.image(data=luks2_image() + DATA)
    backup = world.run("backup", disk, "--json").json["backups"][0]["id"]
    disk.write_bytes(with_document(luks2_image(), second) + DATA)
    refused = world.run("restore", backup, disk, "--yes")
    assert "--allow-lost-keyslots" in refused.err
    assert world.run("restore", backup, disk, "--yes", "--allow-lost-keyslots").status == 0


def test_a_backup_with_a_destroyed_keyslot(world):
    damaged = bytearray(luks2_image() + DATA)
    damaged[65536 : 65536 + 512] = bytes(512)
    disk = world.image(data=bytes(damaged))
    backup = world.run("backup", disk, "--json").json["backups"][0]["id"]
    refused = world.run("restore", backup, disk, "--yes")
    assert refused.status == 14
    assert "keyslot 0 of the backup is destroyed" in refused.err
    assert "--allow-damaged-backup" in refused.err


def test_a_damaged_backup(world):
    """One header copy of it is bad: it would open, but who restores it must know."""
    good = luks2_image() + DATA
    disk = world.image(data=good)
    damaged = bytearray(good)
    damaged[16384 + 5000] ^= 1
    backup = world.image("damaged.img", bytes(damaged))
    refused = world.run("restore", backup, disk, "--yes", "--json")
    dangers = [(d["code"], d["flag"]) for d in refused.json["plan"]["dangers"]]
    assert (refused.status, dangers) == (14, [("damaged-backup", "--allow-damaged-backup")])
    assert "the backup itself is damaged" in refused.err
    assert disk.read_bytes() == good
    ran = world.run("restore", backup, disk, "--yes", "--allow-damaged-backup")
    assert (ran.status, "warning: the header on the device is damaged in part" in ran.out) == (3, True)
    assert world.run("undo", disk, "--yes").status == 0
    assert disk.read_bytes() == good


def test_an_erased_header_says_that_nothing_will_open_it(world):
    def erased(document):
        document["keyslots"] = {}
        document["digests"]["0"]["keyslots"] = []

    backup = world.image("erased.img", with_document(luks2_image(), erased) + DATA)
    disk = world.image(data=luks2_image() + DATA)
    refused = world.run("restore", backup, disk, "--yes")
    assert (refused.status, "--allow-lost-keyslots" in refused.err) == (14, True)
    assert "the backup has no keyslot: afterwards only the volume key itself opens the volume" in refused.err


def test_a_smaller_device(world):
    disk = world.image(data=luks2_image() + DATA)
    backup = world.run("backup", disk, "--json").json["backups"][0]["id"]
    small = world.image("small.img", luks2_image() + DATA[:4096])
    refused = world.run("restore", backup, small, "--yes")
    assert "--allow-smaller" in refused.err
    assert world.run("restore", backup, small, "--yes", "--allow-smaller").status == 0
    tiny = world.image("tiny.img", luks2_image()[:100_000])
    hopeless = world.run("restore", backup, tiny, "--yes", "--allow-smaller")
    assert (hopeless.status, "the header and its keyslots take" in hopeless.err) == (14, True)
    assert tiny.read_bytes() == luks2_image()[:100_000]


def test_luks1_over_luks2(world):
    first = world.image("one.img", luks1_image() + DATA)
    backup = world.run("backup", first, "--json").json["backups"][0]["id"]
    disk = world.image(data=luks2_image() + bytes(2 << 20) + DATA)
    refused = world.run("restore", backup, disk, "--yes")
    assert "--allow-other-format" in refused.err


def test_a_device_changed_between_plan_and_write_is_left_alone(world, monkeypatch):
    disk = world.image(data=luks2_image() + DATA)
    world.run("backup", disk)
    disk.write_bytes(with_binary(luks2_image(), label="x") + DATA)
    from luksafe.cli import restore

    def confirm_late(app, question):
        raw = bytearray(disk.read_bytes())
        raw[33000] ^= 1
        disk.write_bytes(bytes(raw))

    monkeypatch.setattr(restore, "confirm", confirm_late)
    ran = world.run("restore", UUID, disk)
    assert ran.status == 14
    assert "changed since the plan" in ran.err


def test_undo_of_a_device_that_changed_since_needs_a_flag(world, wrecked):
    disk, good, _ = wrecked
    world.run("restore", UUID, disk, *dangers(world, UUID, disk), "--yes")
    raw = bytearray(good)
    raw[100] ^= 1
    disk.write_bytes(bytes(raw))
    refused = world.run("undo", disk, "--yes")
    assert (refused.status, "--allow-changed" in refused.err) == (14, True)
    assert world.run("undo", disk, "--yes", "--allow-changed").status == 0


def test_nothing_to_undo(world):
    disk = world.image()
    world.run("backup", disk)
    assert world.run("undo", disk, "--yes").status == 15
    assert world.run("undo", disk, "--list").out == ""


def test_restoring_a_plain_header_file(world, wrecked):
    disk, good, _ = wrecked
    file = world.folder / "exported.img"
    world.run("export", UUID, file)
    assert world.run("restore", file, disk, *dangers(world, file, disk), "--yes").status == 0
    assert disk.read_bytes() == good
