"""What check says of the device itself: its size, what clevis keeps beside a LUKS1 header; and what other verbs see."""

from __future__ import annotations

import subprocess

import pytest
from conftest import write_sparse
from generators.headers import UUID, luks2_image

DATA = bytes(range(256)) * 4096


def found(world, device) -> dict[str, dict]:
    (volume,) = world.run("check", device, "--json").json["volumes"]
    return {reason["code"]: reason for reason in volume["reasons"]}


def test_a_device_that_shrank(world):
    disk = world.image(data=luks2_image() + DATA)
    world.run("backup", disk)
    with disk.open("r+b") as out:
        out.truncate(disk.stat().st_size - 65536)
    shrunk = found(world, disk)["device-shrunk"]
    assert (shrunk["severity"], shrunk["next"]) == ("critical", f"luksafe diagnose {disk}")
    assert "whatever lay in the last 65536 bytes is not on it" in shrunk["text"]
    ran = world.run("backup", "--all")
    assert (ran.status, "DANGER  the device has shrunk" in ran.out) == (3, True)
    assert "device-shrunk" in found(world, disk), "a backup of everything does not take it for granted"
    assert world.run("backup", disk).status == 3
    assert "device-shrunk" not in found(world, disk), "told to the one who named the device, and noted"


def test_a_device_that_grew(world):
    disk = world.image(data=luks2_image() + DATA)
    world.run("backup", disk)
    with disk.open("r+b") as out:
        out.truncate(disk.stat().st_size + 65536)
    grown = found(world, disk)["device-grown"]
    assert (grown["severity"], grown["next"]) == ("warning", f"luksafe backup {disk}")
    assert world.run("backup", disk).status == 0
    assert "device-grown" not in found(world, disk)


def test_luksmeta_that_is_lost_or_changed_is_drift(world, corpus):
    disk = world.folder / "disk.img"
    write_sparse(disk, corpus.data("clevis-l1-tang"))
    assert "luksmeta  clevis for keyslot 1" in world.run("show", disk).out
    assert world.run("show", disk, "--json").json["luksmeta"][0]["slot"] == 1
    world.run("backup", disk)
    assert "drift" not in found(world, disk)
    whole = disk.read_bytes()
    at = whole.index(b"LUKSMETA")
    disk.write_bytes(whole[:at] + bytes(4096) + whole[at + 4096 :])
    assert "the luksmeta data of clevis for keyslot 1 are gone" in found(world, disk)["drift"]["text"]
    disk.write_bytes(whole[: at + 4100] + b"x" + whole[at + 4101 :])
    assert "the luksmeta data of clevis for keyslot 1 changed" in found(world, disk)["drift"]["text"]


def test_show_names_the_integrity(world, corpus):
    case = next(name for name, case in corpus.cases.items() if "integrity" in name and "image" in case["files"])
    disk = world.folder / "disk.img"
    write_sparse(disk, corpus.data(case))
    assert "integrity  " in world.run("show", disk).out


def test_the_proof_of_a_detached_header_alone_does_not_decrypt_the_header(world):
    header = world.image("detached.img", luks2_image(data_offset=0))
    ran = world.run("prove", header, "--key-file", world.key_file, "--json")
    assert ran.status == 0, ran.out
    assert ran.json["data"]["checked"] is False
    assert "--data DEVICE" in ran.json["data"]["why"]


@pytest.mark.parametrize("accident", ["mkfs", "luksFormat"])
def test_list_of_a_device_whose_header_is_lost_shows_what_is_kept_of_it(world, accident):
    disk = world.image(data=luks2_image() + DATA)
    world.run("backup", disk)
    if accident == "mkfs":
        disk.write_bytes(bytes(4 << 20))
        subprocess.run(["/sbin/mkfs.ext4", "-q", "-F", disk], check=True, capture_output=True)
    else:
        disk.write_bytes(luks2_image(uuid="00000000-1111-4222-8333-444444444444") + DATA)
    ran = world.run("list", disk)
    assert UUID in ran.out
    assert "no backups" not in ran.out
    assert f"luksafe check {disk}" in ran.err
