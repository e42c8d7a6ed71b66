"""Volumes whose place another header took, and those that are away."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from luksafe.device.identity import DeviceFacts
from luksafe.luks.compare import same_volume_key
from luksafe.ops.check_report import Reason, is_in_use
from luksafe.ops.record import uuid_of
from luksafe.ops.recorded_device import DeviceTie, device_backups
from luksafe.ops.roster import MissingVolume
from luksafe.ops.stored_headers import stored_headers
from luksafe.ops.target import Target
from luksafe.vault.backup import Backup
from luksafe.vault.record import timestamp
from luksafe.vault.vault import Vault


@dataclass(frozen=True, slots=True)
class Before:
    """A volume that was on a device where another header is now, and by what that is known."""

    backup: Backup
    tie: DeviceTie


def volumes_before(vault: Vault, facts: DeviceFacts, target: Target) -> list[Before]:
    """The volumes, one backup of each, that the device held before the header that it has now."""
    live, uuid = target.inspection.header, uuid_of(target.inspection).lower()
    if not uuid:
        return []
    found: dict[str, Before] = {}
    for backup, tie in device_backups(vault, facts):
        of = backup.record.uuid.lower()
        if of in ("", uuid) or of in found or backup.is_foreign:
            continue
        stored = next(stored_headers(vault, [backup]), None)
        if live and stored and same_volume_key(stored.header, live):
            continue  # the same volume, whose UUID was changed
        if stored and stored.header.is_detached:
            continue  # its header never was here
        found[of] = Before(backup, tie)
    return list(found.values())


def replaced_reason(before: Before, device: str, target: Target) -> Reason:
    """That the volume is lost, by which header, and the way back."""
    uuid = before.backup.record.uuid
    text = f"the volume {uuid} that was here is lost: another LUKS header took the place of its own"
    text += f" ({uuid_of(target.inspection)}); that this is its device is known by {before.tie.text}"
    return Reason("replaced", text, f"luksafe restore {before.backup.id[:12]} {target.header_place(device)} --dry-run")


def unmeant_replacements(vault: Vault, facts: DeviceFacts, target: Target, device: str) -> list[Reason]:
    """The volumes that were lost to the header that a device has now, unless that is of a volume in use."""
    before = volumes_before(vault, facts, target)
    if before and is_in_use(vault.current(uuid_of(target.inspection))):
        return []
    return [replaced_reason(volume, device, target) for volume in before]


def as_note(replaced: Reason) -> Reason:
    """Of a volume that made way for one in use: nothing to do."""
    return replace(replaced, next="", severity="warning")


def absence(missing: MissingVolume, now: datetime, accepted_days: int) -> tuple[Reason, bool]:
    """How long a volume is away, and whether that is longer than accepted."""
    try:
        until = datetime.fromisoformat(missing.seen) + timedelta(days=accepted_days)
        is_overdue = now > until
        limit = f"accepted for {accepted_days} days, until {timestamp(until)[:10]}"
    except (ValueError, TypeError, OverflowError):
        is_overdue, limit = True, "when is not known"
    text = f"absent: {missing.text}; {limit}"
    return Reason("absent", text, "", "warning"), is_overdue
