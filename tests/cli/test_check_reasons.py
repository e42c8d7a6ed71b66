"""Every reason for which a volume is not safe, each brought about alone, with the command that mends it."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from generators.headers import UUID, VOLUME_KEY, encrypted, luks1_image, luks2_image, with_binary, with_document
from mapping_samples import mapping

from luksafe.ops import mapping_header

DATA = bytes(range(256)) * 4096


@pytest.fixture
def safe(world):
    """A volume for which nothing is left to do: three copies, proven."""
    disk = world.image(data=luks2_image() + DATA)
    assert world.run("backup", disk).status == 0
    world.stores()
    assert world.run("prove", UUID, "--key-file", world.key_file).status == 0
    assert world.run("check", disk).status == 0
    return disk


def checked(world, *arguments: object) -> dict:
    (volume,) = world.run("check", *arguments, "--json").json["volumes"]
    return volume


def reasons(volume: dict) -> dict[str, dict]:
    return {reason["code"]: reason for reason in volume["reasons"]}


def rewrite(world, disk, change, seqid: int = 2) -> str:
    """Change the header as cryptsetup would, back it up; gives the id of the backup."""
    disk.write_bytes(with_binary(with_document(luks2_image(), change), seqid=seqid) + DATA)
    return world.run("backup", disk, "--json").json["backups"][0]["id"]


def test_a_header_that_is_gone(world, safe):
    safe.write_bytes(bytes(len(luks2_image())) + DATA)
    volume = checked(world, safe)
    assert (volume["state"], set(reasons(volume))) == ("at-risk", {"header-damaged"})
    assert reasons(volume)["header-damaged"]["next"] == f"luksafe restore {UUID} {safe} --dry-run"
    assert len(volume["copies"]) == 3


def test_a_header_with_one_bad_copy(world, safe):
    raw = bytearray(safe.read_bytes())
    raw[5000] ^= 1
    safe.write_bytes(raw)
    volume = checked(world, safe)
    assert volume["state"] == "at-risk"
    assert all(reason["next"] == f"luksafe diagnose {safe}" for reason in volume["reasons"])
    assert "header-damaged" not in reasons(volume)


def test_a_device_that_changed(world, safe):
    safe.write_bytes(with_binary(luks2_image(), seqid=2, label="renamed") + DATA)
    drift = reasons(checked(world, safe))["drift"]
    assert "renamed" in drift["text"]
    assert drift["next"] == f"luksafe backup {safe}"


def test_a_higher_sequence_id_alone_is_no_drift(world, safe):
    safe.write_bytes(with_binary(luks2_image(), seqid=2) + DATA)
    assert checked(world, safe)["state"] == "safe"


def test_a_header_without_keyslots(world, safe):
    def erase(document):
        document["keyslots"] = {}
        document["digests"]["0"]["keyslots"] = []

    rewrite(world, safe, erase)
    (reason,) = checked(world, safe)["reasons"]
    assert (reason["code"], reason["severity"]) == ("erased", "critical")


def test_a_volume_that_only_the_tpm_opens(world, safe):
    rewrite(world, safe, lambda d: d["tokens"].update({"0": {"type": "systemd-tpm2", "keyslots": ["0"]}}))
    reason = reasons(checked(world, safe))["tpm-only"]
    assert reason["next"] == f"systemd-cryptenroll --recovery-key {safe}"


def test_a_backup_whose_every_copy_is_bad(world, safe):
    for file in world.folder.glob(f"*/{UUID}/*.hdr.gz"):
        file.chmod(0o600)
        file.write_bytes(b"junk")
    ran = world.run("check", safe, "--json")
    volume = ran.json["volumes"][0]
    assert (ran.status, volume["state"]) == (10, "at-risk")
    assert {"backup-damaged", "too-few-copies"} <= set(reasons(volume))
    assert len(ran.json["stores"]) == 3


def test_two_generations_of_which_neither_is_the_later(world, safe):
    """Two headers of one sequence id, changed on two machines after the same backup."""
    away = world.folder / "away"
    shutil.copytree(world.vault, away)
    rewrite(world, safe, lambda d: d["tokens"].update({"0": {"type": "here", "keyslots": []}}))
    here, world.vault = world.vault, away
    (away / "config.toml").unlink(missing_ok=True)
    rewrite(world, safe, lambda d: d["tokens"].update({"0": {"type": "there", "keyslots": []}}))
    world.vault = here
    for file in (away / UUID).iterdir():
        if not (here / UUID / file.name).exists():
            shutil.copy(file, here / UUID)
    split = reasons(checked(world, safe))["split"]
    assert split["next"].startswith("luksafe diff ")
    assert sum(b["current"] for b in world.run("list", "--json").json["backups"]) == 2


def test_an_interrupted_write(world, safe, monkeypatch):
    safe.write_bytes(bytes(len(luks2_image())) + DATA)
    real = os.pwrite

    def killed(fd, data, offset):
        if os.readlink(f"/proc/self/fd/{fd}") == str(safe):
            raise KeyboardInterrupt
        return real(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", killed)
    assert world.run("restore", UUID, safe, "--yes").status == 130
    monkeypatch.setattr(os, "pwrite", real)
    reason = reasons(checked(world, safe))["interrupted-write"]
    assert reason["next"] == f"luksafe undo {safe}"
    refused = world.run("restore", UUID, safe, "--yes", "--json")
    assert (refused.status, refused.json["error"]["code"]) == (14, "interrupted-write")
    assert world.run("undo", safe, "--finish", "--yes").status == 0
    assert checked(world, safe)["state"] == "safe"


def test_a_store_that_is_away_is_no_danger_but_is_told(world, safe):
    shutil.move(world.folder / "store0", world.folder / "drawer")
    ran = world.run("check", safe, "--json")
    assert (ran.status, ran.json["volumes"][0]["state"]) == (3, "safe")
    assert [s["code"] for s in ran.json["stores"]] == ["store-away"]
    assert "luksafe sync" in world.run("check", safe).out


def test_a_destroyed_keyslot_in_the_backup_is_noted(world):
    raw = bytearray(luks2_image() + DATA)
    raw[65536 : 65536 + 512] = bytes(512)
    disk = world.image(data=bytes(raw))
    world.run("backup", disk)
    assert [note["code"] for note in checked(world, disk)["notes"]] == ["destroyed-keyslot"]
    assert "note: the key material of keyslot 0 of the backup is destroyed" in world.run("check", disk).out


def test_what_cannot_be_looked_at_does_not_stop_the_others(world, safe):
    ran = world.run("check", "no-such-device", safe, "--json")
    states = [volume["state"] for volume in ran.json["volumes"]]
    assert (ran.status, states) == (10, ["unknown", "safe"])
    assert ran.json["volumes"][0]["reasons"][0]["code"] == "not-found"


def test_what_cannot_be_looked_at_does_not_stop_the_others_before_there_is_a_vault(world):
    ran = world.run("check", "no-such-device", world.image(), "--json")
    volumes = ran.json["volumes"]
    assert (ran.status, [volume["state"] for volume in volumes]) == (10, ["unknown", "unprotected"])
    assert volumes[1]["uuid"] == UUID


def test_a_volume_that_the_vault_does_not_know(world, safe):
    other = world.image("other.img", luks1_image(uuid="00000000-0000-0000-0000-000000000000") + DATA)
    volume = checked(world, other)
    assert (volume["state"], set(reasons(volume))) == ("unprotected", {"no-backup"})
    blank = world.image("blank.img", bytes(1 << 20))
    volume = checked(world, blank)
    assert volume["state"] == "unprotected"
    assert reasons(volume)["no-header"]["next"] == f"luksafe diagnose {blank}"


def test_a_detached_header(world):
    header = world.image("detached.img", luks2_image(data_offset=0))
    data = world.image("data.img", DATA)
    assert checked(world, data, "--header", header)["state"] == "unprotected"
    assert world.run("backup", data, "--header", header).status == 0
    assert "no-backup" not in reasons(checked(world, data, "--header", header))


def test_a_header_that_is_gone_below_an_open_mapping(world, safe, monkeypatch):
    safe.write_bytes(bytes(len(luks2_image())) + DATA)
    monkeypatch.setattr(mapping_header, "mappings_over", lambda device: [mapping(safe)])
    found = reasons(checked(world, safe))
    assert {"open-without-header", "header-damaged"} == set(found)
    assert "home is still open" in found["open-without-header"]["text"]
    assert found["open-without-header"]["next"] == f"luksafe rebuild {safe} --from-mapping home"


@pytest.mark.parametrize("arguments", [(), ("--all",)])
def test_every_volume_of_the_machine(world, loop_device, arguments):
    device = loop_device(world.image())
    volumes = world.run("check", *arguments, "--json").json["volumes"]
    assert [v["state"] for v in volumes if v["device"] == device] == ["unprotected"]


@pytest.mark.parametrize("kind", ["image", "loop device"])
def test_copies_are_counted_by_disks_in_backup_list_check_and_stores_alike(world, loop_device, kind):
    """The vault and two stores lie on the disk that holds the image; then two others come, and a third beside one."""
    disk = world.image(data=luks2_image() + DATA)
    device = loop_device(disk) if kind == "loop device" else disk
    assert world.run("backup", device).status == 0
    for name in ("s0", "s1"):
        ran = world.run("stores", "add", name, world.folder / name)
        assert ran.status == 0
        assert f"{name} lies on the disk of home" in ran.err
    assert counted(world, device) == []
    few = reasons(checked(world, device))["too-few-copies"]
    assert few["text"].startswith("0 of 3 good copies; home lies on the disk that it is to save; s0 lies on")
    assert few["next"] == "luksafe stores add NAME DIR"
    sticks = [world.disk("stick0"), world.disk("stick1")]
    for number, path in enumerate(sticks):
        assert "lies on" not in world.run("stores", "add", f"stick{number}", path / "luksafe").err
    assert counted(world, device) == ["stick0", "stick1"]
    ran = world.run("stores", "add", "twin", sticks[0] / "another-folder", "--json")
    assert ran.json["on_disk_of"] == "stick0"
    assert counted(world, device) == ["stick0", "stick1"]
    assert world.run("stores", "--json").json["independent"] == ["home", "stick0", "stick1"]
    (sticks[1] / "luksafe").rename(sticks[1] / "drawer")
    assert counted(world, device) == ["stick0", "stick1"]
    few = reasons(checked(world, device))["too-few-copies"]
    assert few["text"].startswith("2 of 3 good copies (in stick0, stick1 (away))")


def counted(world, device) -> list[str]:
    """The copies that count, which every verb must agree on; ``backup`` counts those that it just wrote."""
    (volume,) = world.run("check", device, "--json").json["volumes"]
    (listed,) = world.run("list", "--json").json["backups"]
    assert [copy["store"] for copy in listed["copies"] if copy["counts"]] == volume["copies"]
    assert f"  {len(volume['copies'])}/3  " in world.run("list").out
    (kept,) = world.run("backup", device, "--json").json["backups"]
    assert kept["copies"] == [name for name in volume["copies"] if name not in volume["away"]]
    return volume["copies"]


def test_warnings_alone_and_a_lost_header_have_exit_statuses_of_their_own(world):
    disk = world.image(data=luks2_image() + DATA)
    assert world.run("check", disk).status == 10
    world.run("backup", disk)
    ran = world.run("check", disk, "--json")
    (volume,) = ran.json["volumes"]
    severities = {reason["code"]: reason["severity"] for reason in volume["reasons"]}
    assert severities == {"too-few-copies": "warning", "unproven": "warning"}
    assert (ran.status, volume["state"], volume["severity"]) == (3, "at-risk", "warning")
    disk.write_bytes(bytes(len(luks2_image())) + DATA)
    ran = world.run("check", disk, "--json")
    (volume,) = ran.json["volumes"]
    assert (ran.status, volume["severity"]) == (10, "critical")
    assert reasons(volume)["header-damaged"]["severity"] == "critical"


@pytest.mark.parametrize(("data", "rests_on"), [(bytes(1 << 20), "opens"), (None, "data")])
def test_safe_says_what_it_rests_on(world, data, rests_on):
    """A fresh volume opens and holds nothing that could be recognised; another one holds a filesystem."""
    disk = world.image(data=luks2_image() + (encrypted(filesystem(world.folder)) if data is None else data))
    world.run("backup", disk)
    world.stores()
    world.run("prove", UUID, "--data", disk, "--key-file", world.key_file)
    ran = world.run("check", disk, "--json")
    (volume,) = ran.json["volumes"]
    assert (volume["state"], volume["rests_on"]) == ("safe", rests_on)
    words = "by its data (ext2)" if rests_on == "data" else "by a key that opens it, not by its data"
    assert words in world.run("check", disk).out


def test_the_volume_key_alone_proves_no_way_in(world):
    """It fits whatever became of the keyslots: here the key material of the only one is noise."""
    damaged = bytearray(luks2_image() + DATA)
    damaged[0x8000 : 0x8000 + 64 * 4000] = random.Random(7).randbytes(64 * 4000)
    disk, key = world.image(data=bytes(damaged)), world.folder / "volume-key"
    key.write_bytes(VOLUME_KEY)
    world.run("backup", disk)
    world.stores()
    assert world.run("prove", disk, "--volume-key-file", key).status in (0, 3)
    volume = checked(world, disk)
    assert (volume["state"], volume["severity"]) == ("at-risk", "warning")
    assert "volume key itself" in reasons(volume)["unproven"]["text"]


def filesystem(folder: Path) -> bytes:
    plain = folder / "plain.img"
    with plain.open("wb") as out:
        out.truncate(1 << 20)
    subprocess.run(["/sbin/mkfs.ext2", "-q", plain], check=True)
    return plain.read_bytes()


def test_that_only_the_tpm_opens_it_is_asked_of_the_device(world, safe):
    """The recovery key was removed after the backup; the other way round, one was added."""
    tpm = {"0": {"type": "systemd-tpm2", "keyslots": ["0"]}}
    safe.write_bytes(with_binary(with_document(luks2_image(), lambda d: d["tokens"].update(tpm)), seqid=2) + DATA)
    assert {"tpm-only", "drift"} <= set(reasons(checked(world, safe)))
    world.run("backup", safe)
    safe.write_bytes(with_binary(luks2_image(), seqid=3) + DATA)
    assert "tpm-only" not in reasons(checked(world, safe))
