"""Finding every LUKS volume of this machine: on block devices, and with detached headers named in crypttab."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from luksafe.device.crypttab import CrypttabEntry, find_device, parse_crypttab
from luksafe.device.mounts import is_same_file
from luksafe.device.source import open_source
from luksafe.device.stack import layers_above
from luksafe.device.sysfs import BlockNode, all_nodes
from luksafe.errors import LuksafeError
from luksafe.luks.inspection import Format, inspect

CRYPTTAB = Path("/etc/crypttab")
_NOT_ASKED_MAJORS = (1, 2)  # RAM disks; floppy drives, which take half a minute to say that they are empty


@dataclass(frozen=True, slots=True)
class FoundDevice:
    """A LUKS volume; with a ``problem``, a device that could not be looked at, or a pair with a half missing.

    ``header_path`` is that of a detached header, else empty. ``uuid`` is empty where no header copy is usable.
    Without ``has_primary`` only the second header copy was found. ``name`` is the one that crypttab gives.
    """

    path: str
    format: Format = "none"
    uuid: str = ""
    has_primary: bool = False
    header_path: str = ""
    name: str = ""
    problem: str = ""


def find_luks_devices(crypttab: Path = CRYPTTAB) -> list[FoundDevice]:
    """Every LUKS volume, each once: of several layers that show one header (RAID, multipath) the uppermost."""
    detached = [_detached(entry) for entry in _entries(crypttab) if entry.header_file]
    headers = [found.header_path for found in detached]
    found = [device for device in _on_devices() if not any(is_same_file(device.path, at) for at in headers)]
    return found + detached


def _on_devices() -> Iterator[FoundDevice]:
    looked_at = {node: _look(node) for node in all_nodes() if node.number[0] not in _NOT_ASKED_MAJORS}
    seen = set()
    for node, device in looked_at.items():
        if device.format == "none" and not device.problem:
            continue
        if device.uuid and any(looked_at[up].uuid == device.uuid for up in layers_above(node) if up in looked_at):
            continue
        path_of_disk = (node.disk.attribute("device/wwid"), node.integer("start"), device.uuid)
        if path_of_disk[0] and device.uuid and path_of_disk in seen:
            continue  # another path to the same disk, without multipath above
        seen.add(path_of_disk)
        yield device


def _look(node: BlockNode) -> FoundDevice:
    if node.is_suspended:
        return FoundDevice(node.path, problem="it is suspended: reading it would wait for ever")
    return _inspect(node.path, node.path)


def _inspect(path: str, header: str) -> FoundDevice:
    try:
        with open_source(header) as reader:
            seen = inspect(reader)
    except (LuksafeError, OSError) as error:
        return FoundDevice(path, problem=str(error))
    if all(copy.state in ("missing", "unreadable") for copy in seen.copies) and seen.format != "none":
        return FoundDevice(path, problem="its start cannot be read")
    uuid = seen.header.uuid if seen.header else next((copy.uuid for copy in seen.copies if copy.uuid), "")
    has_primary = any(copy.copy == "primary" and copy.state != "missing" for copy in seen.copies)
    return FoundDevice(path, seen.format, uuid, has_primary)


def _entries(crypttab: Path) -> list[CrypttabEntry]:
    try:
        return parse_crypttab(crypttab.read_text(errors="replace"))
    except OSError:
        return []


def _detached(entry: CrypttabEntry) -> FoundDevice:
    """The pair that a crypttab line names, also when one half is missing: that is worth a warning."""
    device = find_device(entry.device)
    if entry.header_device:
        problem = f"its header {entry.header_file} is on {entry.header_device}, which is mounted only to unlock"
        found = FoundDevice(device or entry.device, problem=problem)
    else:
        found = _inspect(device or entry.device, entry.header_file)
    if not device:
        found = replace(found, problem=found.problem or f"there is no device {entry.device}")
    return replace(found, header_path=entry.header_file, name=entry.name)
