"""A packet on the disk that it opens is no copy."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cli.conftest import World
from generators.headers import luks2_image

HEADER_BYTES = 2 << 20


@pytest.fixture
def inside(world: World, loop_device: Callable[..., str]) -> Iterator[tuple[Path, Path]]:
    """A LUKS image, and a folder on a file system that lies in the same image file."""
    disk = world.image(data=luks2_image().ljust(HEADER_BYTES, b"\0") + bytes(16 << 20))
    device = loop_device(disk, "--offset", str(HEADER_BYTES))
    subprocess.run(["mkfs.ext2", "-q", device], check=True)
    folder = world.folder / "inside"
    folder.mkdir()
    subprocess.run(["mount", device, folder], check=True)
    try:
        yield disk, folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_packet_is_not_kept_only_on_the_disk_that_it_opens(
    world: World, recipient: str, inside: tuple[Path, Path]
) -> None:
    disk, folder = inside
    world.vault = folder / "vault"
    command = ("escrow", "save", disk, "--key-file", world.key_file, "--recipient", recipient, "--json")
    refused = world.run(*command)
    assert (refused.status, refused.json["error"]["code"]) == (14, "on-its-volume")
    assert not list(folder.rglob("*.age"))
    assert world.run(*command, "--output", folder).status == 14
    world.stores(1, move_home=False)
    done = world.run(*command)
    assert (done.status, done.json["packets"][0]["uncounted"]) == (3, ["home"])
    elsewhere = world.folder / "stick"
    elsewhere.mkdir()
    assert len(world.run(*command, "--output", elsewhere).json["packets"][0]["files"]) == 2
