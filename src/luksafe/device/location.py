"""On which device a file or folder lies: a copy on the disk that it protects is no copy."""

from __future__ import annotations

import os
from pathlib import Path

from luksafe.device.identity import DeviceFacts
from luksafe.device.mounts import mount_holding
from luksafe.device.opening import StrPath
from luksafe.device.stack import layers_below
from luksafe.device.sysfs import BlockNode, find_node, node_of

_BTRFS = Path("/sys/fs/btrfs")
_LOCAL_FILESYSTEMS = {"tmpfs", "ramfs", "overlay", "zfs", "bcachefs", "ubifs", "jffs2", "btrfs"}
"""Those without a block device of their own that are on this machine all the same."""


def is_stored_on(path: StrPath, facts: DeviceFacts) -> bool:
    """Whether ``path`` lies on this very device (or a partition or mapping of it), or inside this image file's volume.

    False where the kernel does not tell (network filesystems, overlays, ZFS).
    """
    layers = _layers_of_path(path)
    if facts.kind == "block":
        return (facts.major, facts.minor) in {node.number for node in layers}
    return facts.path in {node.attribute("loop/backing_file") for node in layers}


def shares_disk(path: StrPath, facts: DeviceFacts) -> bool:
    """Whether one broken disk takes both ``path`` and the device, say from two partitions of it.

    An image file counts as a disk of its own, and so does a loop device over one.
    """
    node = find_node(facts.major, facts.minor) if facts.kind == "block" else None
    if node is None:
        return is_stored_on(path, facts)
    return not _disks([node, *layers_below(node)]).isdisjoint(_disks(_layers_of_path(path)))


def is_local(path: StrPath) -> bool:
    """Whether ``path`` lies on a disk of this machine, or in its memory; False for a share, or where nobody can tell.

    Of a folder that is not there (not mounted) the next one above it that is decides.
    """
    there = Path(os.path.realpath(path))
    try:
        there = next((folder for folder in (there, *there.parents) if folder.exists()), there)
    except OSError:
        return False
    if _filesystem_devices(there):
        return True
    mount = mount_holding(str(there))
    return mount is not None and mount.filesystem in _LOCAL_FILESYSTEMS


def falls_with(path: StrPath, facts: DeviceFacts) -> bool:
    """Whether one broken disk takes both ``path`` and the device, or the image file and the disk that holds it.

    A loop device lies where its file lies. Where no disk is known (a share), one filesystem counts as one disk.
    """
    if shares_disk(path, facts):
        return True
    if facts.kind == "file":
        return lie_together(path, facts.path)
    node = find_node(facts.major, facts.minor)
    below = [node, *layers_below(node)] if node else []
    files = (layer.attribute("loop/backing_file") for layer in below if layer.name.startswith("loop"))
    return any(lie_together(path, file) for file in files if file and Path(file).is_file())


def lie_together(one: StrPath, other: StrPath) -> bool:
    """Whether one broken disk takes both folders; where no disk is known (a share), one filesystem counts as one."""
    disks = [_disks(_layers_of_path(path)) for path in (one, other)]
    if all(disks):
        return not disks[0].isdisjoint(disks[1])
    try:
        return Path(one).stat().st_dev == Path(other).stat().st_dev
    except OSError:
        return False


def _disks(layers: list[BlockNode]) -> set[BlockNode]:
    return {node for node in layers if not layers_below(node)}


def _layers_of_path(path: StrPath) -> list[BlockNode]:
    """The device of the filesystem that ``path`` lies on, and everything below it."""
    tops = _filesystem_devices(path)
    return [*tops, *(below for top in tops for below in layers_below(top))]


def _filesystem_devices(path: StrPath) -> list[BlockNode]:
    try:
        number = Path(path).stat().st_dev
    except OSError:
        return []
    node = find_node(os.major(number), os.minor(number))
    if node is not None:
        return [node]
    mount = mount_holding(os.path.realpath(path))  # btrfs: numbers of its own, and perhaps several devices
    source = node_of(mount.source) if mount and mount.filesystem == "btrfs" else None
    if source is None:
        return []
    groups = ([BlockNode(link.resolve()) for link in group.iterdir()] for group in _BTRFS.glob("*/devices"))
    return next((group for group in groups if source in group), [source])
