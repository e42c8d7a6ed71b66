"""Backing up, listing, checking, proving, forgetting: as a user types it."""

from __future__ import annotations

import gzip
import hashlib
import shutil

import pytest
from generators.headers import UUID, VOLUME_KEY, luks2_image, with_binary, with_document

from luksafe.luks.model import Json


def added_keyslot(document: Json) -> None:
    slot = document["keyslots"]["0"]
    kdf = {**slot["kdf"], "salt": "AAAA"}
    document["keyslots"]["1"] = {**slot, "kdf": kdf, "area": {**slot["area"], "offset": "294912"}}
    document["digests"]["0"]["keyslots"] = ["0", "1"]


def test_the_way_from_unprotected_to_safe(world):
    disk = world.image()
    assert world.run("check", disk, "--json").json["volumes"][0]["state"] == "unprotected"
    done = world.run("backup", disk, "--json")
    assert done.status == 0
    backup = done.json["backups"][0]
    assert (backup["uuid"], backup["stores"], backup["new"]) == (UUID, ["home"], True)
    at_risk = world.run("check", disk, "--json")
    assert at_risk.status == 3
    assert {r["code"] for r in at_risk.json["volumes"][0]["reasons"]} == {"too-few-copies", "unproven"}
    world.stores()
    proof = world.run("prove", backup["id"], "--key-file", world.key_file, "--json")
    assert proof.status == 0
    assert proof.json["volume_key_sha256"] == hashlib.sha256(VOLUME_KEY).hexdigest()
    safe = world.run("check", disk, "--json")
    assert (safe.status, safe.json["volumes"][0]["state"]) == (0, "safe")
    assert "SAFE" in world.run("check", disk).out


def test_a_change_on_the_device_is_named_in_words(world):
    disk = world.image()
    world.run("backup", disk)
    changed = with_binary(with_document(luks2_image(), added_keyslot), seqid=2)
    disk.write_bytes(changed + bytes(1 << 20))
    ran = world.run("check", disk)
    assert ran.status == 10
    assert "keyslot 1 (argon2id, 32 KiB, time 1) added" in ran.out
    again = world.run("backup", disk, "--json").json["backups"][0]
    assert any("keyslot 1" in change for change in again["changes"])
    listed = world.run("list", "--json").json["backups"]
    assert [b["current"] for b in listed if b["id"] == again["id"]] == [True]
    assert sum(b["current"] for b in listed) == 1


def test_a_removed_keyslot_leaves_a_note_about_what_still_opens_the_old_backup(world):
    disk = world.image(data=with_document(luks2_image(), added_keyslot) + bytes(1 << 20))
    first = world.run("backup", disk, "--json").json["backups"][0]["id"]
    disk.write_bytes(with_binary(luks2_image(), seqid=2) + bytes(1 << 20))
    world.run("backup", disk)
    notes = world.run("check", disk, "--json").json["volumes"][0]["notes"]
    assert any(n["code"] == "revoked-keyslots" and first[:12] in n["text"] for n in notes)


def test_backing_up_twice_stores_nothing_new(world):
    disk = world.image()
    world.run("backup", disk)
    again = world.run("backup", disk)
    assert "unchanged" in again.out
    assert len(world.run("list", "--json").json["backups"]) == 1


def test_what_is_stored_is_a_gzip_of_an_image_that_starts_with_the_header(world):
    disk = world.image()
    backup = world.run("backup", disk, "--json").json["backups"][0]
    packed = (world.vault / UUID / f"{backup['id']}.hdr.gz").read_bytes()
    image = gzip.decompress(packed)
    assert hashlib.sha256(image).hexdigest().startswith(backup["id"])
    source = disk.read_bytes()
    for start, end in backup["kept"]:
        assert image[start:end] == source[start:end]


def test_a_flipped_byte_in_a_store_is_named_and_healed(world):
    disk = world.image()
    backup_id = world.run("backup", disk, "--json").json["backups"][0]["id"]
    store, _ = world.stores()
    file = store / UUID / f"{backup_id}.hdr.gz"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.chmod(0o600)
    file.write_bytes(bytes(data))
    checked = world.run("check", disk)
    assert f"{backup_id}.hdr.gz" in checked.out
    assert world.run("stores", "check").status == 10
    synced = world.run("sync", "--json")
    assert any(store["healed"] for store in synced.json["stores"])
    assert world.run("stores", "check").status == 0


