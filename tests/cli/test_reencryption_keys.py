"""A volume in reencryption has two volume keys, or will have none: which passphrase was proven for which."""

from __future__ import annotations

import shutil
import subprocess

import pytest

pytestmark = pytest.mark.skipif(shutil.which("cryptsetup") is None, reason="cryptsetup is not installed")

CHEAP = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "-q")


def cryptsetup(*words: object) -> None:
    subprocess.run(["cryptsetup", *map(str, words)], check=True, capture_output=True)


@pytest.fixture
def formatted(world):
    """An image that cryptsetup formatted, 40 MiB."""
    disk = world.folder / "disk.img"
    disk.touch()
    disk.write_bytes(b"")
    with disk.open("r+b") as out:
        out.truncate(40 << 20)
    cryptsetup("luksFormat", "--type", "luks2", *CHEAP, disk, world.key_file)
    return disk


def test_a_decryption_in_progress_is_proven(world, formatted):
    header = world.folder / "header.img"
    options = ("--decrypt", "--init-only", "--force-offline-reencrypt", *CHEAP)
    cryptsetup("reencrypt", *options, "--header", header, "--key-file", world.key_file, formatted)
    cryptsetup("open", "--test-passphrase", "--header", header, "--key-file", world.key_file, formatted)
    proven = world.run("prove", formatted, "--header", header, "--key-file", world.key_file, "--json")
    assert (proven.status, proven.json["opened"]) == (0, True)


def begin(world, disk) -> None:
    cryptsetup("reencrypt", "--init-only", "--force-offline-reencrypt", *CHEAP, "--key-file", world.key_file, disk)


def damage(disk, keyslot: int) -> None:
    """Overwrite the middle of a keyslot's area (each has 256 KiB, from 32 KiB on, in a header of cryptsetup's)."""
    with disk.open("r+b") as out:
        out.seek(32768 + keyslot * 258048 + 60000)
        out.write(bytes(range(256)) * 16)


def test_a_proof_is_of_every_key_that_the_passphrase_opens(world, formatted):
    begin(world, formatted)
    world.run("backup", formatted)
    proven = world.run("prove", formatted, "--key-file", world.key_file, "--json")
    assert (proven.status, sorted(proven.json["digests"]), proven.json["unproven_digests"]) == (0, [0, 1], [])


def test_half_a_proof_of_a_reencryption_is_told_and_is_not_safe(world, formatted):
    begin(world, formatted)
    damage(formatted, 0)
    world.run("backup", formatted)
    world.stores()
    proven = world.run("prove", formatted, "--key-file", world.key_file, "--json")
    assert (proven.status, proven.json["digests"], proven.json["unproven_digests"]) == (3, [1], [0])
    (volume,) = world.run("check", formatted, "--json").json["volumes"]
    codes = {reason["code"] for reason in volume["reasons"]}
    assert volume["state"] == "at-risk"
    assert {"unproven", "reencryption"} <= codes


def test_a_volume_in_reencryption_is_never_safe_and_says_how_far_it_is_and_how_to_end_it(world, formatted):
    begin(world, formatted)
    world.run("backup", formatted)
    world.stores()
    assert world.run("prove", formatted, "--key-file", world.key_file).status == 0
    (volume,) = world.run("check", formatted, "--json").json["volumes"]
    (reason,) = volume["reasons"]
    assert (volume["state"], reason["code"]) == ("at-risk", "reencryption")
    assert "0 of" in reason["text"]
    assert reason["next"] == f"cryptsetup reencrypt --resume-only --force-offline-reencrypt {formatted}"
    cryptsetup(*reason["next"].split()[1:], "--key-file", world.key_file)
    kept = world.run("backup", formatted, "--json").json["backups"][0]["id"]
    # the data were never written, so what they decrypt to now is noise: the header alone is proven
    assert world.run("prove", kept, "--key-file", world.key_file).status == 0
    after = world.run("check", formatted, "--json").json["volumes"][0]
    assert after["state"] == "safe", after["reasons"]


def test_a_volume_decrypted_on_purpose_is_said_to_be_that_and_nothing_is_to_be_restored(world, formatted):
    world.run("backup", formatted)
    world.run("prove", formatted, "--key-file", world.key_file)
    header = world.folder / "header.img"
    options = ("--decrypt", "--force-offline-reencrypt", *CHEAP, "--key-file", world.key_file)
    cryptsetup("reencrypt", *options, "--header", header, formatted)
    (volume,) = world.run("check", formatted, "--header", header, "--json").json["volumes"]
    (reason,) = volume["reasons"]
    assert (reason["code"], reason["severity"]) == ("decrypted", "warning")
    assert "in the clear" in reason["text"]
    assert reason["next"] == f"luksafe diagnose {formatted} --header {header}"
