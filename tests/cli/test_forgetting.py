"""What may be forgotten: the last way in is not, by advice or in haste. The accidents are cryptsetup's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pexpect
import pytest
from cli.test_restore_matrix import swap_area
from generators.headers import UUID, encrypted, luks2_image, with_binary, with_document

needs_cryptsetup = pytest.mark.skipif(shutil.which("cryptsetup") is None, reason="cryptsetup is not installed")
CHEAP = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "-q")


def cryptsetup(*words: object) -> None:
    subprocess.run(["cryptsetup", *map(str, words)], check=True, capture_output=True)


@pytest.fixture
def disk(world):
    """An image that cryptsetup formatted, backed up in three places and proven."""
    path = world.folder / "disk.img"
    with path.open("wb") as out:
        out.truncate(20 << 20)
    cryptsetup("luksFormat", "--type", "luks2", *CHEAP, path, world.key_file)
    assert world.run("backup", path).status == 0
    world.stores()
    assert world.run("prove", path, "--key-file", world.key_file).status in (0, 3)
    return path


def checked(world, disk) -> dict:
    (volume,) = world.run("check", disk, "--json").json["volumes"]
    return volume


def ids(world) -> dict[str, bool]:
    return {b["id"]: b["current"] for b in world.run("list", "--json").json["backups"]}


def advice(volume: dict) -> list[str]:
    return [each["next"] for each in (*volume["reasons"], *volume["notes"]) if each["next"]]


@needs_cryptsetup
def test_after_an_erase_the_backup_that_opens_stays_current_and_is_never_to_be_forgotten(world, disk):
    (proven,) = ids(world)
    cryptsetup("luksErase", "-q", disk)
    volume = checked(world, disk)
    assert volume["reasons"][0]["code"] == "erased"
    assert "every keyslot" in volume["reasons"][0]["text"]
    assert volume["reasons"][0]["next"] == f"luksafe restore {proven[:12]} {disk} --dry-run"
    assert not any(line.startswith(("luksafe backup", "luksafe forget")) for line in advice(volume))
    told = world.run("backup", disk)
    assert told.status == 3
    assert "every keyslot" in told.out
    assert "does not become current" in told.out
    assert ids(world)[proven] is True
    assert sum(ids(world).values()) == 1
    volume = checked(world, disk)
    assert (volume["backup_id"], volume["reasons"][0]["code"]) == (proven, "erased")
    assert not any(line.startswith(("luksafe backup", "luksafe forget")) for line in advice(volume))
    refused = world.run("forget", proven[:12], "--yes", "--json")
    assert (refused.status, refused.json["error"]["code"]) == (14, "last-with-keyslots")
    assert "--allow-last" in refused.json["error"]["hint"]
    assert "every keyslot" in world.run("show", disk).out
    assert world.run("restore", proven[:12], disk, "--yes", "--allow-older").status in (0, 3)
    cryptsetup("open", "--test-passphrase", "--key-file", world.key_file, disk)


@needs_cryptsetup
def test_after_a_mistyped_change_the_old_backup_is_kept_until_the_new_one_is_proven(world, disk):
    (proven,) = ids(world)
    mistyped = world.folder / "mistyped"
    mistyped.write_bytes(b"what nobody knows")
    cryptsetup("luksChangeKey", *CHEAP, "--key-file", world.key_file, disk, mistyped)
    assert world.run("backup", disk).status == 0
    volume = checked(world, disk)
    (note,) = [each for each in volume["notes"] if each["code"] == "revoked-keyslots"]
    assert "no other backup was proven" in note["text"] or "last backup that was proven" in note["text"]
    assert not any(line.startswith("luksafe forget") for line in advice(volume))
    refused = world.run("forget", proven[:12], "--yes", "--json")
    assert (refused.status, refused.json["error"]["code"]) == (14, "last-proven")
    assert proven in ids(world)
    # the passphrase turns out to be known: now the advice is given, and works
    assert world.run("prove", disk, "--key-file", mistyped).status in (0, 3)
    assert f"luksafe forget {proven[:12]}" in advice(checked(world, disk))
    assert world.run("forget", proven[:12], "--yes").status in (0, 3)
    assert proven not in ids(world)


def test_the_last_backup_is_forgotten_only_when_told_so(world):
    disk = world.image()
    world.run("backup", disk)
    (backup_id,) = ids(world)
    refused = world.run("forget", backup_id, "--yes", "--json")
    assert (refused.status, refused.json["error"]["code"]) == (14, "last-backup")
    assert list(ids(world)) == [backup_id]
    assert world.run("forget", backup_id, "--yes", "--allow-last").status == 0
    assert ids(world) == {}


def test_all_backups_at_once_are_the_last_ones(world):
    disk = world.image()
    world.run("backup", disk)
    disk.write_bytes(with_binary(luks2_image(), seqid=2, label="renamed") + bytes(1 << 20))
    world.run("backup", disk)
    assert world.run("forget", *ids(world), "--yes").status == 14
    assert len(ids(world)) == 2


def test_a_dry_run_says_what_would_happen_and_changes_nothing(world):
    disk = world.image()
    world.run("backup", disk)
    world.stores()
    assert world.run("prove", UUID, "--key-file", world.key_file).status == 0
    (first,) = ids(world)
    disk.write_bytes(with_binary(luks2_image(), seqid=2, label="renamed") + bytes(1 << 20))
    world.run("backup", disk)
    (second,) = set(ids(world)) - {first}
    refused = world.run("forget", first, "--dry-run", "--json")
    assert (refused.status, refused.json["would_forget"][0]["keep"]["code"]) == (14, "last-proven")
    plan = world.run("forget", second, "--dry-run", "--json")
    (would,) = plan.json["would_forget"]
    assert (plan.status, would["id"], would["keep"], would["stores"]) == (0, second, None, ["home", "s0", "s1"])
    assert "exports" in world.run("forget", second, "--dry-run").out
    assert len(ids(world)) == 2


def test_undo_entries_that_hold_the_header_are_named_and_go_with_undo(world):
    disk = world.image()
    world.run("backup", disk)
    world.stores()
    assert world.run("prove", UUID, "--key-file", world.key_file).status == 0
    disk.write_bytes(bytes(len(luks2_image())) + bytes(1 << 20))
    assert world.run("restore", UUID, disk, "--yes").status == 0
    (backup_id,) = ids(world)
    told = world.run("forget", backup_id, "--dry-run", "--json", "--allow-last")
    (entry,) = told.json["would_forget"][0]["undo_entries"]
    kept = world.run("forget", backup_id, "--yes", "--allow-last")
    assert kept.status == 0
    assert entry in kept.out
    assert "--undo" in kept.out
    assert entry in world.run("undo", "--list", disk).out
    assert world.run("backup", disk, "--again").status == 0
    (backup_id,) = ids(world)
    gone = world.run("forget", backup_id, "--yes", "--allow-last", "--undo", "--json")
    assert gone.json["forgotten"][0]["undo_removed"] == [entry]
    assert entry not in world.run("undo", "--list", disk).out
    assert not [path for path in world.folder.rglob("new-*.bin") if "undo" in path.parts]


def test_an_undo_entry_of_a_write_that_was_interrupted_stays(world, monkeypatch):
    disk = world.image()
    world.run("backup", disk)
    world.stores()
    disk.write_bytes(bytes(len(luks2_image())) + bytes(1 << 20))
    real = os.pwrite

    def killed(fd, data, offset):
        if os.readlink(f"/proc/self/fd/{fd}") == str(disk):
            raise KeyboardInterrupt
        return real(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", killed)
    assert world.run("restore", UUID, disk, "--yes").status == 130
    monkeypatch.setattr(os, "pwrite", real)
    (backup_id,) = ids(world)
    ran = world.run("forget", backup_id, "--yes", "--allow-last", "--undo", "--json")
    assert ran.json["forgotten"][0]["undo_removed"] == []
    assert len(ran.json["forgotten"][0]["undo_kept"]) == 1
    assert world.run("undo", disk, "--finish", "--yes").status == 0


def test_on_a_terminal_the_undo_entries_are_offered(world):
    disk = world.image()
    world.run("backup", disk)
    world.stores()
    disk.write_bytes(bytes(len(luks2_image())) + bytes(1 << 20))
    assert world.run("restore", UUID, disk, "--yes").status == 0
    (backup_id,) = ids(world)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "200"}
    words = ["-m", "luksafe", "--vault", str(world.vault), "forget", backup_id, "--allow-last"]
    terminal = pexpect.spawn(sys.executable, words, env=env, encoding="utf-8", timeout=60)
    terminal.expect("Forget for good[^\r\n]*: ")
    terminal.sendline("YES")
    terminal.expect("Remove the undo entries[^\r\n]*: ")
    terminal.sendline("YES")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert "removed with it: undo entry" in terminal.before
    assert not [path for path in world.folder.rglob("new-*.bin") if "undo" in path.parts]


@needs_cryptsetup
def test_the_key_of_a_clone_makes_no_backup_of_the_original_needless(world):
    disk = world.image(data=luks2_image() + encrypted(swap_area()) + bytes(8 << 20))
    assert world.run("backup", disk).status == 0
    assert world.run("prove", disk, "--key-file", world.key_file).status == 0
    (original,) = ids(world)
    clone = world.folder / "clone.img"
    shutil.copy(disk, clone)
    cryptsetup("reencrypt", "--force-offline-reencrypt", *CHEAP, "--key-file", world.key_file, clone)
    disk.rename(world.folder / "away")  # unplugged: nothing shows that there are two
    assert world.run("backup", clone).status == 0
    assert world.run("prove", clone, "--key-file", world.key_file).status == 0
    (of_clone,) = {*ids(world)} - {original}
    for here in (False, True):
        if here:
            (world.folder / "away").rename(disk)
        for backup in (original, of_clone):
            refused = world.run("forget", backup, "--dry-run", "--json")
            assert (refused.status, refused.json["error"]["code"]) == (14, "successor-unproven")


@needs_cryptsetup
def test_a_header_that_may_be_mended_is_kept_beside_an_erased_one(world):
    disk = world.folder / "disk.img"
    with disk.open("wb") as out:
        out.truncate(20 << 20)
    cryptsetup("luksFormat", "--type", "luks2", *CHEAP, disk, world.key_file)
    whole = disk.read_bytes()
    damaged = bytearray(whole)
    for place in (0x1000, 0x5000):
        damaged[place + 200] ^= 1
    disk.write_bytes(damaged)
    assert world.run("backup", disk).status == 3
    (mendable,) = ids(world)
    disk.write_bytes(whole)
    cryptsetup("luksErase", "-q", disk)
    assert world.run("backup", disk).status == 3
    refused = world.run("forget", mendable, "--dry-run", "--json")
    assert (refused.status, refused.json["error"]["code"]) == (14, "last-with-keyslots")


def test_a_backup_without_its_record_is_kept_beside_an_erased_one(world):
    disk = world.image()
    assert world.run("backup", disk).status == 0
    (opens,) = ids(world)
    erased = with_binary(with_document(luks2_image(), without_keyslots), seqid=9)
    disk.write_bytes(erased + bytes(1 << 20))
    assert world.run("backup", disk).status == 3
    (record,) = world.vault.rglob(f"{opens}.json")
    record.write_bytes(b"damaged")
    refused = world.run("forget", opens, "--dry-run", "--json")
    assert (refused.status, refused.json["error"]["code"]) == (14, "last-with-keyslots")


def without_keyslots(document) -> None:
    document["keyslots"].clear()
    for digest in document["digests"].values():
        digest["keyslots"] = []
