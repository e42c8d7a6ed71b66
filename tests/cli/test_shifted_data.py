"""A chained cipher read at a wrong place leaves all but the start of each sector in the clear: that is no proof."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from luksafe.crypto.sectors import sector_cipher
from luksafe.secret import SecretBytes

TOOLS = os.environ["PATH"] + ":/usr/sbin:/sbin"
MISSING = [tool for tool in ("cryptsetup", "mkfs.ext4") if shutil.which(tool, path=TOOLS) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
MEBIBYTE = 1 << 20
KEY = bytes(range(100, 132))
CIPHERS = ("aes-cbc-essiv:sha256", "aes-cbc-plain64")


def tool(*command: object) -> None:
    subprocess.run([*map(str, command)], check=True, capture_output=True, env={**os.environ, "PATH": TOOLS})


def made(world, luks: str, cipher: str, has_files: bool) -> Path:
    """A volume of 16 MiB and its header, made by cryptsetup; an ext4 in it, which is empty or full of text."""
    disk, plain, key, files = (world.folder / name for name in ("disk.img", "plain", "volume.key", "files"))
    files.mkdir()
    if has_files:
        (files / "text").write_bytes(b"".join(b"line %d of some text\n" % number for number in range(400_000)))
    key.write_bytes(KEY)
    tool("truncate", "-s", 16 * MEBIBYTE, plain)
    tool("mkfs.ext4", "-q", "-F", "-d", files, plain)
    tool("truncate", "-s", 2 * MEBIBYTE if luks == "luks1" else 16 * MEBIBYTE, disk)
    kdf = (
        "--pbkdf-force-iterations",
        "1000",
        *(("--pbkdf", "pbkdf2", "--sector-size", "512") if luks == "luks2" else ()),
    )
    options = ("--type", luks, "--cipher", cipher, "--key-size", "256", "--volume-key-file", key, *kdf)
    with disk.open("ab") as out:
        out.truncate(disk.stat().st_size + 16 * MEBIBYTE)
    tool("cryptsetup", "-q", "luksFormat", *options, "--key-file", world.key_file, disk)
    at = disk.stat().st_size - 16 * MEBIBYTE
    with disk.open("r+b") as out:
        out.seek(at)
        out.write(bytes(sector_cipher(cipher, SecretBytes(KEY), sector_size=512).encrypt(plain.read_bytes(), 0)))
    return disk


def before(kind: str) -> bytes:
    return {"zeros": bytes(MEBIBYTE), "noise": random.Random(4).randbytes(MEBIBYTE)}[kind]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "has_files", "is_known"), [("zeros", False, False), ("noise", True, True), ("zeros", True, False)]
)
@pytest.mark.parametrize("cipher", CIPHERS)
@pytest.mark.parametrize("luks", ["luks1", "luks2"])
def test_a_volume_shifted_by_a_mebibyte_proves_nothing(world, luks, cipher, kind, has_files, is_known):
    disk = made(world, luks, cipher, has_files)
    backup = world.run("backup", disk, "--json").json["backups"][0]["id"]
    if is_known:
        ran = world.run("prove", disk, "--key-file", world.key_file, "--json")
        assert (ran.status, ran.json["data"]["found"], ran.json["noted_as"]) == (0, "ext4", "data")
    whole = disk.read_bytes()
    for name, content in (("later", before(kind) + whole), ("earlier", whole[MEBIBYTE:])):
        shifted = world.image(f"{name}.img", content)
        ran = world.run("prove", backup, "--data", shifted, "--key-file", world.key_file, "--json")
        assert (ran.status, ran.json["noted_with"], ran.json["data"]["makes_sense"]) in (
            (10, "", False),
            (10, "", None),
        )
        assert "proven:" not in world.run("prove", backup, "--data", shifted, "--key-file", world.key_file).out[:8]
        restored = ("restore", backup, shifted, "--key-file", world.key_file, "--json")
        dry = world.run(*restored, "--dry-run")
        assert (dry.status, dry.json["plan"]["evidence"]["proven"]) == (14, False)
        flags = [word for danger in dry.json["plan"]["dangers"] for word in danger["flag"].split()]
        assert world.run(*restored, "--yes", *flags).status in (0, 3)
        assert world.run("prove", shifted, "--key-file", world.key_file).status == 10
        assert world.run("check", shifted, "--json").json["volumes"][0]["state"] != "safe"


@pytest.mark.parametrize("cipher", CIPHERS)
def test_data_that_moved_on_their_own_device_are_a_danger_where_they_were_recognised(world, cipher):
    disk = made(world, "luks2", cipher, has_files=True)
    backup = world.run("backup", disk, "--json").json["backups"][0]["id"]
    assert world.run("prove", disk, "--key-file", world.key_file).status == 0
    whole = disk.read_bytes()
    start = len(whole) - 16 * MEBIBYTE
    disk.write_bytes(bytes(start) + (before("noise") + whole[start:])[: 16 * MEBIBYTE])
    ran = world.run("restore", backup, disk, "--key-file", world.key_file, "--dry-run", "--json")
    assert (ran.status, ran.json["plan"]["evidence"]["proven"]) == (14, False)
    assert [danger["code"] for danger in ran.json["plan"]["dangers"]] == ["data-noise"]
