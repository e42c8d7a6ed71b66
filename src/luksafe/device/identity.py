"""Which device or file this is: everything that tells it from the others, and a key that survives a reboot."""

from __future__ import annotations

import os
import stat
from dataclasses import asdict, dataclass
from typing import Any, Literal

from luksafe.device import udev
from luksafe.device.opening import StrPath, real_path
from luksafe.device.sysfs import SECTOR_BYTES, BlockNode, find_node
from luksafe.errors import UsageError


@dataclass(frozen=True, slots=True)
class PartitionFacts:
    """A partition's entry in its table. ``type`` is a GPT type UUID or an MBR number such as ``0x83``."""

    number: int
    start_bytes: int
    size_bytes: int
    disk: str
    uuid: str = ""
    type: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class LoopFacts:
    """What a loop device shows: a file (or device) from ``offset_bytes`` on."""

    backing_file: str
    offset_bytes: int


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """The identity of a device or file; what is not known is empty.

    ``major`` and ``minor`` are those of the device, or of the filesystem that a file lies on; ``inode`` is the
    file's. ``disk_sequence`` counts the media seen since boot. A partition has its disk's model, serial and WWN.
    """

    path: str
    kind: Literal["block", "file"]
    size_bytes: int
    major: int
    minor: int
    target_key: str
    inode: int | None = None
    disk_sequence: int | None = None
    read_only: bool = False
    logical_sector_bytes: int = 512
    physical_sector_bytes: int = 512
    model: str = ""
    serial: str = ""
    wwn: str = ""
    partition_table_uuid: str = ""
    links: tuple[str, ...] = ()
    partition: PartitionFacts | None = None
    dm_name: str = ""
    dm_uuid: str = ""
    loop: LoopFacts | None = None

    def to_json(self) -> dict[str, Any]:
        """The facts as a JSON object."""
        return asdict(self)


def describe(path: StrPath) -> DeviceFacts:
    """Facts about a block device or a regular file. Needs no udev and, for what sysfs knows, no privileges.

    Raises ``NotFound`` for a missing name, ``UsageError`` for a folder, pipe or character device.
    """
    real = real_path(path)
    facts = real.stat()
    if stat.S_ISREG(facts.st_mode):
        return _describe_file(str(real), facts)
    node = find_node(os.major(facts.st_rdev), os.minor(facts.st_rdev)) if stat.S_ISBLK(facts.st_mode) else None
    if node is None:
        raise UsageError(f"{path} is no block device and no file", hint="see which devices there are: lsblk")
    return describe_node(node)


def _describe_file(path: str, facts: os.stat_result) -> DeviceFacts:
    return DeviceFacts(
        path=path,
        kind="file",
        size_bytes=facts.st_size,
        major=os.major(facts.st_dev),
        minor=os.minor(facts.st_dev),
        target_key=f"file:{path}",
        inode=facts.st_ino,
        read_only=not os.access(path, os.W_OK),
    )


def describe_node(node: BlockNode) -> DeviceFacts:
    """Facts about a block device that sysfs lists."""
    disk = node.disk
    known = udev.properties(node)
    disk_known = known if disk == node else udev.properties(disk)
    return DeviceFacts(
        path=node.path,
        kind="block",
        size_bytes=node.size_bytes,
        major=node.number[0],
        minor=node.number[1],
        target_key=_target_key(node, known),
        disk_sequence=disk.integer("diskseq") or None,
        read_only=node.attribute("ro") == "1",
        logical_sector_bytes=disk.integer("queue/logical_block_size") or SECTOR_BYTES,
        physical_sector_bytes=disk.integer("queue/physical_block_size") or SECTOR_BYTES,
        model=disk_known.get("ID_MODEL", "").replace("_", " ") or disk.attribute("device/model"),
        serial=_serial(disk) or disk_known.get("ID_SERIAL_SHORT", ""),
        wwn=_wwn(disk) or disk_known.get("ID_WWN", ""),
        partition_table_uuid=disk_known.get("ID_PART_TABLE_UUID", ""),
        links=tuple(udev.links(node)),
        partition=_partition(node, known),
        dm_name=node.attribute("dm/name"),
        dm_uuid=node.attribute("dm/uuid"),
        loop=_loop(node),
    )


def _partition(node: BlockNode, known: dict[str, str]) -> PartitionFacts | None:
    number = node.integer("partition")
    if not number:
        return None
    return PartitionFacts(
        number=number,
        start_bytes=node.integer("start") * SECTOR_BYTES,
        size_bytes=node.size_bytes,
        disk=node.disk.path,
        uuid=known.get("ID_PART_ENTRY_UUID", ""),
        type=known.get("ID_PART_ENTRY_TYPE", ""),
        name=known.get("ID_PART_ENTRY_NAME", ""),
    )


def _loop(node: BlockNode) -> LoopFacts | None:
    backing = node.attribute("loop/backing_file")
    return LoopFacts(backing, node.integer("loop/offset")) if backing else None


def _serial(disk: BlockNode) -> str:
    return disk.attribute("device/serial") or disk.attribute("serial")


def _wwn(disk: BlockNode) -> str:
    return disk.attribute("device/wwid") or disk.attribute("wwid")


def _target_key(node: BlockNode, known: dict[str, str]) -> str:
    """What a device is known by after a reboot, when its name may be another. The first of these that exists:

    the PARTUUID of a partition, or else its disk's key and where it starts; the UUID that device-mapper (LVM,
    multipath, crypt) or MD gives; the backing file of a loop device, so that a file and a loop device over all of it
    are one; the WWN or the serial number as the kernel tells them, udev or not; the slot that it is plugged into.
    A cloned disk can have the keys of its original: whoever writes must also compare the bytes.
    """
    if not node.integer("partition"):
        return _disk_key(node, known)
    if partuuid := known.get("ID_PART_ENTRY_UUID"):
        return f"partuuid:{partuuid}"
    return f"{_disk_key(node.disk, {})}+{node.integer('start') * SECTOR_BYTES}"


def _disk_key(disk: BlockNode, known: dict[str, str]) -> str:
    if dm_uuid := disk.attribute("dm/uuid"):
        return f"dm:{dm_uuid}"
    if md_uuid := known.get("MD_UUID"):
        return f"md:{md_uuid}"
    if loop := _loop(disk):
        return f"file:{loop.backing_file}" + (f"+{loop.offset_bytes}" if loop.offset_bytes else "")
    if wwn := _wwn(disk):
        return f"wwn:{wwn}"
    if serial := _serial(disk):
        return f"serial:{disk.attribute('device/model')}:{serial}"
    return f"slot:{os.path.relpath(disk.folder, '/sys/devices')}"
