"""Showing and proving: output, JSON, exit statuses."""

from __future__ import annotations

import json
import random

import pytest
from generators.headers import UUID, VOLUME_KEY, encrypted, luks1_image, luks2_image

SHOW_MEMBERS = {
    "format", "uuid", "label", "subsystem", "seqid", "cipher", "key_bits", "sector_size", "data_offset", "segments",
    "keyslots", "digests", "tokens", "requirements", "flags", "copies", "findings",
}  # fmt: skip


@pytest.mark.parametrize("image", [luks1_image(), luks2_image()], ids=["luks1", "luks2"])
def test_the_json_has_every_member_of_the_contract(world, image):
    shown = world.run("show", world.image(data=image), "--json").json
    assert shown.keys() >= SHOW_MEMBERS
    slot = shown["keyslots"][0]
    assert slot.keys() >= {"slot", "state", "priority", "kdf", "af", "area", "digest", "tokens"}
    assert slot["area"].keys() >= {"offset", "size", "encryption", "key_bits"}
    assert shown["copies"][0].keys() >= {"copy", "offset", "valid", "seqid", "why"}


def test_people_see_what_matters_in_80_columns(world):
    ran = world.run("show", world.image(), "--map")
    assert "LUKS2 volume" in ran.out
    assert "both" not in ran.err
    assert all(len(line) <= 80 for line in ran.out.splitlines() if str(world.folder) not in line)
    assert "[HJJ" in ran.out or "[HJ" in ran.out


def test_raw_prints_the_json_as_it_stands(world):
    assert json.loads(world.run("show", world.image(), "--raw").out)["segments"]["0"]["type"] == "crypt"


def test_a_damaged_header_gives_the_object_and_the_error(world):
    ran = world.run("show", world.image(data=bytes(1 << 20)), "--json")
    assert ran.status == 12
    assert ran.json["error"]["code"] == "not-luks"
    assert ran.json["copies"][0]["valid"] is False


def test_prove_a_wrong_key(world):
    wrong = world.folder / "wrong"
    wrong.write_bytes(b"nope")
    ran = world.run("prove", world.image(), "--key-file", wrong, "--json")
    assert ran.status == 11
    assert ran.json["opened"] is False
    assert ran.json["error"]["code"] == "key-rejected"


def test_prove_by_volume_key(world):
    key = world.folder / "vk"
    key.write_bytes(VOLUME_KEY)
    ran = world.run("prove", world.image(), "--volume-key-file", key, "--json")
    assert (ran.status, ran.json["opened"], ran.json["keyslot"]) == (0, True, None)
    key.write_bytes(bytes(64))
    assert world.run("prove", world.image(), "--volume-key-file", key).status == 11


def test_the_key_file_is_read_exactly(world):
    padded = world.folder / "padded"
    padded.write_bytes(b"xx" + world.key_file.read_bytes() + b"\n")
    disk = world.image()
    size = len(world.key_file.read_bytes())
    assert world.run("prove", disk, "--key-file", padded).status == 11
    options = ("--key-file", padded, "--keyfile-offset", 2, "--keyfile-size", size)
    assert world.run("prove", disk, *options).status == 0
    assert world.process("prove", disk, "--key-file", "-", stdin=world.key_file.read_bytes()).status == 0


def test_without_terminal_and_key_it_fails_with_usage(world):
    ran = world.process("prove", world.image())
    assert ran.status == 2
    assert "--key-file" in ran.err


def test_a_named_keyslot_that_is_not_there(world):
    assert world.run("prove", world.image(), "--key-file", world.key_file, "--key-slot", 5).status == 15


def swap_area() -> bytes:
    data = bytearray(1 << 20)
    data[1024:1028] = (1).to_bytes(4, "little")
    data[1028:1032] = (255).to_bytes(4, "little")
    data[1036:1052] = bytes.fromhex("00112233445566778899aabbccddeeff")
    data[4086:4096] = b"SWAPSPACE2"
    return bytes(data)


