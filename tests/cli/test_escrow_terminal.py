"""Escrow at the terminal: prompts, shares typed one by one, secrets shown so that a person can read them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pexpect
import pytest
from cli.conftest import World
from generators.headers import PASSPHRASE, VOLUME_KEY


def spawn(world: World, *arguments: object) -> pexpect.spawn:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    words = ["-m", "luksafe", "--vault", str(world.vault), "escrow", *map(str, arguments)]
    return pexpect.spawn(sys.executable, words, env=environment, timeout=90)  # type: ignore[arg-type]


def words_of(share: Path) -> list[str]:
    rows = [row for row in share.read_text().splitlines() if not row.startswith("#")]
    return [word for row in rows for word in row.split() if word.isalpha()]


@pytest.fixture
def shares(world: World) -> list[Path]:
    folder = world.folder / "shares"
    folder.mkdir()
    options = ("--key-file", world.key_file, "--shares", "2/3", "--shares-dir", folder)
    assert world.run("escrow", "save", world.image(), *options).status == 0
    return sorted(folder.iterdir())


def test_shares_are_typed_one_by_one_and_set_right(world: World, shares: list[Path]) -> None:
    first, second = words_of(shares[0]), words_of(shares[2])
    packet = next(world.vault.glob("*/*.age"))
    terminal = spawn(world, "open", packet)
    terminal.expect("no shares in, 2 more shares wanted")
    terminal.expect(f"begins '{first[0]} {first[1]}'")
    broken = [*first[:5], first[5][:-1] + "zz", *first[6:]]
    terminal.sendline(" ".join(broken))
    terminal.expect(rf"perhaps\s+word 6:\s+{first[5]}")
    terminal.expect("Type YES to take it: ")
    terminal.sendline("YES")
    terminal.expect("share 1 of set")
    terminal.expect("1 more share wanted")
    terminal.sendline(" ".join(first))
    terminal.expect("share 1 is in already")
    terminal.sendline(" ".join(f"{number}. {word[:4].upper()}" for number, word in enumerate(second, 1)))
    terminal.expect("share 3 of set")
    terminal.expect(VOLUME_KEY.hex())
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0


def test_an_empty_line_ends_it(world: World, shares: list[Path]) -> None:
    terminal = spawn(world, "open", next(world.vault.glob("*/*.age")))
    terminal.expect("Type the words of a share")
    terminal.sendline("")
    terminal.expect("nothing was typed")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 2


def test_a_packet_passphrase_is_typed_twice_and_asked_for(world: World) -> None:
    disk = world.image()
    terminal = spawn(world, "save", disk, "--recipient", "passphrase", "--secret", "passphrase")
    terminal.expect("New passphrase of the packet: ")
    terminal.sendline("words for the packet")
    terminal.expect(r"\(again\): ")
    terminal.sendline("words for the packet")
    terminal.expect("Passphrase for ")
    terminal.sendline(PASSPHRASE)
    terminal.expect("packet [0-9a-f]{16}: passphrase")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    terminal = spawn(world, "open", next(world.vault.glob("*/*.age")))
    terminal.expect("Passphrase of ")
    terminal.sendline("words for the packet")
    terminal.expect(PASSPHRASE.decode() + "\r\n")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0


def test_a_plan_that_is_not_confirmed_writes_nothing(world: World) -> None:
    disk = world.image()
    before = disk.read_bytes()
    (world.folder / "words").write_bytes(b"words\n")
    options = ("--recipient", "passphrase", "--packet-key-file", "words", "--key-file", world.key_file)
    terminal = spawn(world, "save", disk, "--recovery-key", *options)
    terminal.expect("free keyslot 1")
    terminal.expect("Type YES to go on: ")
    terminal.sendline("yes")
    terminal.expect("not confirmed")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 14
    assert disk.read_bytes() == before