def test_a_forgotten_backup_does_not_come_back_from_a_store_that_was_away(world):
    disk = world.image()
    backup_id = world.run("backup", disk, "--json").json["backups"][0]["id"]
    store, _ = world.stores()
    away = world.folder / "drawer"
    shutil.move(store, away)
    forgotten = world.run("forget", backup_id, "--yes", "--allow-last", "--json")
    assert forgotten.json["forgotten"][0]["away"] == ["s0"]
    shutil.move(away, store)
    assert world.run("list", "--json").json["backups"] == []
    assert world.run("sync").status == 0
    assert not list(store.glob("*/*.hdr.gz"))
    refused = world.run("backup", disk)
    assert (refused.status, "forgotten" in refused.err) == (14, True)
    assert world.run("backup", disk, "--again").status == 0


def test_forgetting_without_a_terminal_asks_in_vain(world):
    disk = world.image()
    backup_id = world.run("backup", disk, "--json").json["backups"][0]["id"]
    ran = world.process("forget", backup_id, "--allow-last", stdin=b"YES\n")
    assert ran.status == 2
    assert len(world.run("list", "--json").json["backups"]) == 1


def test_export_and_import_give_the_same_backup(world):
    disk = world.image()
    backup_id = world.run("backup", disk, "--json").json["backups"][0]["id"]
    file = world.folder / "header.img"
    assert world.run("export", UUID, file).status == 0
    assert file.stat().st_mode & 0o777 == 0o600
    assert world.run("export", UUID, file).status == 14
    world.vault = world.folder / "other-vault"
    imported = world.run("import", file, disk, "--json").json["imported"]
    assert {item["id"] for item in imported} == {backup_id}


def test_importing_something_else_is_refused(world):
    file = world.folder / "notes.txt"
    file.write_text("nothing here" * 1000)
    ran = world.run("import", file)
    assert (ran.status, "scan" in ran.err) == (12, True)
    assert not world.vault.exists()


def test_diff_says_what_changed(world):
    old, new = world.image("a.img"), world.image("b.img", with_document(luks2_image(), added_keyslot))
    same = world.run("diff", old, old)
    assert (same.status, "say the same" in same.out) == (0, True)
    ran = world.run("diff", old, new)
    assert ran.status == 10
    assert "keyslot 1" in ran.out
    assert "volume key is the same" in ran.out
    damaged = world.image("c.img", bytes(1 << 20))
    assert world.run("diff", old, damaged).status == 12


@pytest.mark.parametrize("name", ["nonsense", "/no/such/device", "vault:xyz"])
def test_a_target_that_is_not_there(world, name):
    ran = world.run("show", name)
    assert ran.status == 15
    assert "next:" in ran.err


def test_a_backup_is_named_in_many_ways(world):
    backup_id = world.run("backup", world.image(), "--json").json["backups"][0]["id"]
    for name in (backup_id, backup_id[:8], UUID, f"{UUID}@{backup_id[:4]}", "test", f"vault:{UUID}"):
        assert world.run("show", name, "--json").json["uuid"] == UUID, name
    assert world.run("list", "test", "--json").json["backups"][0]["id"] == backup_id


def test_several_devices_go_on_after_one_that_fails(world):
    disk, blank = world.image(), world.image("blank.img", bytes(1 << 20))
    ran = world.run("backup", blank, disk, "--json")
    assert ran.status == 3
    assert [b["device"] for b in ran.json["backups"]] == [str(disk)]
    assert "no LUKS header" in ran.err


def test_a_damaged_header_is_kept_whole_and_said_so(world):
    data = bytearray(luks2_image() + bytes(1 << 20))
    data[200] ^= 1
    ran = world.run("backup", world.image(data=bytes(data)))
    assert ran.status == 0
    assert "parts of the header are damaged" in ran.out


def test_a_header_that_is_lost_never_hides_the_backup_that_works(world):
    disk = world.image()
    good = world.run("backup", disk, "--json").json["backups"][0]["id"]
    data = bytearray(disk.read_bytes())
    for copy in (0, 16384):
        data[copy + 4200 : copy + 4900] = b"\xa5" * 700
    disk.write_bytes(bytes(data))
    damaged = world.run("backup", disk, "--json").json["backups"][0]
    assert (damaged["id"] != good, damaged["whole"]) == (True, "the header is damaged")
    listed = {b["id"]: b["current"] for b in world.run("list", "--json").json["backups"]}
    assert listed == {good: True, damaged["id"]: False}
    assert world.run("restore", UUID, disk, "--yes").status == 0
    assert world.run("prove", disk, "--key-file", world.key_file).status == 0


def test_list_of_nothing_tells_the_next_command(world):
    ran = world.run("list")
    assert (ran.status, "luksafe backup" in ran.out) == (0, True)


def test_luks1_goes_the_same_way(world):
    disk = world.luks1()
    backup_id = world.run("backup", disk, "--json").json["backups"][0]["id"]
    assert world.run("prove", backup_id, "--key-file", world.key_file).status == 0
    assert "LUKS1" in world.run("show", backup_id).out
