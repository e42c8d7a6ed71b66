"""Every kind of place by every kind of backup by with a key or without: what a restore refuses, and what it ends in."""

from __future__ import annotations

import random
import uuid
import zlib
from dataclasses import dataclass
from pathlib import Path

import pytest
from generators.headers import (
    CHEAP_ARGON2,
    PASSPHRASE,
    encrypted,
    luks2_image,
    seeded_bytes,
    with_binary,
    with_document,
)

from luksafe.luks.create import Parameters, create_header
from luksafe.secret import SecretBytes

HEADER_BYTES = 1 << 20
PLACES = (
    "right",
    "unrelated",
    "other size",
    "whole disk",
    "partition",
    "clone",
    "shifted",
    "formatted again",
    "header gone",
    "header gone, elsewhere",
)
BACKUPS = ("current", "older", "damaged", "foreign")
OTHER_UUID = "99999999-6f54-4f0a-8a1b-0123456789ab"


def noise(size: int, seed: int = 5) -> bytes:
    return random.Random(seed).randbytes(size)


def swap_area() -> bytes:
    data = bytearray(noise(1 << 20, 3))
    data[:4096] = bytes(4096)
    data[1024:1028], data[1028:1032] = (1).to_bytes(4, "little"), (255).to_bytes(4, "little")
    data[1036:1052], data[4086:4096] = bytes(range(16)), b"SWAPSPACE2"
    return bytes(data)


def second_keyslot(document: dict) -> None:
    slot = document["keyslots"]["0"]
    document["keyslots"]["1"] = {**slot, "area": {**slot["area"], "offset": "294912"}}
    document["keyslots"]["1"]["kdf"] = {**slot["kdf"], "salt": "AAAA"}
    document["digests"]["0"]["keyslots"] = ["0", "1"]


def other_volume() -> bytes:
    """The header of another volume: its own UUID, key, and keyslot, which the same passphrase opens."""
    parameters = Parameters("luks2", OTHER_UUID, "aes-xts-plain64", HEADER_BYTES)
    key = SecretBytes(bytes(range(64, 128)))
    return create_header(parameters, key, SecretBytes(PASSPHRASE), CHEAP_ARGON2, seeded_bytes(9))


