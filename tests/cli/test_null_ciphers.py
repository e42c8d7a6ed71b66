"""Keyslots and data that are not encrypted: told by every verb, never proven, never safe."""

from __future__ import annotations

import pytest
from generators.headers import luks1_image, luks2_image, with_document


@pytest.fixture(params=["cipher_null-ecb", "capi:ecb(cipher_null)-plain64"])
def in_the_clear(world, request):
    """A LUKS1 volume of which keyslot and data have a null cipher, opened by an empty passphrase."""
    disk = world.image(data=luks1_image(encryption=request.param, passphrase=b"") + bytes(1 << 20))
    (world.folder / "empty").write_bytes(b"")
    return disk


def test_a_volume_key_in_the_clear_is_never_proven_and_never_safe(world, in_the_clear):
    disk, empty = in_the_clear, world.folder / "empty"
    assert world.run("backup", disk).status in (0, 3)
    world.stores()
    proven = world.run("prove", disk, "--key-file", empty, "--json")
    assert (proven.status, proven.json["noted_with"]) == (10, "")
    assert any("the volume key lies in the clear" in flaw for flaw in proven.json["flaws"])
    assert world.run("prove", disk, "--key-file", world.key_file).status == 11
    (volume,) = world.run("check", disk, "--json").json["volumes"]
    codes = [reason["code"] for reason in volume["reasons"]]
    assert (volume["state"], volume["severity"], codes[0]) == ("at-risk", "critical", "null-keyslot")
    assert "unproven" not in codes, "there is nothing that could prove it"
    assert world.run("show", disk).status == 3


@pytest.mark.parametrize("verb", ["show", "backup", "check", "diagnose", "prove", "diff", "restore", "extract"])
def test_every_verb_says_so(world, in_the_clear, verb):
    disk = in_the_clear
    world.run("backup", disk)
    key = ("--key-file", world.folder / "empty")
    more = {"prove": key, "diff": (disk,), "extract": (world.folder / "out", *key)}.get(verb, ())
    first = (disk,)
    if verb == "restore":
        (backup,) = world.run("list", "--json").json["backups"]
        first, more = (backup["id"], disk), ("--dry-run",)
    ran = world.run(verb, *first, *more)
    assert "the volume key lies in the clear" in " ".join((ran.err + ran.out).split())


def test_data_in_the_clear_behind_a_good_keyslot_are_told(world):
    image = with_document(luks2_image(), lambda d: d["segments"]["0"].update(encryption="cipher_null-ecb"))
    disk = world.image(data=image + bytes(1 << 20))
    world.run("backup", disk)
    proven = world.run("prove", disk, "--key-file", world.key_file, "--json")
    assert (proven.status, proven.json["opened"], len(proven.json["flaws"])) == (10, True, 1)
    assert "null-segment" in [r["code"] for r in world.run("check", disk, "--json").json["volumes"][0]["reasons"]]


def test_a_cheap_key_derivation_is_a_warning_of_show_and_check(world):
    disk = world.image(data=luks1_image() + bytes(1 << 20))
    world.run("backup", disk)
    findings = world.run("show", disk, "--json").json["findings"]
    assert [f["severity"] for f in findings if f["code"] == "weak-kdf"] == ["warning"]
    (volume,) = world.run("check", disk, "--json").json["volumes"]
    assert [each["code"] for each in volume["weaknesses"]] == ["weak-kdf"]
    assert "quickly guessed" in world.run("check", disk).out
