"""What is said of a device that holds something that luksafe does not know by itself."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from .conftest import World

MIB = 1 << 20


@pytest.mark.parametrize("size", [1, 64])
def test_zeros_at_the_start_are_no_word_about_the_rest(world: World, size: int) -> None:
    raw = bytearray(size * MIB)
    raw[-700_000:-699_000] = b"some structure that nobody has a name for " * 23 + bytes(34)
    said = world.run("diagnose", world.image("later.img", bytes(raw))).out.replace("\n  ", " ")
    assert "it holds zeros" not in said
    assert "what follows is not recognised" in said or "not every byte was read" in said


def test_a_device_of_zeros_is_said_to_be_that(world: World) -> None:
    said = world.run("diagnose", world.image("small.img", bytes(MIB))).out.replace("\n  ", " ")
    assert "all of it is zeros" in said


def test_the_installed_blkid_is_asked_for_what_is_not_known(world: World) -> None:
    if shutil.which("mkfs.bfs") is None or shutil.which("blkid") is None:
        pytest.skip("needs mkfs.bfs and blkid")
    image = world.image("sco.img", bytes(2 * MIB))
    subprocess.run(["mkfs.bfs", image], check=True, capture_output=True)
    said = world.run("diagnose", image).out
    assert "it holds bfs" in said
