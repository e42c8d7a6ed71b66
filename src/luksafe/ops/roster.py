"""Every volume that there should be: those on this machine, and those that the vault knows, here or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from luksafe.device.discover import FoundDevice, find_luks_devices
from luksafe.device.identity import DeviceFacts, describe, describe_node
from luksafe.device.mappings import list_mappings
from luksafe.device.source import open_source
from luksafe.device.sysfs import BlockNode, all_nodes
from luksafe.errors import LuksafeError, NotFound
from luksafe.luks.compare import same_volume_key
from luksafe.luks.inspection import inspect
from luksafe.luks.model import Header
from luksafe.ops.check_report import is_in_use
from luksafe.ops.recorded_device import DeviceTie, tie_of
from luksafe.ops.stored_headers import stored_headers
from luksafe.ops.workspace import Workspace
from luksafe.reader import SliceReader
from luksafe.vault.backup import Backup
from luksafe.vault.record import Device
from luksafe.vault.vault import Vault

Fate = Literal["lost", "header-apart", "partition-gone", "absent"]
"""``lost``: its device is here, its header is not (``header-apart``: it never was on it). ``partition-gone``: its disk
is here. ``absent``: nothing is."""


@dataclass(frozen=True, slots=True)
class MissingVolume:
    """A volume that the vault knows, and whose header is nowhere on this machine. ``device`` is a path of now, or the
    recorded one; ``next`` is the way back, empty where the device has to come first. ``seen`` is when it was last."""

    uuid: str
    backup: Backup
    fate: Fate
    device: str
    text: str
    next: str = ""
    seen: str = ""

    @property
    def has_device(self) -> bool:
        """Whether the device itself is here, to be looked at."""
        return self.fate in ("lost", "header-apart")

    @property
    def is_lost(self) -> bool:
        """Whether what is here shows that the volume is gone."""
        return self.fate in ("lost", "partition-gone")


@dataclass(frozen=True, slots=True)
class Roster:
    """``devices`` are to be looked at, each with its detached header, if any; ``missing`` has what else is known."""

    devices: tuple[tuple[str, str | None], ...]
    missing: tuple[MissingVolume, ...] = ()

    @property
    def with_device(self) -> list[MissingVolume]:
        """Those whose device is here."""
        return [each for each in self.missing if each.has_device]


def every_device() -> list[tuple[str, str | None]]:
    """Every LUKS volume of this machine, with the detached header that crypttab names."""
    return [(found.path, found.header_path or None) for found in _on_machine()]


def take_roster(workspace: Workspace, vault: Vault | None) -> Roster:
    """The union of this machine and the vault. Volumes that only other hosts backed up are theirs to look for."""
    found = _on_machine()
    devices = [(each.path, each.header_path or None) for each in found]
    missing: list[MissingVolume] = []
    seen = vault.volumes_seen() if vault else {}
    for uuid, backups in (_known(vault) if vault else {}).items():
        is_ours = any(backup.record.host == workspace.host_name for backup in backups)
        shown = [facts for each in found if each.uuid.lower() == uuid and (facts := _facts_at(each.path))]
        for newest in _one_of_each_device(backups):
            ties = [tie_of(newest.record.device, facts) for facts in shown]
            if vault is None or any(tie.is_tied for tie in ties):
                continue
            place = _find(vault, newest, seen.get(uuid, ""))
            if isinstance(place, str):
                devices.append((place, None))
            elif place is not None and _is_told(place, ties, is_ours=is_ours):
                missing.append(place)
    return Roster(tuple(dict.fromkeys(devices)), tuple(missing))


def _is_told(place: MissingVolume, ties: Sequence[DeviceTie], *, is_ours: bool) -> bool:
    """A volume that is here on another device may have moved there: then it is lost only where it had a clone."""
    if ties:
        return place.is_lost and all(tie.tie == "other" for tie in ties)
    return is_ours or place.fate != "absent"


def _one_of_each_device(backups: Iterable[Backup]) -> list[Backup]:
    """The latest backup of each device that a volume was on: of clones, each has its own."""
    found: dict[object, Backup] = {}
    for backup in sorted(backups, key=lambda backup: backup.record.created):
        device = backup.record.device
        if device.path:  # an imported file: nobody ever saw its device here
            found[device.partition.get("target_key") or device.path, device.serial] = backup
    return list(found.values())


def _facts_at(path: str) -> DeviceFacts | None:
    try:
        return describe(path)
    except LuksafeError:
        return None


def machine_and_vault(workspace: Workspace) -> Roster:
    """The roster, with whatever vault there is."""
    try:
        vault = workspace.open_vault()
    except NotFound:
        return take_roster(workspace, None)
    with vault:
        return take_roster(workspace, vault)


def _on_machine() -> list[FoundDevice]:
    """The volumes that show themselves, and those that only an open mapping tells of: the header is elsewhere."""
    found = find_luks_devices()
    uuids = {each.uuid.lower() for each in found if each.uuid}
    paths = {each.path for each in found}
    for mapping in list_mappings():
        if mapping.luks_uuid and mapping.luks_uuid not in uuids and mapping.device and mapping.device not in paths:
            paths.add(mapping.device)
            found.append(FoundDevice(mapping.device, "none", mapping.luks_uuid, name=mapping.name))
    return found


def _known(vault: Vault) -> dict[str, list[Backup]]:
    """The current backups of each volume."""
    volumes: dict[str, list[Backup]] = {}
    for backup in vault.backups():
        if backup.is_current and backup.record.uuid and not backup.is_foreign:
            volumes.setdefault(backup.record.uuid.lower(), []).append(backup)
    return volumes


def _find(vault: Vault, newest: Backup, seen: str) -> MissingVolume | str | None:
    """Where the volume is: the path of an image that has it still; what became of it; None where it made way."""
    recorded, uuid = newest.record.device, newest.record.uuid
    seen = max(seen, newest.record.created)
    path, evidence = _device_of(recorded)
    if path:
        return _at_its_device(vault, newest, path, evidence, seen)
    disk = _disk_of(recorded)
    if disk:
        return _partition_gone(newest, disk, seen)
    text = f"its device ({_name_of(recorded)}) is not here: last seen {seen}"
    return MissingVolume(uuid, newest, "absent", recorded.path, text, "", seen)


def _at_its_device(vault: Vault, backup: Backup, path: str, evidence: str, seen: str) -> MissingVolume | str | None:
    uuid = backup.record.uuid
    there = header_at(path)
    if there is not None and there.uuid.lower() == uuid.lower():
        return path
    stored = next(stored_headers(vault, [backup]), None)
    if there is not None and stored is not None and same_volume_key(stored.header, there):
        return path  # its UUID was changed
    if there is None and stored is not None and stored.header.is_detached:
        text = f"its header is a detached one, which has to be named: luksafe backup {path} --header FILE"
        return MissingVolume(uuid, backup, "header-apart", path, text, "", seen)
    if there and is_in_use(vault.current(there.uuid)):
        return None  # another volume is in use in its place
    what = f"another LUKS header is on {path} now ({there.uuid})" if there else f"no LUKS header is on {path} any more"
    way = f"luksafe restore {uuid} {path} --dry-run"
    return MissingVolume(uuid, backup, "lost", path, f"{what}; known by {evidence}", way, seen)


def _partition_gone(backup: Backup, disk: str, seen: str) -> MissingVolume:
    """The partition table is another one: the volume may lie where it lay."""
    start = int(backup.record.device.partition.get("start") or 0)
    there = header_at(disk, start)
    is_there = there is not None and there.uuid.lower() == backup.record.uuid.lower()
    text = f"its partition is not on {disk} any more, where it began at byte {start}: "
    text += "its header is still there" if is_there else "its header is not there either"
    way = f"luksafe scan {disk} --table" if is_there else f"luksafe diagnose {disk}"
    return MissingVolume(backup.record.uuid, backup, "partition-gone", disk, text, way, seen)


def _device_of(recorded: Device) -> tuple[str, str]:
    """The path that the recorded device has now, and the evidence for it; empty where it is not here."""
    best = ("", "")
    for facts in _devices_here():
        tie = tie_of(recorded, facts)
        if tie.tie == "same":
            return facts.path, tie.text
        if tie.tie == "weak" and not best[0]:
            best = (facts.path, tie.text)
    # an image is asked for after the loop devices that may show it
    key = str(recorded.partition.get("target_key") or "")
    if not best[0] and key.startswith("file:") and Path(key.removeprefix("file:")).is_file():
        return key.removeprefix("file:"), "its path alone"
    return best


def _disk_of(recorded: Device) -> str:
    """The disk that a partition was on, by its serial number, or where there is none by its path."""
    if not recorded.partition.get("number"):
        return ""
    end = int(recorded.partition.get("start") or 0) + recorded.size
    by_path = ""
    for facts in _devices_here():
        if facts.partition is not None or facts.dm_uuid or facts.size_bytes < end:
            continue
        if recorded.serial and facts.serial:
            if facts.serial == recorded.serial:
                return facts.path
        elif facts.path == recorded.partition.get("disk"):
            by_path = facts.path
    return by_path


def _devices_here() -> Iterator[DeviceFacts]:
    for node in all_nodes():
        if facts := _facts(node):
            yield facts


def _facts(node: BlockNode) -> DeviceFacts | None:
    try:
        return describe_node(node)
    except (LuksafeError, OSError):
        return None


def header_at(path: str, start: int = 0) -> Header | None:
    """The header there; None where there is none that can be read."""
    try:
        with open_source(path) as reader:
            return inspect(SliceReader(reader, start)).header
    except (LuksafeError, OSError):
        return None


def _name_of(recorded: Device) -> str:
    names: Iterable[str] = (recorded.path, recorded.model, recorded.serial and f"serial number {recorded.serial}")
    return ", ".join(name for name in names if name)
