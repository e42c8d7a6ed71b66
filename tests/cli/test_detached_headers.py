"""A header that lies apart from its data: no command may put it over them, and every command named finds it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from cli.conftest import World
from generators.headers import document_of, encrypted, luks2_image, seeded_bytes, with_document

from luksafe.luks.model import Json

HEADER_BYTES = 1 << 20
PLAIN = b"".join(bytes([number % 251]) * 512 for number in range(8192))


@dataclass
class Apart:
    """A header file, the device with the data, the backup that was made of both."""

    header: Path
    data: Path
    backup: str


@pytest.fixture
def apart(world: World) -> Apart:
    world.stores(1)
    header = world.image(
        "header.img", luks2_image(data_offset=0, keyslots_size=HEADER_BYTES - 32768).ljust(HEADER_BYTES, b"\0")
    )
    data = world.image("data.img", encrypted(PLAIN))
    ran = world.run("backup", data, "--header", header, "--json")
    return Apart(header, data, ran.json["backups"][0]["id"][:12])


def spoil(path: Path, start: int, end: int) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(seeded_bytes(3)(end - start))


def test_restoring_it_over_its_data_is_refused(world: World, apart: Apart) -> None:
    before = apart.data.read_bytes()
    ran = world.run("restore", apart.backup, apart.data, "--yes", "--json")
    assert (ran.status, ran.json["error"]["code"]) == (14, "over-data")
    assert f"luksafe export {apart.backup} FILE" in ran.err
    shown = world.run("restore", apart.backup, apart.data, "--dry-run")
    assert (shown.status, f"next: luksafe export {apart.backup} FILE" in shown.out) == (14, True)
    assert "next: luksafe restore" not in shown.out
    assert apart.data.read_bytes() == before


def test_restoring_it_to_its_own_place_needs_no_flag(world: World, apart: Apart) -> None:
    whole = apart.header.read_bytes()
    spoil(apart.header, 0, 40000)
    assert world.run("restore", apart.backup, apart.header, "--yes").status == 0
    assert world.run("prove", apart.data, "--header", apart.header, "--key-file", world.key_file).status == 0
    assert apart.header.read_bytes()[:32768] == whole[:32768]


@pytest.mark.parametrize("verb", ["diagnose", "check", "rescue"])
def test_the_device_alone_is_not_told_to_take_it(world: World, apart: Apart, verb: str) -> None:
    ran = world.run(verb, apart.data, "--json")
    assert "restore" not in ran.out
    assert "--header" in ran.out
    if verb == "diagnose":
        assert not ran.json["overwritten_by"]
        assert f"luksafe export {apart.backup} FILE" in ran.json["next"]


def test_commands_name_the_header(world: World, apart: Apart) -> None:
    volume = f"{apart.data} --header {apart.header}"
    healthy = world.run("diagnose", apart.data, "--header", apart.header, "--json")
    assert healthy.json["next"] == [f"luksafe check {volume}", f"luksafe prove {volume}"]
    spoil(apart.header, 300, 5000)
    for named in ((apart.data, "--header", apart.header), (apart.header, "--data", apart.data)):
        assert world.run("diagnose", *named, "--json").json["next"] == [f"luksafe repair {apart.header}"]
    spoil(apart.header, 0, 40000)
    lost = world.run("diagnose", apart.data, "--header", apart.header, "--json").json["next"]
    assert f"luksafe restore {apart.backup} {apart.header} --dry-run" in lost
    checked = world.run("check", apart.data, "--header", apart.header)
    assert f"{apart.header} --dry-run" in checked.out


def test_plain_text_that_is_still_to_be_encrypted_is_no_damage(world: World) -> None:
    def begun(document: Json) -> None:
        document["config"]["requirements"] = {"mandatory": ["online-reencrypt-v2"]}
        final = {**document["segments"]["0"], "flags": ["backup-final"]}
        plain = {"type": "linear", "offset": "0", "size": "dynamic"}
        document["segments"] = {"0": plain, "1": {**plain, "flags": ["backup-previous"]}, "2": final}
        document["digests"]["0"]["segments"] = ["2"]
        area = {"type": "none", "offset": "290816", "size": "4096"}
        state = {"type": "reencrypt", "key_size": 1, "mode": "encrypt", "direction": "forward", "area": area}
        document["keyslots"]["1"] = state

    header = world.image("header.img", with_document(luks2_image(data_offset=0), begun).ljust(1 << 20, b"\0"))
    assert document_of(header.read_bytes())["segments"]["0"]["type"] == "linear"
    swap = bytes(4086) + b"SWAPSPACE2"
    swap = swap[:1024] + (1).to_bytes(4, "little") + (1023).to_bytes(4, "little") + swap[1032:]
    data = world.image("data.img", swap.ljust(4 << 20, b"\0"))
    found = world.run("diagnose", data, "--header", header, "--json").json
    assert found["overwritten_by"] == []
    assert f"cryptsetup reencrypt --resume-only --force-offline-reencrypt --header {header} {data}" in found["next"]
