"""Whether a device is the one that a backup was taken of: what was recorded of it, graded; a path is almost nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from luksafe.device.identity import DeviceFacts
from luksafe.ops.same_device import lasting_key
from luksafe.vault.backup import Backup
from luksafe.vault.record import Device
from luksafe.vault.vault import Vault

Tie = Literal["same", "weak", "unknown", "other"]
"""``weak``: the path of a file, or the slot that a disk is plugged into, where another one may be by now."""


@dataclass(frozen=True, slots=True)
class DeviceTie:
    """What ties a recorded device to one that is here, or tells them apart; ``text`` is the evidence in words."""

    tie: Tie
    text: str = ""

    @property
    def is_tied(self) -> bool:
        """Whether it is taken for the same device, on whatever evidence."""
        return self.tie in ("same", "weak")


def tie_of(recorded: Device, facts: DeviceFacts) -> DeviceTie:
    """The strongest evidence first: serial numbers tell clones of a disk apart, which have one partition table."""
    key = str(recorded.partition.get("target_key") or "")
    if recorded.serial and facts.serial and recorded.serial != facts.serial:
        return DeviceTie("other", f"serial number {recorded.serial}, not {facts.serial}")
    if key and key == facts.target_key:
        return _by_key(key, recorded, facts)
    if recorded.by_id and recorded.by_id in facts.links:
        return DeviceTie("same", recorded.by_id)
    if recorded.serial and recorded.serial == facts.serial and _start(recorded) == _start_of(facts):
        return DeviceTie("same", f"serial number {recorded.serial}")
    lasting = lasting_key(facts)
    if lasting and not key.startswith(("file:", "slot:")) and _kind(key) == _kind(lasting):
        return DeviceTie("other", f"{key}, not {lasting}")
    return DeviceTie("unknown")


def _by_key(key: str, recorded: Device, facts: DeviceFacts) -> DeviceTie:
    if lasting_key(facts):
        return DeviceTie("same", f"the {_words(key)} that was recorded")
    if key.startswith("file:"):
        return DeviceTie("weak", "its path alone")
    if recorded.size and recorded.size != facts.size_bytes:
        return DeviceTie("unknown")  # another disk in the same slot
    return DeviceTie("weak", "its size and the slot that it is plugged into alone")


def is_one_device(one: Device, other: Device) -> bool:
    """Whether two records are of one device, as far as that can be told: what tells none apart is no evidence."""
    key = one.partition.get("target_key")
    inodes = {str(device.partition["inode"]) for device in (one, other) if "inode" in device.partition}
    return bool(key) and key == other.partition.get("target_key") and one.serial == other.serial and len(inodes) < 2


def device_backups(vault: Vault, facts: DeviceFacts) -> list[tuple[Backup, DeviceTie]]:
    """The current backups that were taken of this device, and by what that is told; the best evidence first."""
    tied = [(b, tie_of(b.record.device, facts)) for b in vault.backups() if b.is_current]
    found = [pair for pair in tied if pair[1].is_tied]
    # anybody can write the name of a device into a record
    found = [pair for pair in found if not pair[0].is_foreign] or found
    return sorted(found, key=lambda pair: pair[1].tie != "same")


def backups_of_device(vault: Vault, facts: DeviceFacts) -> list[Backup]:
    """The current backups that were taken of this very device: for when its header is gone."""
    return [backup for backup, _ in device_backups(vault, facts)]


def _start(recorded: Device) -> object:
    return recorded.partition.get("start")


def _start_of(facts: DeviceFacts) -> object:
    return facts.partition.start_bytes if facts.partition else None


def _kind(key: str) -> str:
    return key.partition(":")[0]


def _words(key: str) -> str:
    names = {"partuuid": "PARTUUID", "dm": "device-mapper UUID", "md": "RAID's UUID", "wwn": "WWN"}
    kind, _, value = key.partition(":")
    return f"{names.get(kind, 'serial number')} {value}"
