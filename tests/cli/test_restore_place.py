"""What ties a backup to a device, and what a restore makes of a place that nothing ties to it."""

from __future__ import annotations

import shlex

import pytest
from cli.test_restore_matrix import gpt_disk, noise, second_keyslot, swap_area
from generators.headers import UUID, encrypted, luks1_image, luks2_image, with_binary, with_document

HEADER_BYTES = 1 << 20
DATA = encrypted(swap_area())


def codes(ran) -> list[str]:
    return [danger["code"] for danger in ran.json["plan"]["dangers"]]


@pytest.fixture
def kept(world):
    """A volume with a backup: its image, and the id of the backup."""
    disk = world.image(data=luks2_image() + DATA)
    return disk, world.run("backup", disk, "--json").json["backups"][0]["id"]


def test_an_unrelated_image_is_refused_and_has_an_option_of_its_own(world, kept):
    _, backup = kept
    other = world.image("other.img", noise(HEADER_BYTES + len(DATA)))
    (world.folder / "disk.img").unlink()
    ran = world.run("restore", backup, other, "--yes", "--json")
    assert (ran.status, codes(ran)) == (14, ["unknown-device"])
    assert ran.json["plan"]["evidence"]["grade"] == "none"
    assert "--allow-unknown-device" in ran.err
    assert "not proven" in world.run("restore", backup, other, "--dry-run").out
    done = world.run("restore", backup, other, "--yes", "--allow-unknown-device")
    assert done.status == 0
    assert world.run("prove", other, "--key-file", world.key_file).status == 10
    reasons = world.run("check", other, "--json").json["volumes"][0]["reasons"]
    assert "unknown-device" in [reason["code"] for reason in reasons]


def test_another_file_at_the_same_path_is_another_device(world, kept):
    disk, backup = kept
    other = world.image("other.img", noise(HEADER_BYTES + len(DATA)))
    other.rename(disk)
    assert codes(world.run("restore", backup, disk, "--dry-run", "--json")) == ["unknown-device"]


def test_the_machine_is_looked_through_for_the_right_device(world, kept):
    disk, backup = kept
    other = world.image("other.img", noise(HEADER_BYTES + len(DATA)))
    ran = world.run("restore", backup, other, "--dry-run")
    assert f"{disk} holds this very volume" in ran.out
    assert ran.out.splitlines()[-1] == f"next: luksafe restore {backup[:12]} {disk} --dry-run"
    assert "--allow" not in ran.out.replace("--allow-unknown-device", "")


@pytest.mark.parametrize("image", [luks1_image(), luks2_image()], ids=["luks1", "luks2"])
def test_key_material_that_is_left_ties_a_moved_image(world, image):
    disk = world.image(data=image + DATA)
    backup = world.run("backup", disk, "--json").json["backups"][0]["id"]
    moved = world.image("moved.img", bytes(36864) + (image + DATA)[36864:])
    disk.unlink()
    ran = world.run("restore", backup, moved, "--yes", "--json")
    assert (ran.status, ran.json["plan"]["evidence"]["grade"]) == (0, "keys")


def test_with_a_key_the_data_are_tried_before_anything_is_written(world, kept):
    disk, backup = kept
    moved = world.image("moved.img", bytes(HEADER_BYTES) + DATA + noise(4096))
    disk.unlink()
    without = world.run("restore", backup, moved, "--dry-run", "--json")
    assert set(codes(without)) == {"unknown-device", "larger-device"}
    ran = world.run("restore", backup, moved, "--yes", "--json", "--key-file", world.key_file)
    assert (ran.status, ran.json["plan"]["evidence"]["proven"]) == (0, True)
    proof = world.run("list", "--json").json["backups"][0]["proofs"][0]
    assert "the data decrypt to swap" in proof["method"]
    reasons = world.run("check", moved, "--json").json["volumes"][0]["reasons"]
    assert "unknown-device" not in [reason["code"] for reason in reasons]


def test_noise_is_a_danger_that_yes_does_not_accept(world, kept):
    disk, backup = kept
    disk.write_bytes(bytes(HEADER_BYTES) + noise(len(DATA)))
    before = disk.read_bytes()
    ran = world.run("restore", backup, disk, "--yes", "--json", "--key-file", world.key_file)
    assert (ran.status, codes(ran)) == (14, ["data-noise"]), ran.json["plan"]["dangers"]
    assert disk.read_bytes() == before


def test_a_wrong_key_ends_it_before_anything_is_written(world, kept):
    disk, backup = kept
    disk.write_bytes(bytes(HEADER_BYTES) + DATA)
    wrong = world.folder / "wrong"
    wrong.write_bytes(b"not it")
    assert world.run("restore", backup, disk, "--yes", "--key-file", wrong).status == 11
    assert disk.read_bytes() == bytes(HEADER_BYTES) + DATA


def test_the_volume_key_itself_proves_too(world, kept):
    from generators.headers import VOLUME_KEY

    disk, backup = kept
    moved = world.image("moved.img", bytes(HEADER_BYTES) + DATA)
    disk.unlink()
    key = world.folder / "key"
    key.write_bytes(VOLUME_KEY)
    assert world.run("restore", backup, moved, "--yes", "--volume-key-file", key).status == 0


