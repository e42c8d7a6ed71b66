"""What udev knows of a device, or where udev does not run, what ``blkid`` sees of its partition table."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from luksafe.device.sysfs import BlockNode
from luksafe.programs import environment, find_program

_DATABASE = Path("/run/udev/data")
_LINKS = Path("/dev/disk")
_BLKID_SECONDS = 10


def properties(node: BlockNode) -> dict[str, str]:
    """udev's properties of the device, such as ``ID_SERIAL`` and ``ID_PART_ENTRY_UUID``; empty where unknown."""
    return _from_database(node) or _from_blkid(node)


def links(node: BlockNode) -> list[str]:
    """The names under ``/dev/disk`` that lead to the device, such as ``/dev/disk/by-id/…``."""
    device = f"/dev/{node.name}"
    found = (str(link) for link in _LINKS.glob("by-*/*"))
    return sorted(link for link in found if os.path.realpath(link) == device)


def _from_database(node: BlockNode) -> dict[str, str]:
    major, minor = node.number
    try:
        text = (_DATABASE / f"b{major}:{minor}").read_text(errors="replace")
    except OSError:
        return {}
    pairs = (line[2:].partition("=") for line in text.splitlines() if line.startswith("E:"))
    return {key: value for key, _, value in pairs}


def _from_blkid(node: BlockNode) -> dict[str, str]:
    """Partition facts under udev's names. ``-p`` reads the device alone, and neither reads nor writes a cache."""
    if node.is_suspended:
        return {}
    program = find_program("blkid")
    if program is None:
        return {}
    command = [program, "-p", "-o", "udev", "-n", "crypto_LUKS", f"/dev/{node.name}"]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_BLKID_SECONDS,
            check=False,
            env=environment(),
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    pairs = (line.partition("=") for line in done.stdout.decode(errors="replace").splitlines())
    return {key: value for key, _, value in pairs}
