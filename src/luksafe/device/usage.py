"""Who uses a device or an image now: mounts, swap, what stands on it, who holds or locks it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from luksafe.device.mounts import is_at, is_same_file, mounts_of, swap_areas
from luksafe.device.opening import StrPath, real_path
from luksafe.device.proclocks import lock_holders
from luksafe.device.stack import loop_devices_over
from luksafe.device.sysfs import BlockNode, node_of

UseKind = Literal["mounted", "swap", "mapping", "raid", "loop", "holder", "exclusive", "locked"]


@dataclass(frozen=True, slots=True)
class Use:
    """One use: ``name`` is the mount point, device or process; ``detail`` says in words what is going on."""

    kind: UseKind
    name: str
    detail: str


def find_uses(path: StrPath) -> list[Use]:
    """Everything that uses the device or file now, also through partitions and devices that stand on it.

    Reads ``/proc`` and ``/sys``, and tries an exclusive read-only open of a block device. Raises ``NotFound``.
    """
    real = real_path(path)
    node = node_of(real)
    if node is None:
        return list(_file_uses(real))
    uses = list(dict.fromkeys(_device_uses(node)))
    if not uses and _is_held(real):
        uses.append(Use("exclusive", str(real), f"{real} is held by something that /proc and /sys do not show"))
    return uses


def _device_uses(node: BlockNode) -> Iterator[Use]:
    for mount in mounts_of(node):
        how = f"{mount.filesystem}, read-only" if mount.read_only else mount.filesystem
        yield Use("mounted", mount.mount_point, f"{node.path} is mounted at {mount.mount_point} ({how})")
    if any(is_at(area, node) for area in swap_areas()):
        yield Use("swap", node.path, f"{node.path} is swapped to")
    for holder in node.holders():
        yield _holding(holder, node)
        yield from _device_uses(holder)
    for loop in loop_devices_over(node.path):
        yield Use("loop", loop.path, f"{loop.path} shows {node.path}")
        yield from _device_uses(loop)
    for partition in node.partitions():
        yield from _device_uses(partition)


def _holding(holder: BlockNode, node: BlockNode) -> Use:
    if holder.attribute("dm/name"):
        family = holder.attribute("dm/uuid").partition("-")[0] or "device-mapper"
        return Use("mapping", holder.path, f"{holder.path} ({family}) stands on {node.path}")
    if holder.attribute("md/level"):
        return Use("raid", holder.path, f"{holder.path} ({holder.attribute('md/level')}) has {node.path} as a member")
    return Use("holder", holder.path, f"{holder.path} stands on {node.path}")


def _is_held(path: Path) -> bool:
    """Whether an exclusive open is refused. Read-only: udev takes no notice, nothing is written."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK))
    except OSError as error:
        return error.errno == errno.EBUSY
    return False


def _file_uses(path: Path) -> Iterator[Use]:
    for loop in loop_devices_over(str(path)):
        yield Use("loop", loop.path, f"{loop.path} shows {path}")
        yield from _device_uses(loop)
    if any(is_same_file(area, str(path)) for area in swap_areas()):
        yield Use("swap", str(path), f"{path} is swapped to")
    for holder in lock_holders(path.stat()):
        if holder.pid != os.getpid():
            yield Use("locked", str(holder), f"{holder} has {path} locked")
