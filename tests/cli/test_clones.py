"""Two devices with one UUID: each is judged by its own lineage, and neither is the past of the other."""

from __future__ import annotations

import shutil

import pytest
from generators.headers import UUID, luks2_image, with_binary, with_document

DATA = bytes(range(256)) * 4096


def with_token(name: str, seqid: int) -> bytes:
    """The header after a change, as cryptsetup would write it."""
    change = {"0": {"type": name, "keyslots": []}}
    return with_binary(with_document(luks2_image(), lambda d: d["tokens"].update(change)), seqid=seqid) + DATA


def without_the_old_passphrase(seqid: int) -> bytes:
    def written_anew(document):
        document["keyslots"]["0"]["kdf"]["salt"] = "AAAA"

    return with_binary(with_document(luks2_image(), written_anew), seqid=seqid) + DATA


@pytest.fixture
def pair(world):
    """An image that was backed up and then copied."""
    original = world.image("original.img", luks2_image() + DATA)
    assert world.run("backup", original).status == 0
    clone = world.folder / "clone.img"
    shutil.copy(original, clone)
    return original, clone


def checked(world, device) -> dict:
    (volume,) = world.run("check", device, "--json").json["volumes"]
    return {found["code"]: found for found in (*volume["reasons"], *volume["notes"])}


def states(world) -> dict[str, bool]:
    return {backup["id"]: backup["current"] for backup in world.run("list", "--json").json["backups"]}


def test_a_backup_of_the_clone_makes_that_of_the_original_no_older_one(world, pair):
    original, clone = pair
    clone.write_bytes(without_the_old_passphrase(2))
    kept = world.run("backup", clone, "--json").json["backups"][0]["id"]
    assert all(states(world).values())
    for device in pair:
        found = checked(world, device)
        assert not {"not-current", "drift", "split", "revoked-keyslots"} & set(found), device
        assert "clone" in found
    assert "luksafe forget" not in world.run("check", original).out + world.run("check", clone).out
    again = world.run("backup", original, "--json").json["backups"][0]
    assert (again["new"], again["returned"], again["changes"]) == (False, False, [])
    assert kept in states(world)


def test_when_the_clone_is_unplugged_again_nothing_changes_for_the_original(world, pair):
    original, clone = pair
    clone.write_bytes(without_the_old_passphrase(2))
    world.run("backup", clone)
    clone.unlink()
    assert not {"not-current", "drift", "split", "revoked-keyslots"} & set(checked(world, original))


def test_each_goes_on_by_itself(world, pair):
    original, clone = pair
    clone.write_bytes(with_token("clone", 2))
    world.run("backup", clone)
    original.write_bytes(with_token("original", 2))
    assert "drift" in checked(world, original)
    change = world.run("backup", original, "--json").json["backups"][0]["changes"]
    assert change == ["sequence id 1 → 2", "token 0 added: token of the unknown type 'original'"]
    clone.write_bytes(with_token("clone-again", 3))
    world.run("backup", clone)
    assert sum(states(world).values()) == 2
    for device in pair:
        assert not {"not-current", "drift", "split"} & set(checked(world, device)), device


def test_a_clone_that_was_unplugged_when_its_original_changed(world, pair):
    """Its header is that of an older backup, which was taken of another device that is here: so it is no older one."""
    original, clone = pair
    original.write_bytes(with_token("original", 2))
    world.run("backup", original)
    assert not {"not-current", "drift"} & set(checked(world, clone))


def test_a_clone_formatted_over_is_lost_though_the_original_is_here(world, pair):
    original, clone = pair
    clone.write_bytes(with_token("clone", 2))
    world.run("backup", clone)
    clone.write_bytes(bytes(4 << 20))
    volumes = {v["device"]: v for v in world.run("check", "--all", "--json").json["volumes"]}
    assert volumes[str(clone)]["severity"] == "critical"
    assert volumes[str(original)]["severity"] == "warning"
    (backup,) = [b for b in world.run("list", "--json").json["backups"] if b["device"] == str(clone)]
    (reason,) = [r for r in volumes[str(clone)]["reasons"] if r["code"] == "header-damaged"]
    assert reason["next"] == f"luksafe restore {backup['id'][:12]} {clone} --dry-run"


def test_the_same_device_that_went_back_is_still_told(world, pair):
    original, clone = pair
    clone.unlink()
    original.write_bytes(with_token("later", 2))
    world.run("backup", original)
    original.write_bytes(luks2_image() + DATA)
    assert "not-current" in checked(world, original)
    assert world.run("check", original, "--json").json["volumes"][0]["uuid"] == UUID