def gpt_disk(inside: bytes, start: int) -> bytes:
    """A disk with a GPT, and one partition that holds ``inside``."""
    size = start + len(inside) + (1 << 20)
    disk = bytearray(size)
    disk[start : start + len(inside)] = inside
    last = size // 512 - 1
    entry = uuid.UUID("ca7d7ccb-63ed-4c53-861c-1742536059cc").bytes_le + uuid.UUID(int=7).bytes_le
    entry += (start // 512).to_bytes(8, "little") + ((start + len(inside)) // 512 - 1).to_bytes(8, "little")
    entries = entry.ljust(128, b"\0").ljust(128 * 128, b"\0")

    def header(here: int, there: int, table: int) -> bytes:
        raw = bytearray(b"EFI PART" + b"\0\0\1\0" + (92).to_bytes(4, "little") + bytes(8))
        raw += here.to_bytes(8, "little") + there.to_bytes(8, "little")
        raw += (34).to_bytes(8, "little") + (last - 33).to_bytes(8, "little") + uuid.UUID(int=1).bytes_le
        raw += table.to_bytes(8, "little") + (128).to_bytes(4, "little") + (128).to_bytes(4, "little")
        raw += zlib.crc32(entries).to_bytes(4, "little")
        raw[16:20] = zlib.crc32(raw).to_bytes(4, "little")
        return bytes(raw)

    disk[446:462] = b"\0\0\2\0\xee\xff\xff\xff\1\0\0\0" + min(last, 0xFFFFFFFF).to_bytes(4, "little")
    disk[510:512] = b"\x55\xaa"
    disk[512:604], disk[1024 : 1024 + len(entries)] = header(1, last, 2), entries
    disk[last * 512 : last * 512 + 92] = header(last, 1, last - 32)
    disk[(last - 32) * 512 : last * 512] = entries
    return bytes(disk)


@dataclass
class Scene:
    """A vault with two backups of a volume, one of another, and the places."""

    world: object
    backups: dict[str, object]
    places: dict[str, Path]


@pytest.fixture
def scene(world) -> Scene:
    """The volume's header got a second keyslot after the older backup; a proof by its data lies in the vault."""
    world.stores(2)
    data = encrypted(swap_area())
    old_header = luks2_image()
    material = bytearray(with_binary(with_document(old_header, second_keyslot), seqid=3))
    material[294912 : 294912 + 256000] = noise(256000)
    header = bytes(material)
    disk = world.image("disk.img", old_header + data)
    older = world.run("backup", disk, "--json").json["backups"][0]["id"]
    disk.write_bytes(header + data)
    current = world.run("backup", disk, "--json").json["backups"][0]["id"]
    assert world.run("prove", disk, "--key-file", world.key_file).status == 0
    foreign_disk = world.image("foreign.img", other_volume() + noise(1 << 20))
    foreign = world.run("backup", foreign_disk, "--json").json["backups"][0]["id"]
    foreign_disk.unlink()
    bad = bytearray(header)
    bad[16384 + 5000] ^= 1
    gone = bytes(HEADER_BYTES) + data
    contents = {
        "unrelated": noise(len(header + data), 11),
        "other size": header + data + noise(1 << 20),
        "whole disk": gpt_disk(header + data, 9437184),
        "partition": (header + data)[HEADER_BYTES // 2 :],
        "clone": header + data,
        "shifted": noise(4096 * 64, 12) + header + data,
        "header gone, elsewhere": gone,
    }
    places = {"right": disk, "formatted again": disk, "header gone": disk}
    places |= {name: world.image(f"{name.replace(', ', '-').replace(' ', '-')}.img", c) for name, c in contents.items()}
    backups = {
        "current": current,
        "older": older,
        "damaged": world.image("damaged.hdr", bytes(bad)),
        "foreign": foreign,
    }
    return Scene(world, backups, places)


def prepare(scene: Scene, place: str) -> tuple[Path, bytes]:
    """The place as it is before the restore."""
    path = scene.places[place]
    if place == "formatted again":
        path.write_bytes(other_volume() + path.read_bytes()[HEADER_BYTES:])
    if place == "header gone":
        path.write_bytes(bytes(HEADER_BYTES) + path.read_bytes()[HEADER_BYTES:])
    return path, path.read_bytes()


RIGHT = {
    ("right", "current"),
    ("clone", "current"),
    ("header gone", "current"),
}
"""Where nothing may be asked for, with a key or without."""
NOTHING_TO_WRITE = {("formatted again", "foreign")}
"""The device holds this very header: nothing is asked for, as nothing is written; a key tells of the noise."""
RIGHT_WITH_KEY = RIGHT | {
    ("other size", "current"),
    ("formatted again", "current"),
    ("header gone, elsewhere", "current"),
}
HOLDS_THE_DATA = {"right", "other size", "clone", "formatted again", "header gone", "header gone, elsewhere"}


@pytest.mark.slow
@pytest.mark.parametrize("with_key", [False, True], ids=["without", "with key"])
@pytest.mark.parametrize("backup", BACKUPS)
@pytest.mark.parametrize("place", PLACES)
def test_every_cell(scene, place, backup, with_key):
    world = scene.world
    path, before = prepare(scene, place)
    key = ["--key-file", world.key_file] if with_key else []
    dry = world.run("restore", scene.backups[backup], path, "--dry-run", "--json", *key)
    plan = dry.json["plan"]
    flags = list(dict.fromkeys(d["flag"] for d in plan["dangers"]))
    codes = [d["code"] for d in plan["dangers"]]
    evidence = plan["evidence"]
    row = f"| {place} | {backup} | {'yes' if with_key else 'no'} | {evidence['grade']} | {', '.join(flags) or '–'} |"
    is_right = (place, backup) in (RIGHT_WITH_KEY if with_key else RIGHT | NOTHING_TO_WRITE)
    assert (dry.status == 0) is is_right, codes
    assert evidence["proven"] is (with_key and backup != "foreign" and place in HOLDS_THE_DATA)
    words = [word for flag in flags for word in flag.split()]
    if not is_right:
        refused = world.run("restore", scene.backups[backup], path, "--yes", *key)
        assert refused.status == 14
        assert path.read_bytes() == before
    done = world.run("restore", scene.backups[backup], path, "--yes", *words, *key, "--json")
    assert done.status in (0, 3)
    proof = world.run("prove", path, "--key-file", world.key_file, "--json")
    check = world.run("check", path, "--json").json["volumes"][0]
    is_own = backup != "foreign" and place in HOLDS_THE_DATA
    assert (proof.status in (0, 3) and proof.json["data"]["found"] == "swap") is is_own
    if not is_own:
        assert (proof.status, proof.json["noted_with"]) == (10, "")
        assert check["state"] != "safe", check
    print(row)  # last, as each run of a verb takes what was printed; pytest -rP shows the table
