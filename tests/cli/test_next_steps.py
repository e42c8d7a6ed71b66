"""What a message says to do next can be done as it is typed."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from generators.headers import VOLUME_KEY, luks2_image

from luksafe.crypto.kdf_limits import KdfLimits
from luksafe.errors import Unsupported
from luksafe.ops.scan.checkpoint import Checkpoint, write_checkpoint

from .conftest import World


def test_a_packet_passphrase_without_a_terminal_names_its_option(world: World, tmp_path: Path) -> None:
    pass_file = tmp_path / "pass"
    pass_file.write_bytes(b"x")
    ran = world.process("escrow", "save", world.image(), "--recipient", "passphrase", "--key-file", pass_file)
    assert ran.status == 2
    assert "--packet-key-file FILE" in ran.err


def test_memory_that_is_not_there_is_said_before_any_option() -> None:
    with pytest.raises(Unsupported, match="are free"):
        KdfLimits(available_memory_kib=1 << 20).check_argon2(time=1 << 20, memory_kib=(1 << 32) - 1)


def test_a_sparse_file_is_searched_without_its_holes(world: World) -> None:
    image = world.image()
    os.truncate(image, 4 << 40)
    ran = world.run("scan", image, "--once")
    assert "LUKS2" in ran.out or "luks2" in ran.out


def test_the_state_of_a_scan_is_private(tmp_path: Path) -> None:
    state = tmp_path / "state"
    write_checkpoint(state, Checkpoint("disk", 1))
    assert stat.S_IMODE(state.stat().st_mode) == 0o600


def test_a_dry_run_ends_with_the_command_that_writes(world: World) -> None:
    disk = world.image()
    backup = world.folder / "header.img"
    backup.write_bytes(disk.read_bytes()[: 1 << 20])
    disk.write_bytes(b"\0" * 1080 + b"\x53\xef" + bytes((2 << 20) - 1082))
    plan = world.process("restore", backup, disk, "--dry-run")
    flags = [d["flag"] for d in world.process("restore", backup, disk, "--dry-run", "--json").json["plan"]["dangers"]]
    assert plan.status == (14 if flags else 0)
    line = plan.out.splitlines()[-1]
    assert line.startswith("next: luksafe --vault ")
    assert line.endswith(" ".join([f"restore {backup} {disk}", *dict.fromkeys(flags)]))


def test_the_flags_of_a_dry_run_go_where_it_stood_and_only_those_that_are_missing(world: World) -> None:
    """Also in a program that calls ``main``, whose own command line is another."""
    world.image("header.img", luks2_image(uuid="00000000-0000-0000-0000-000000000000") + bytes(1 << 20))
    disk = world.image()
    plan = world.run("restore", "--dry-run", "--", "header.img", disk)
    assert plan.status == 14
    command = f"next: luksafe --vault {world.vault} restore"
    flags = [d["flag"] for d in world.run("restore", "header.img", disk, "--dry-run", "--json").json["plan"]["dangers"]]
    assert plan.out.splitlines()[-1] == f"{command} {' '.join(flags)} -- header.img {disk}"
    plan = world.run("restore", flags[0], "header.img", "--dry-run", disk, *flags[1:])
    assert plan.status == 0
    assert plan.out.splitlines()[-1] == " ".join([command, flags[0], "header.img", str(disk), *flags[1:]])


def test_a_device_without_backups_is_named_and_how_to_make_one(world: World) -> None:
    assert world.run("list").out == "no backups yet\nnext: luksafe backup DEVICE   (or: luksafe backup --all)\n"
    assert world.run("backup", world.luks1()).status == 0
    disk = world.image("my disk.img", luks2_image(uuid="00000000-0000-0000-0000-000000000000") + bytes(1 << 20))
    assert world.run("list", disk).out == f"no backups of {disk}\nnext: luksafe backup '{disk}'\n"
    empty = world.image("empty.img", bytes(1 << 20))
    assert (
        world.run("list", empty).out
        == f"no backups of {empty}\nnext: luksafe diagnose {empty}   (all backups: luksafe list)\n"
    )


def test_a_store_that_is_there_already_is_named(world: World, tmp_path: Path) -> None:
    world.run("stores", "add", "x", tmp_path / "one")
    for name, folder in (("x", "two"), ("y", "one")):
        ran = world.run("stores", "add", name, tmp_path / folder)
        assert ran.status == 2
        assert f"there is a store x already: {tmp_path / 'one'}" in ran.err


def test_a_store_in_no_folder_is_added_by_the_same_command(world: World) -> None:
    ran = world.run("stores", "add", "y", "/no/such")
    assert ran.status != 0
    assert "make or mount that folder, then run the same command again" in ran.err


@contextmanager
def small_disk(where: Path) -> Iterator[None]:
    """A file system of 64 KiB, in which no backup finds room."""
    where.mkdir()
    run = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", where], capture_output=True, text=True)
    if run.returncode:
        pytest.skip(f"cannot mount here: {run.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", where], check=True)


def test_a_backup_that_no_disk_has_room_for_is_made_by_the_same_command(world: World) -> None:
    with small_disk(world.vault):
        ran = world.run("backup", world.image())
    assert (ran.status, "is full" in ran.err) == (1, True)
    assert "next: free some space there, then run the same command again" in ran.err
    assert "sync" not in ran.err


def test_a_backup_that_one_store_has_no_room_for_gets_there_by_sync(world: World) -> None:
    with small_disk(world.folder / "stick"):
        assert world.run("stores", "add", "stick", world.folder / "stick").status == 0
        ran = world.run("backup", world.image())
    assert ran.status == 3
    assert "  problem stick: " in ran.out
    assert "  next    luksafe sync   (when stick takes files again)" in ran.out
    assert "stores add" not in ran.out


def test_a_new_passphrase_without_a_terminal_names_its_option(world: World, tmp_path: Path) -> None:
    key = tmp_path / "vk"
    key.write_bytes(VOLUME_KEY)
    disk = world.image()
    ran = world.process("rebuild", disk, "--volume-key-file", key, "--to", tmp_path / "new", "--allow-unproven")
    assert ran.status == 2
    assert "--new-key-file FILE" in ran.err


def test_a_report_that_was_written_is_named(world: World) -> None:
    ran = world.run("diagnose", world.image(), "--html", "report.html", "--svg", "map.svg")
    assert ran.err == "picture written to map.svg\nreport written to report.html\n"
