"""On a serial console of 80 by 25: no line of prose is longer than it, and no command is broken."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import escrow_samples as samples
import pexpect
import pytest
from cli.conftest import World
from cli.test_rescue import MIB, Talk, volume
from generators.headers import UUID, VOLUME_KEY

from luksafe.cli.terminal import fit

PROGRAM = re.compile(r"\s*(next: )?(luksafe|cryptsetup|age) ")


def on_console(world: World, *arguments: object) -> str:
    """What a command prints on a terminal of 80 by 25."""
    screen = pexpect.spawn(
        sys.executable,
        ["-m", "luksafe", "--vault", str(world.vault), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TERM": "vt100", "NO_COLOR": "1"},
        dimensions=(25, 80),
        encoding="utf-8",
        timeout=60,
    )
    screen.expect(pexpect.EOF)
    screen.close()
    assert "Traceback" not in screen.before
    return str(screen.before)


def assert_fits(said: str) -> None:
    lines = re.split(r"[\r\n]+", re.sub("\x1b\\[[0-9;?]*[A-Za-z]", "", said))
    prose = [line for line in lines if len(line.split()) > 1 and not PROGRAM.match(line)]  # else a name or a command
    assert max(map(len, prose)) <= 80, max(prose, key=len)


@pytest.fixture
def disk(world: World) -> Path:
    """A volume deep in a folder, with backup and packets."""
    folder = world.folder / "a-folder-with-a-long-name" / "and-another-one"
    folder.mkdir(parents=True)
    path = folder / "disk.img"
    path.write_bytes(volume())
    assert world.run("backup", path).status in (0, 3)
    keeper = str(samples.age_identity().to_public())
    for _ in range(2):
        saved = world.run("escrow", "save", path, "--key-file", world.key_file, "--recipient", keeper, "--yes")
        assert saved.status in (0, 3), saved.err
    return path


def test_what_is_whole(world: World, disk: Path) -> None:
    (world.folder / "volume-key").write_bytes(VOLUME_KEY)
    (world.folder / "other-key").write_bytes(bytes(len(VOLUME_KEY)))
    packet = world.run("escrow", "show", "--json").json["packets"][0]["id"]
    wide = world.run("escrow", "show", packet).out
    assert max(map(len, wide.splitlines())) > 80  # elsewhere a line stays a line
    verbs: tuple[tuple[object, ...], ...] = (
        ("escrow", "show"),
        ("escrow", "show", packet),
        ("check", disk),
        ("list",),
        ("prove", disk, "--data", disk, "--key-file", world.key_file),
        ("rebuild", disk, "--volume-key-file", world.folder / "volume-key", "--dry-run"),
        ("rebuild", disk, "--volume-key-file", world.folder / "other-key", "--dry-run"),
        ("mappings",),
        ("emergency", "no-such-mapping"),
    )
    for verb in verbs:
        assert_fits(on_console(world, *verb))


@pytest.mark.parametrize("start", [0, 32768])
def test_what_is_damaged(world: World, disk: Path, start: int) -> None:
    with disk.open("r+b") as file:
        file.seek(start)
        file.write(bytes(MIB - start))
    for verb in ("check", "diagnose", "scan"):
        said = on_console(world, verb, disk)
        assert_fits(said)
        assert re.search(rf"luksafe \S.*{re.escape(str(disk))}", said) or verb == "scan"


def test_what_is_written(world: World, disk: Path) -> None:
    whole = disk.read_bytes()
    disk.write_bytes(bytes(4096) + whole[4096:])
    for words in (("repair", disk), ("undo", disk), ("restore", UUID, disk), ("export", UUID, disk.with_name("copy"))):
        assert_fits(on_console(world, *words, "--yes"))
    assert disk.read_bytes() == whole


def test_the_end_of_a_rescue(world: World, disk: Path) -> None:
    talk = Talk(world, disk)
    talk.say("Enter makes the copy, q leaves:", "")
    talk.choose("Find out why the passphrase")
    for _ in "12":
        talk.say("q: leave:", "r")
        talk.passphrase()
    assert talk.end() == 0
    end = talk.text[talk.text.index("The data can be read. What was done:") :]
    assert "the first copy stays in" in end
    assert_fits(end)


def test_a_line_is_broken_between_words_and_a_command_is_not() -> None:
    name = "/dev/disk/by-id/wwn-0x5000c500a1b2c3d4-part2"
    assert fit(f"  - the header of {name} is damaged; next: luksafe restore b6055f37a2b8 {name}") == [
        f"  - the header of {name} is damaged;",
        "    next:",
        f"    luksafe restore b6055f37a2b8 {name}",
    ]
    assert fit(f"next: luksafe prove {name}   (to take it back: luksafe undo {name})") == [
        f"next: luksafe prove {name}   (to take it",
        f"  back: luksafe undo {name})",
    ]
    assert fit("  undo     " + "word " * 20)[1] == " " * 11 + "word " * 6 + "word"
    table = f"0 4096 linear {name} 2048"
    assert fit(f"  first: dmsetup create lost --table '{table}', then look at it")[1] == (
        f"    dmsetup create lost --table '{table}',"
    )
    assert fit("'luksafe escrow show' lists them all, " + "and " * 11 + "'luksafe escrow apply' takes any of them")[
        1:
    ] == ["  and 'luksafe escrow apply' takes any of them"]
