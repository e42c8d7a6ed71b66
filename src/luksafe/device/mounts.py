"""What is mounted and what is swapped to, as ``/proc`` tells."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from luksafe.device.sysfs import BlockNode, node_of
from luksafe.wall import ParserStopped, walled

_MOUNTINFO = Path("/proc/self/mountinfo")
_SWAPS = Path("/proc/swaps")


@dataclass(frozen=True, slots=True)
class Mount:
    """One mounted filesystem; ``number`` is the major and minor number of its device."""

    number: tuple[int, int]
    mount_point: str
    filesystem: str
    source: str
    read_only: bool


def _stopped(_why: ParserStopped, _text: str) -> list[Mount]:
    return []


@walled("the table of mounts", _stopped)
def parse_mountinfo(text: str) -> list[Mount]:
    """The lines of a ``mountinfo`` (proc(5)); what cannot be read is left out."""
    found = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, rest = before.split(" "), after.split(" ")
        if len(fields) < 6 or len(rest) < 2 or not (match := re.fullmatch(r"(\d{1,9}):(\d{1,9})", fields[2])):
            continue
        number = int(match[1]), int(match[2])
        read_only = "ro" in fields[5].split(",")
        found.append(Mount(number, unescape(fields[4]), rest[0], unescape(rest[1]), read_only))
    return found


def unescape(text: str) -> str:
    r"""A name as the kernel writes it, with ``\040`` for a space."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def mounts() -> list[Mount]:
    """What is mounted, as far as this process sees; none where ``/proc`` is missing."""
    try:
        return parse_mountinfo(_MOUNTINFO.read_text(errors="replace"))
    except OSError:
        return []


def mounts_of(node: BlockNode) -> list[Mount]:
    """Where the device is mounted."""
    return [
        mount
        for mount in mounts()
        if mount.number == node.number
        or (mount.number[0] == 0 and is_at(mount.source, node))  # btrfs has device numbers of its own
    ]


def mount_holding(path: str) -> Mount | None:
    """The mount that a real path (absolute, without links) lies in."""
    holding = [mount for mount in mounts() if Path(path).is_relative_to(mount.mount_point)]
    return max(reversed(holding), key=lambda mount: len(mount.mount_point), default=None)  # the last hides the others


def is_at(path: str, node: BlockNode) -> bool:
    """Whether the path is a device file of this device."""
    return path.startswith("/") and node_of(path) == node


def swap_areas() -> list[str]:
    """The devices and files that are swapped to."""
    try:
        lines = _SWAPS.read_text(errors="replace").splitlines()[1:]
    except OSError:
        return []
    return [unescape(line.split()[0]) for line in lines if line.split()]


def is_same_file(one: str, other: str) -> bool:
    """Whether both names lead to one file; False for a missing one."""
    try:
        return Path(one).samefile(other)
    except OSError:
        return False
