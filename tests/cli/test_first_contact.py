"""What somebody sees who has never used luksafe: bare calls, help, a missing file, a missing library, silence."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click
import pytest
from generators.headers import luks2_image

from luksafe import extras
from luksafe.cli.header_map import _letter
from luksafe.cli.main import cli
from luksafe.cli.verbs import VERBS
from luksafe.luks.areas import CopyName, Region

from .conftest import World

COPIES: tuple[CopyName, ...] = ("primary", "secondary")


def test_bare_luksafe_shows_three_commands_and_where_all_are(world: World) -> None:
    done = world.process()
    assert done.status == 2
    assert "\\n" not in done.out + done.err
    shown = [line for line in done.out.splitlines() if re.match(r"\s+(sudo )?luksafe ", line)]
    assert [line.split("luksafe ")[1].split()[0] for line in shown] == ["backup", "check", "rescue"]
    assert "luksafe --help" in done.out
    assert len(done.out.splitlines()) < 12
    everything = world.process("--help").out
    assert all(re.search(rf"(?m)^  {verb.name} ", everything) for verb in VERBS)


def test_a_bare_group_shows_its_verbs_in_lines(world: World) -> None:
    done = world.process("escrow")
    assert done.status == 2
    assert "\\n" not in done.out + done.err
    assert re.search(r"(?m)^  rotate ", done.out + done.err)


@pytest.mark.parametrize("verb", ["prove", "restore", "repair", "extract", "escrow save", "escrow verify"])
def test_help_has_the_own_options_before_those_of_keys_and_those_of_every_verb(verb: str) -> None:
    context = click.Context(cli)
    command: click.Command | None = cli
    for name in verb.split():
        assert isinstance(command, click.Group)
        command = command.get_command(context, name)
    assert command is not None
    text = command.get_help(click.Context(command, info_name=verb, terminal_width=80))
    own, rest = text.split("\nKey options:\n")
    keys, every = rest.split("\nOptions of every verb:\n")
    assert "--key-file" in keys
    assert "--key-file" not in own.replace("--packet-key-file", "")
    assert "--max-kdf" not in own
    assert "--json" in every
    assert "--json" not in own + keys


@pytest.mark.parametrize(
    ("files", "in_venv", "start"),
    [
        (["pipx_metadata.json"], True, "pipx inject luksafe "),
        (["uv-receipt.toml"], True, "uv tool install "),
        ([], True, "{prefix}/bin/python -m pip install "),
        ([], False, "{python} -m pip install "),
    ],
)
def test_the_way_to_a_missing_library_fits_how_luksafe_was_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: list[str], in_venv: bool, start: str
) -> None:
    for name in files:
        (tmp_path / name).write_text("")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(sys, "base_prefix", "/usr" if in_venv else str(tmp_path))
    monkeypatch.setattr(extras, "is_managed_by_the_system", lambda: False)
    said = extras.install_hint("fuse")
    assert said.startswith(start.format(prefix=tmp_path, python=sys.executable))
    assert "mfusepy" in said


def test_in_a_python_of_the_system_pip_is_not_proposed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "base_prefix", sys.prefix)
    monkeypatch.setattr(extras, "is_managed_by_the_system", lambda: True)
    said = extras.install_hint("fuse")
    assert not re.search(r"\bpip install", said)
    assert "pipx" in said


@pytest.mark.parametrize(
    "words",
    [
        ("show", "gone.img"),
        ("prove", "gone.luksheader"),
        ("restore", "gone.bak", "disk.img"),
        ("escrow", "open", "gone.age"),
        ("escrow", "show", "gone.json"),
        ("ls", "gone.img"),
        ("import", "gone.img"),
        ("paper", "print", "gone.age", "sheet.pdf"),
    ],
)
@pytest.mark.parametrize("has_vault", [False, True])
def test_a_missing_file_is_called_that_with_its_name(world: World, words: tuple[str, ...], has_vault: bool) -> None:
    if has_vault:
        world.run("backup", world.image())
    done = world.run(*words)
    name = next(word for word in words if word.startswith("gone"))
    assert done.status == 15
    first = done.err.splitlines()[0]
    assert (
        re.search(rf"{re.escape(name)}.*no such (device or )?file", first, re.I)
        or f"no such device or file: {name}" in first
    )
    assert "vault" not in first
    assert "packet" not in first


def test_the_map_draws_the_two_copies_in_different_letters(world: World) -> None:
    drawn = world.run("show", world.image(), "--map").out
    region = r"(?m)^  (\S) +((?:primary|secondary) (?:binary header|JSON area))"
    rows = {match[2]: match[1] for match in re.finditer(region, drawn)}
    assert len(rows) == 4
    assert len(set(rows.values())) == 4


def test_all_32_keyslots_and_both_copies_have_letters_of_their_own() -> None:
    regions = [Region("keyslot", 0, 1, f"keyslot {slot}", slot) for slot in range(32)]
    regions += [Region("binary-header", 0, 1, "", copy=copy) for copy in COPIES]
    regions += [Region("json", 0, 1, "", copy=copy) for copy in COPIES]
    assert len({_letter(region) for region in regions}) == 36


def test_quiet_prints_nothing_when_all_is_well(world: World) -> None:
    disk = world.image()
    world.stores(2)
    assert world.run("-q", "backup", disk).out == ""
    assert world.run("prove", disk, "--key-file", world.key_file).status in (0, 3)
    checked = world.run("check", disk)
    assert checked.status == 0, checked.out
    quiet = world.run("check", disk, "-q")
    assert (quiet.status, quiet.out, quiet.err) == (0, "", "")
    assert world.run("check", disk, "-q", "--json").json["volumes"]


def test_quiet_says_what_is_not_well(world: World) -> None:
    disk, other = world.image(), world.image("other.img", luks2_image())
    assert world.run("backup", disk, "-q").status == 0
    quiet = world.run("check", disk, "-q")
    assert quiet.status == 3
    assert "disk.img" in quiet.out
    assert "never" in quiet.out
    assert other.exists()


def test_backup_of_a_header_that_was_just_proven_does_not_say_prove(world: World) -> None:
    disk = world.image()
    world.stores(2)
    assert "luksafe prove" in world.run("backup", disk).out
    assert world.run("prove", disk, "--key-file", world.key_file).status in (0, 3)
    again = world.run("backup", disk).out
    assert "luksafe prove" not in again
    assert "next    luksafe check" in again
