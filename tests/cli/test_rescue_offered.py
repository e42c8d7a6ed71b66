"""What a user has in a file, of each kind that the verbs take, is a way of ``luksafe rescue``."""

from __future__ import annotations

from pathlib import Path

import pytest
from generators.headers import VOLUME_KEY, luks2_image

from luksafe.errors import DamagedInput, NotFound
from luksafe.ops.rescue.offered import Offer, way_with
from luksafe.ops.workspace import Workspace

from .conftest import World


@pytest.fixture
def disk(world: World) -> Path:
    return world.image("disk.img", luks2_image() + bytes(1 << 20))


def offer(world: World, disk: Path, path: object) -> Offer:
    return way_with(Workspace(world.vault, state_folder=world.folder / "state", host="nas"), str(disk), str(path))


def commands(found: Offer) -> list[str]:
    return [" ".join(step.command[1:4]) for step in (*found.keep, *found.way.steps)]


def save_packet(world: World, disk: Path, *how: object) -> Path:
    (world.folder / "words").write_bytes(b"words")
    stick = world.folder / "stick"
    stick.mkdir()
    ran = world.run("escrow", "save", disk, "--key-file", world.key_file, *how, "--output", stick, "--yes")
    assert ran.status == 0, ran.err
    return stick


def by_passphrase(world: World) -> tuple[object, ...]:
    return ("--recipient", "passphrase", "--packet-key-file", world.folder / "words")


def test_a_header_file_is_kept_and_tried(world: World, disk: Path) -> None:
    header = world.image("header.img", luks2_image())
    assert commands(offer(world, disk, header)) == [
        f"import {header}",
        f"prove {disk} --header",
        f"restore {header} {disk}",
        f"prove {disk} --data",
    ]


def test_a_packet_its_folder_and_its_sheet(world: World, disk: Path) -> None:
    stick = save_packet(world, disk, *by_passphrase(world))
    (packet,) = stick.glob("*.age")
    for path in (packet, packet.with_suffix(".json"), stick):
        kept, applied, _ = commands(offer(world, disk, path))
        assert kept.startswith("escrow import ")
        assert applied.startswith("escrow apply ")
    pytest.importorskip("zxingcpp")
    sheet = world.folder / "sheet.pdf"
    assert world.run("paper", "print", packet, sheet).status == 0
    assert commands(offer(world, disk, sheet))[0] == f"escrow apply {sheet}"


def test_shares_one_by_one_and_as_a_folder(world: World, disk: Path) -> None:
    (world.folder / "shares").mkdir(mode=0o700)
    stick = save_packet(world, disk, "--shares", "2/3", "--shares-dir", world.folder / "shares")
    files = sorted((world.folder / "shares").iterdir())
    assert stick.is_dir()
    one = offer(world, disk, files[0]).way.steps[0]
    assert one.command[1:3] == ("escrow", "apply")
    assert one.command[-2:] == ("--share", str(files[0]))
    every = offer(world, disk, world.folder / "shares").way.steps[0]
    assert every.command.count("--share") == len(files)


def test_keys_of_other_programs(world: World, disk: Path) -> None:
    (world.folder / "raw").write_bytes(VOLUME_KEY)
    assert commands(offer(world, disk, world.folder / "raw"))[0] == f"rebuild {disk} --volume-key-file"


def test_a_backup_of_the_vault_by_its_name(world: World, disk: Path) -> None:
    world.run("backup", disk)
    (name,) = [backup["id"] for backup in world.run("list", "--json").json["backups"]]
    assert offer(world, disk, name[:8]).way.key == f"try:{name[:12]}"


def test_what_is_nothing_of_all_that_is_told(world: World, disk: Path) -> None:
    with pytest.raises(DamagedInput, match="holds no LUKS header, packet, share or key"):
        offer(world, disk, world.image("text.txt", b"only words\n" * 99))
    (world.folder / "empty").mkdir()
    with pytest.raises(DamagedInput, match="no header backup, packet, sheet, share or key is in it"):
        offer(world, disk, world.folder / "empty")
    with pytest.raises(NotFound):
        offer(world, disk, world.folder / "nowhere")
