"""Block devices as the kernel lists them in sysfs: numbers, names, attributes, what stands on what."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BY_NUMBER = Path("/sys/dev/block")
SECTOR_BYTES = 512  # the unit of sysfs and of dm tables, whatever the device's own sectors are


@dataclass(frozen=True, slots=True)
class BlockNode:
    """One block device (a disk, partition, loop, MD or device-mapper device): its folder in sysfs."""

    folder: Path

    @property
    def name(self) -> str:
        """The kernel's name, as in ``/dev``: ``sda1``, ``dm-0``, ``cciss/c0d0``."""
        return self.folder.name.replace("!", "/")

    @property
    def path(self) -> str:
        """The device file. Device-mapper devices go by their own name where that exists."""
        mapper = Path("/dev/mapper", self.attribute("dm/name"))
        return str(mapper) if mapper.is_block_device() else f"/dev/{self.name}"

    @property
    def number(self) -> tuple[int, int]:
        """Major and minor number."""
        major, _, minor = self.attribute("dev").partition(":")
        return int(major or 0), int(minor or 0)

    @property
    def size_bytes(self) -> int:
        """The size; 0 without a medium."""
        return self.integer("size") * SECTOR_BYTES

    def attribute(self, name: str) -> str:
        """The text of an attribute such as ``queue/logical_block_size``; empty where there is none."""
        try:
            return (self.folder / name).read_text(errors="replace").strip("\0 \t\n")
        except OSError:
            return ""

    def integer(self, name: str) -> int:
        """An attribute as a number; 0 where there is none."""
        text = self.attribute(name)
        return int(text) if text.isdecimal() and text.isascii() and len(text) <= 20 else 0

    @property
    def disk(self) -> BlockNode:
        """The whole disk that a partition is on; any other device itself."""
        return BlockNode(self.folder.parent) if self.attribute("partition") else self

    @property
    def is_suspended(self) -> bool:
        """Whether it, or one that it stands on, is a suspended device-mapper device: reading would never return."""
        return self.attribute("dm/suspended") == "1" or any(node.is_suspended for node in self.disk.backing())

    def partitions(self) -> list[BlockNode]:
        """The partitions on this disk, by number."""
        found = [BlockNode(at.parent) for at in self.folder.glob("*/partition")]
        return sorted(found, key=lambda node: node.integer("partition"))

    def holders(self) -> list[BlockNode]:
        """The devices that stand directly on this one (device-mapper, MD, bcache)."""
        return self._linked("holders")

    def backing(self) -> list[BlockNode]:
        """The devices that this one stands on directly."""
        return self._linked("slaves")

    def _linked(self, folder: str) -> list[BlockNode]:
        try:
            return [BlockNode(entry.resolve()) for entry in sorted((self.folder / folder).iterdir())]
        except OSError:
            return []


def find_node(major: int, minor: int) -> BlockNode | None:
    """The block device of that number, or None where the kernel knows none."""
    at = _BY_NUMBER / f"{major}:{minor}"
    return BlockNode(at.resolve()) if at.exists() else None


def node_of(path: str | os.PathLike[str]) -> BlockNode | None:
    """The block device that a device file names; None for other files and missing ones."""
    try:
        facts = Path(path).stat()
    except (OSError, ValueError):
        return None
    if not stat.S_ISBLK(facts.st_mode):
        return None
    return find_node(os.major(facts.st_rdev), os.minor(facts.st_rdev))


def all_nodes() -> Iterator[BlockNode]:
    """Every block device with a medium, ordered by number."""
    numbers = sorted(tuple(map(int, entry.name.split(":"))) for entry in _BY_NUMBER.iterdir())
    for major, minor in numbers:
        node = find_node(major, minor)
        if node is not None and node.size_bytes > 0:
            yield node