def test_the_data_are_recognised(world):
    disk = world.image(data=luks2_image() + encrypted(swap_area()))
    ran = world.run("prove", disk, "--key-file", world.key_file, "--data", disk, "--json")
    assert ran.status == 0
    assert (ran.json["data"]["checked"], ran.json["data"]["found"]) == (True, "swap")


def test_a_wrong_sector_size_is_noticed(world):
    disk = world.image(data=luks2_image() + encrypted(swap_area(), 4096))
    ran = world.run("prove", disk, "--key-file", world.key_file, "--data", disk, "--json")
    assert ran.status == 10
    assert "sectors of 4096 bytes it decrypts to swap" in ran.json["data"]["why"]


def test_foreign_data_are_noticed_and_not_counted_as_proof(world):
    disk = world.image()
    backup_id = world.run("backup", disk, "--json").json["backups"][0]["id"]
    other = world.image("other.img", luks2_image() + encrypted(swap_area())[::-1])
    ran = world.run("prove", backup_id, "--key-file", world.key_file, "--data", other)
    assert ran.status == 10
    assert "noise" in ran.out
    assert world.run("list", "--json").json["backups"][0]["proven"] == ""


def test_a_proof_of_the_device_counts_for_the_backup_of_the_same_header(world):
    disk = world.image()
    backup_id = world.run("backup", disk, "--json").json["backups"][0]["id"]
    assert world.run("prove", disk, "--key-file", world.key_file, "--json").json["noted_with"] == backup_id
    assert world.run("list", "--json").json["backups"][0]["proven"]


def test_a_detached_header(world):
    header = world.image("header.img", luks2_image(data_offset=0))
    data = world.image("data.img", encrypted(swap_area()))
    ran = world.run("prove", data, "--header", header, "--key-file", world.key_file, "--json")
    assert (ran.status, ran.json["data"]["found"]) == (0, "swap")
    world.run("backup", data, "--header", header)
    ran = world.run("prove", data, "--header", f"vault:{UUID}", "--key-file", world.key_file, "--json")
    assert ran.json["data"]["found"] == "swap"


def noise(size: int = 2 << 20) -> bytes:
    """What never-written sectors of a volume look like."""
    return random.Random(7).randbytes(size)


def test_noise_is_no_proof_where_data_were_recognised_before(world):
    disk = world.image(data=luks2_image() + encrypted(swap_area()))
    world.run("backup", disk)
    assert world.run("prove", disk, "--key-file", world.key_file, "--json").json["noted_as"] == "data"
    disk.write_bytes(luks2_image() + noise(1 << 20))
    ran = world.run("prove", disk, "--key-file", world.key_file, "--json")
    assert (ran.status, ran.json["noted_with"], ran.json["noted_as"]) == (10, "", "")
    assert "seen to be swap" in ran.json["expected"]
    text = world.run("prove", disk, "--key-file", world.key_file).out
    assert "noted with" not in text
    assert not text.startswith("proven")
    assert len(world.run("list", "--json").json["backups"][0]["proofs"]) == 1


def test_noise_on_a_volume_of_which_nothing_is_known_is_noted_as_opens_only(world):
    disk = world.image(data=luks2_image() + noise())
    backup_id = world.run("backup", disk, "--json").json["backups"][0]["id"]
    ran = world.run("prove", disk, "--key-file", world.key_file, "--json")
    assert (ran.status, ran.json["noted_with"], ran.json["noted_as"]) == (3, backup_id, "opens")
    volume = world.run("check", disk, "--json").json["volumes"][0]
    assert volume["rests_on"] == "opens"
    proof = world.run("list", "--json").json["backups"][0]["proofs"][0]
    assert "decrypt" not in proof["method"]


def test_noise_on_another_device_than_that_of_the_backup_is_not_noted(world):
    world.run("backup", world.image(data=luks2_image() + noise()))
    other = world.image("other.img", luks2_image() + noise(4 << 20))
    ran = world.run("prove", other, "--key-file", world.key_file, "--json")
    assert (ran.status, ran.json["noted_with"]) == (10, "")
    assert "not the device that the backup was made of" in ran.json["expected"]
