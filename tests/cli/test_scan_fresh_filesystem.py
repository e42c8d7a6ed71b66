"""A volume that a fresh filesystem was made round: an installer's table and vfat over an untouched partition."""

from __future__ import annotations

import subprocess
from pathlib import Path

from generators.headers import UUID, encrypted, luks2_image

from .conftest import World

MIB = 1 << 20
START = 24 * MIB


def sparse_ciphertext(folder: Path) -> bytes:
    """A filesystem as a trimmed volume holds it: cipher text where it wrote, zeros where it never did."""
    plain = folder / "plain.img"
    plain.write_bytes(bytes(16 * MIB))
    subprocess.run(["mkfs.ext4", "-q", "-F", plain], check=True)
    raw = plain.read_bytes()
    whole = encrypted(raw)
    blocks = (whole[at : at + 4096] if any(raw[at : at + 4096]) else bytes(4096) for at in range(0, len(raw), 4096))
    return b"".join(blocks)


def overmade(world: World, make: str, *options: str) -> Path:
    """A disk with a GPT of one partition at 1 MiB that a fresh filesystem fills; the volume lies whole inside."""
    inner = world.folder / "inner.img"
    inner.write_bytes(bytes(62 * MIB))
    subprocess.run([make, *options, inner], check=True, stdout=subprocess.DEVNULL)
    disk = bytearray(64 * MIB)
    disk[MIB : 63 * MIB] = inner.read_bytes()
    volume = luks2_image() + sparse_ciphertext(world.folder)
    disk[START : START + len(volume)] = volume
    image = world.image("overmade.img", bytes(disk))
    lines = f"label: gpt\nstart={MIB // 512}, size={62 * MIB // 512}, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7\n"
    subprocess.run(["sfdisk", "-q", image], input=lines, text=True, check=True)
    return image


def test_the_volume_inside_a_fresh_filesystem_is_the_volume(world: World) -> None:
    for make in (
        ("mkfs.vfat", "-F", "32"),
        ("mkfs.ntfs", "-q", "-F", "-f", "-s", "512", "-p", "2048", "-H", "16", "-S", "63"),
    ):
        image = overmade(world, *make)
        ran = world.run("scan", image, "--json")
        assert [(h["offset"], h["kind"], h["uuid"]) for h in ran.json["headers"]] == [(START, "volume", UUID)]
        assert [p["start"] for p in ran.json["partitions"]] == [START]
        table = world.run("scan", image, "--table").out
        assert f"--offset {START} " in table
        assert "# start=" not in table  # such a line would overlap the partition that is listed


def test_the_key_says_whether_a_header_inside_a_filesystem_is_the_volume(world: World) -> None:
    image = overmade(world, "mkfs.vfat", "-F", "32")
    raw = bytearray(image.read_bytes())
    raw[START + MIB + 8192 : START + MIB + 65536] = (b"the text of another file\n" * 3000)[: 65536 - 8192]
    image.write_bytes(raw)
    ran = world.run("scan", image, "--key-file", world.key_file, "--json")
    (guess,) = ran.json["partitions"]
    assert (guess["start"], guess["opened"], guess["sure"]) == (START, True, True)
    assert ran.json["headers"][0]["kind"] == "volume"
    assert "the key" in ran.json["headers"][0]["why"]
    table = world.run("scan", image, "--table", "--key-file", world.key_file).out
    assert f"--offset {START} " in table


def test_a_table_of_nothing_says_so(world: World) -> None:
    image = world.image("whole.img", luks2_image()[: 1 << 20])
    for key in ((), ("--key-file", world.key_file)):
        ran = world.run("scan", image, "--table", *key)
        assert ran.out.strip()
    copy = overmade(world, "mkfs.vfat", "-F", "32")
    raw = bytearray(copy.read_bytes())
    raw[START + MIB : START + 20 * MIB] = bytes(19 * MIB)
    copy.write_bytes(raw)
    ran = world.run("scan", copy, "--table", "--key-file", world.key_file)
    assert "no commands" in ran.out
    assert "next:" in ran.out
