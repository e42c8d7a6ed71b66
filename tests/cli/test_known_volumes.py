"""What the vault knows and the machine no longer has: formatted over, replaced, gone, unplugged."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from generators.headers import (
    CHEAP_ARGON2,
    PASSPHRASE,
    UUID,
    VOLUME_KEY,
    encrypted,
    luks2_image,
    seeded_bytes,
    with_binary,
)

from luksafe.device import discover
from luksafe.luks.create import Parameters, create_header
from luksafe.ops import roster
from luksafe.ops.workspace import Workspace
from luksafe.secret import SecretBytes

DATA = bytes(range(256)) * 4096
OTHER = "00000000-1111-4222-8333-444444444444"


@pytest.fixture
def kept(world, monkeypatch):
    """An image that was backed up, on a machine without any other volume."""
    monkeypatch.setattr(discover, "all_nodes", lambda: iter(()))
    monkeypatch.setattr(roster, "all_nodes", lambda: iter(()))
    disk = world.image(data=luks2_image() + DATA)
    assert world.run("backup", disk).status == 0
    return disk


def everything(world, status: int) -> list[dict]:
    ran = world.run("check", "--all", "--json")
    assert ran.status == status, ran.out + ran.err
    return ran.json["volumes"]


def codes(volume: dict) -> dict[str, dict]:
    return {reason["code"]: reason for reason in (*volume["reasons"], *volume["notes"])}


def formatted(disk) -> None:
    disk.write_bytes(bytes(4 << 20))
    subprocess.run(["/sbin/mkfs.ext4", "-q", "-F", disk], check=True, capture_output=True)


def made_anew() -> bytes:
    """What ``luksFormat`` makes: another UUID, other salts."""
    parameters = Parameters("luks2", OTHER, "aes-xts-plain64", 1 << 20)
    key, passphrase = SecretBytes(VOLUME_KEY), SecretBytes(PASSPHRASE)
    return create_header(parameters, key, passphrase, CHEAP_ARGON2, seeded_bytes(2))


def filesystem(folder) -> bytes:
    plain = folder / "plain.img"
    with plain.open("wb") as out:
        out.truncate(1 << 20)
    subprocess.run(["/sbin/mkfs.ext2", "-q", plain], check=True)
    return plain.read_bytes()


def test_a_volume_that_the_vault_knows_is_checked_though_nothing_shows_it(world, kept):
    (volume,) = everything(world, 3)
    assert (volume["uuid"], volume["device"]) == (UUID, str(kept))
    assert set(codes(volume)) == {"too-few-copies", "unproven"}


def test_the_only_volume_formatted_over_is_the_loudest_line(world, kept):
    formatted(kept)
    (volume,) = everything(world, 10)
    assert (volume["uuid"], volume["severity"]) == (UUID, "critical")
    lost = codes(volume)["header-damaged"]
    assert "ext4 is there now" in lost["text"]
    assert lost["next"] == f"luksafe restore {UUID} {kept} --dry-run"
    ran = world.run("backup", "--all")
    assert ran.status == 10
    assert f"LOST    {UUID}: no LUKS header is on {kept} any more; known by its path alone" in ran.out
    assert f"luksafe restore {UUID} {kept} --dry-run" in ran.out


def test_beside_others_the_lost_one_does_not_vanish(world, kept, loop_device, monkeypatch):
    other = world.image("other.img", luks2_image(uuid=OTHER) + DATA)
    assert world.run("backup", other).status == 0
    formatted(kept)
    states = {volume["uuid"]: volume["severity"] for volume in everything(world, 10)}
    assert states == {UUID: "critical", OTHER: "warning"}
    ran = world.run("backup", "--all", "--json")
    assert ran.status == 3
    assert [backup["uuid"] for backup in ran.json["backups"]] == [OTHER]
    assert [(lost["uuid"], lost["fate"]) for lost in ran.json["missing"]] == [(UUID, "lost")]


def test_a_mistaken_format_is_a_lost_volume_and_not_a_new_one(world, kept):
    kept.write_bytes(made_anew() + DATA)
    ran = world.run("check", kept, "--json")
    (volume,) = ran.json["volumes"]
    assert (ran.status, volume["uuid"], volume["state"]) == (10, UUID, "at-risk")
    lost = codes(volume)["replaced"]
    assert f"the volume {UUID} that was here is lost" in lost["text"]
    assert "its path alone" in lost["text"]
    assert lost["next"] == f"luksafe restore {volume['backup_id'][:12]} {kept} --dry-run"
    assert not any(f"luksafe backup {kept}" in reason["next"] for reason in codes(volume).values())
    assert f"LOST    {UUID}" in world.run("backup", "--all").out


def test_a_backup_of_the_new_header_does_not_silence_the_lost_volume(world, kept):
    kept.write_bytes(made_anew() + DATA)
    ran = world.run("backup", kept)
    assert ran.status == 3
    assert f"DANGER  the volume {UUID} that was here is lost" in ran.out
    (volume,) = world.run("check", kept, "--json").json["volumes"]
    assert (volume["uuid"], codes(volume)["replaced"]["severity"]) == (OTHER, "critical")


def test_a_new_volume_in_use_took_the_place_of_the_old_one_on_purpose(world, kept):
    kept.write_bytes(made_anew() + encrypted(filesystem(world.folder)))
    world.run("backup", kept)
    assert world.run("prove", OTHER, "--data", kept, "--key-file", world.key_file).status == 0
    (volume,) = world.run("check", kept, "--json").json["volumes"]
    assert volume["severity"] == "warning"
    assert "replaced" in {note["code"] for note in volume["notes"]}
    assert "LOST" not in world.run("backup", "--all").out


def test_a_new_uuid_alone_is_no_other_volume(world, kept):
    """``cryptsetup luksUUID``: salts and digests are as before."""
    kept.write_bytes(with_binary(luks2_image(), uuid=OTHER) + DATA)
    assert "lost" not in world.run("check", kept).out.lower().replace("the last", "")


def test_an_unplugged_disk_is_absent_and_not_lost(world, kept, monkeypatch):
    shutil.move(kept, world.folder / "drawer.img")
    (volume,) = everything(world, 3)  # too few copies, never proven
    assert codes(volume)["absent"]["severity"] == "warning"
    assert "absent" in {note["code"] for note in volume["notes"]}
    assert "accepted for 90 days" in codes(volume)["absent"]["text"]
    assert "lost" not in world.run("check", "--all").out.lower()
    now = datetime.now(UTC)
    monkeypatch.setattr(Workspace, "__init__", _later(now + timedelta(days=91)))
    (volume,) = everything(world, 3)
    assert "absent" in {reason["code"] for reason in volume["reasons"]}
    monkeypatch.undo()


def _later(moment):
    real = Workspace.__init__

    def init(self, *args, **kwargs):
        real(self, *args, **{**kwargs, "now": lambda: moment})

    return init


def test_backup_of_everything_names_what_is_absent(world, kept):
    shutil.move(kept, world.folder / "drawer.img")
    ran = world.run("backup", "--all")
    assert ran.status == 0
    assert f"absent  {UUID}: its device ({kept}) is not here: last seen" in ran.out


def test_how_long_it_was_not_seen_counts_from_the_last_check(world, kept, monkeypatch):
    now = datetime.now(UTC)
    monkeypatch.setattr(Workspace, "__init__", _later(now + timedelta(days=60)))
    everything(world, 3)
    shutil.move(kept, world.folder / "drawer.img")
    (volume,) = everything(world, 3)
    assert f"last seen {(now + timedelta(days=60)).isoformat()[:10]}" in codes(volume)["absent"]["text"]
    monkeypatch.undo()


def test_volumes_of_other_machines_are_theirs_to_look_for(world, kept, monkeypatch):
    shutil.move(kept, world.folder / "drawer.img")
    monkeypatch.setattr(Workspace, "host_name", property(lambda self: "another-host"))
    assert world.run("check", "--all").status == 15


def test_a_loop_device_and_its_image_are_one_place(world, loop_device):
    disk = world.image(data=luks2_image() + DATA)
    device = loop_device(disk)
    assert world.run("backup", device).status == 0
    disk.write_bytes(made_anew() + DATA)
    volumes = world.run("check", "--all", "--json").json["volumes"]
    assert [volume["device"] for volume in volumes if volume["uuid"] == UUID] == [device]
