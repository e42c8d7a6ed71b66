"""``luksafe rescue`` where nothing can be done: it says what was tried, that nothing is left, and what could exist."""

from __future__ import annotations

import os
import re

import pytest
from generators.headers import luks2_image

from .conftest import World
from .test_rescue import MIB, Talk, begin, sha, volume

pytestmark = pytest.mark.slow  # each command of a conversation is a process of its own

ANSWER = r"q: leave: "


def search(talk: Talk) -> None:
    talk.choose("Search the whole device")
    talk.say("r: run it, b: back to the ways:", "r")


def leave(talk: Talk) -> str:
    """Leave at the end; the words of the whole conversation. No screen has more lines than a terminal of 25."""
    talk.say(ANSWER, "q")
    assert talk.end() == 10
    plain = re.sub("\x1b\\[[0-9;]*[A-Za-z]", "", talk.text).replace("\r", "")
    for screen in re.split(r"-- Enter shows more --|: q\b|(?:leaves?|ways|Passphrase for [^\n]*): ", plain):
        assert screen.count("\n") < 25, screen
    return re.sub(r"\s+", " ", plain)


def assert_ends(words: str, truth: str, *could_exist: str) -> None:
    last = words[words.rindex("Nothing is left to try on") :]
    assert truth in last
    assert "What could still exist, and where to look for it:" in last
    assert [name for name in could_exist if f"- {name}" not in last] == []
    assert "Search the whole device" not in last
    assert "nothing is lost" not in last


HEADER = ("another backup of the header", "an escrow packet", "an open mapping", "an old image of the disk")


def test_a_blank_device_is_searched_once_and_then_it_is_said_that_nothing_is_here(world: World) -> None:
    blank = world.image("blank.img", bytes(4 * MIB))
    before = sha(blank)
    talk = begin(world, blank)
    search(talk)
    words = leave(talk)
    assert "x Search the whole device for headers no header and no key material of one anywhere in 4194304" in words
    assert_ends(words, "Nothing on this device shows a LUKS volume", "another device", "an old image of the disk")
    assert sha(blank) == before
    again = Talk(world, blank)  # what was tried is not offered again on another day
    words = leave(again)
    assert_ends(words, "Nothing on this device shows a LUKS volume", "another device")


def test_random_bytes_throughout(world: World) -> None:
    noise = world.image("noise.img", os.urandom(4 * MIB))
    talk = begin(world, noise)
    search(talk)
    assert "no header and no key material of one anywhere" in leave(talk)


def test_header_gone_and_no_backup(world: World) -> None:
    gone = world.image("gone.img", bytes(MIB) + volume()[MIB:])
    talk = begin(world, gone)
    search(talk)
    assert_ends(leave(talk), "the encryption is not broken by trying longer", *HEADER)


def test_every_keyslot_destroyed_and_no_backup(world: World) -> None:
    whole = volume()
    slots = world.image("slots.img", whole[:32768] + bytes(MIB - 32768) + whole[MIB:])
    talk = begin(world, slots)
    search(talk)
    words = leave(talk)
    assert "a header at byte 0, but no volume at another place" in words
    assert_ends(words, "What opens the data is not on this device any more", *HEADER)


def test_a_forgotten_passphrase(world: World) -> None:
    disk = world.image("disk.img", volume())
    talk = begin(world, disk)
    talk.choose("Find out why the passphrase is not accepted")
    talk.say("q: leave:", "r")
    talk.say("Passphrase for [^\r\n]*: ", "a passphrase that is not it")
    talk.say("b: back to the ways, r: run it again[^\r\n]*q: leave:", "")
    words = leave(talk)
    assert "what was typed opens nothing" in words or "it says no" in words
    assert_ends(words, "what is missing is the key", "another passphrase or key file", "an escrow packet")


def test_header_damaged_and_data_discarded(world: World) -> None:
    gone = world.image("gone.img", luks2_image()[:4096] + bytes(24 * MIB))
    talk = begin(world, gone)
    search(talk)
    words = leave(talk)
    assert_ends(words, "No header, no passphrase and no packet brings them back", "a backup of the files")


def test_a_backup_that_does_not_fit_is_struck_off(world: World) -> None:
    disk = world.image("disk.img", volume())
    world.run("backup", disk)
    noise = world.image("noise.img", bytes(MIB) + os.urandom(4 * MIB))
    talk = begin(world, noise)
    talk.choose("Try backup")
    talk.say("q: leave:", "r")
    talk.passphrase()
    talk.wait("That did not work: the answer is no")
    talk.say("b: back to the ways, r: run it again[^\r\n]*q: leave:", "b")
    search(talk)
    talk.wait("a: all ways again; q: leave:")
    talk.screen.sendline("a")
    talk.choose("Try backup")  # it can be taken up again, but is not proposed
    talk.say("q: leave:", "b")
    words = leave(talk)
    assert "x Try backup" in words
    assert_ends(words, "nobody can read them", *HEADER)