def test_the_whole_disk_for_the_partition_names_the_right_place_and_no_option(world, kept):
    disk, backup = kept
    volume = disk.read_bytes()
    wrong = world.image("wd.img", gpt_disk(volume, 9437184))
    ran = world.run("restore", backup, wrong, "--yes")
    assert ran.status == 14
    assert "begins at byte 9437184" in ran.err
    hint = ran.err.splitlines()[-1]
    where = f"--offset 9437184 --sizelimit {len(volume)} {shlex.quote(str(wrong))}"
    assert f'"$(losetup --find --show {where})"' in hint
    assert "--over" not in hint
    assert "--allow" not in hint
    last = world.run("restore", backup, wrong, "--dry-run").out.splitlines()[-1]
    assert last.startswith("next: luksafe restore ")
    assert "--over" not in last


def test_a_volume_whose_header_is_gone_is_found_by_its_key_material_where_it_is(world, kept):
    disk, backup = kept
    volume = bytes(32768) + disk.read_bytes()[32768:]
    disk.unlink()
    shifted = world.image("shifted.img", noise(65536) + volume)
    ran = world.run("restore", backup, shifted, "--dry-run", "--json")
    assert codes(ran)[0] == "other-place"
    assert "begins at byte 65536" in ran.json["plan"]["dangers"][0]["text"]


def test_an_older_backup_after_the_loss_of_the_header_is_as_dangerous_as_before(world, kept):
    disk, older = kept
    changed = bytearray(with_binary(with_document(luks2_image(), second_keyslot), seqid=3))
    changed[294912 : 294912 + 256000] = noise(256000)
    disk.write_bytes(bytes(changed) + DATA)
    newer = world.run("backup", disk, "--json").json["backups"][0]["id"]
    there = world.run("restore", older, disk, "--dry-run", "--json")
    disk.write_bytes(bytes(HEADER_BYTES) + DATA)
    gone = world.run("restore", older, disk, "--dry-run", "--json")
    assert set(codes(there)) == set(codes(gone)) == {"older", "keyslots-vanish"}
    assert newer[:12] in gone.json["plan"]["dangers"][0]["text"]
    assert codes(world.run("restore", newer, disk, "--dry-run", "--json")) == []
    changed[5000] ^= 1
    changed[16384 + 5000] ^= 1
    disk.write_bytes(bytes(changed) + DATA)
    ways = {way["key"]: way for way in world.run("rescue", disk, "--json").json["ways"]}
    text = " ".join(step["text"] for step in ways[f"restore:{older[:12]}"]["steps"])
    assert "THINK TWICE" in text
    assert "is newer" in text


def test_revoked_passphrases_are_named_though_the_header_is_gone(world, kept):
    disk, older = kept

    def written_anew(document: dict) -> None:
        document["keyslots"]["0"]["kdf"]["salt"] = "BBBB"

    disk.write_bytes(with_binary(with_document(luks2_image(), written_anew), seqid=4) + DATA)
    world.run("backup", disk)
    disk.write_bytes(bytes(HEADER_BYTES) + DATA)
    ran = world.run("restore", older, disk, "--yes", "--json")
    assert (ran.status, "older" in codes(ran)) == (14, True)
    assert "revoked passphrases work again (keyslot 0)" in ran.err


def test_what_is_left_of_a_newer_header_counts(world, kept):
    disk, backup = kept
    rest = bytearray(with_binary(luks2_image(), seqid=9) + DATA)
    rest[5000] ^= 1
    rest[16384 + 5000] ^= 1
    disk.write_bytes(bytes(rest))
    ran = world.run("restore", backup, disk, "--dry-run", "--json")
    assert "older" in codes(ran)
    assert "sequence id 9" in " ".join(danger["text"] for danger in ran.json["plan"]["dangers"])


APART = [luks1_image(data_offset=8 << 20), luks2_image(data_offset=8 << 20, keyslots_size=(2 << 20) - 32768)]


@pytest.mark.parametrize("named", [True, False], ids=["named with --header", "a file of a header alone"])
@pytest.mark.parametrize("image", APART, ids=["luks1", "luks2"])
def test_a_detached_header_with_a_data_offset_is_known_as_one(world, image, named):
    header = world.image("det.hdr", image[: 2 << 20].ljust(2 << 20, b"\0"))
    data = world.image("data.img", noise(8 << 20) + DATA)
    words = [data, "--header", header] if named else [header]
    backup = world.run("backup", *words, "--json").json["backups"][0]["id"]
    ran = world.run("restore", backup, data, "--dry-run", "--json")
    assert "over-data" in codes(ran)
    header.write_bytes(bytes(2 << 20))
    again = world.run("restore", backup, header, "--yes", "--json")
    assert (again.status, codes(again)) == (0, [])


def test_the_same_key_under_another_digest_is_not_called_another_key(world, kept):
    disk, backup = kept
    made_anew = with_document(luks2_image(), lambda d: d["digests"]["0"].update(salt="AAAA"))
    disk.write_bytes(made_anew + DATA)
    ran = world.run("restore", backup, disk, "--dry-run", "--json")
    assert codes(ran) == ["other-key"]
    assert "the header does not tell" in ran.json["plan"]["dangers"][0]["text"]
    assert "another volume key" not in ran.json["plan"]["dangers"][0]["text"]
    assert world.run("restore", backup, disk, "--yes", "--key-file", world.key_file).status == 0
    assert world.run("diff", UUID, disk, "--json").json["same_volume_key"] in (True, None)
