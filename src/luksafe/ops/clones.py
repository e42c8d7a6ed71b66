"""Devices that share one UUID, as a disk and its copy do: each has a lineage of its own."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from luksafe.device.identity import DeviceFacts, describe
from luksafe.device.mounts import is_same_file
from luksafe.errors import LuksafeError
from luksafe.ops.recorded_device import tie_of
from luksafe.ops.roster import header_at
from luksafe.vault.lineage import Event, OwnLineage
from luksafe.vault.record import Device, Record, Sighting
from luksafe.vault.vault import Vault


def own_lineage(vault: Vault, uuid: str, facts: DeviceFacts) -> OwnLineage:
    """What is current of a volume on this very device, and what is kept of others with its UUID.

    Others are those that certainly are: by their serial number or the like, or since both are here now.
    """

    @cache
    def is_here_too(path: str, key: str) -> bool:
        return is_beside(uuid, path, key, facts)

    def is_elsewhere(recorded: Device) -> bool:
        return tie_of(recorded, facts).tie == "other" or is_here_too(recorded.path, _key(recorded))

    return vault.own_lineage(uuid, is_elsewhere)


def is_beside(uuid: str, path: str, key: str, facts: DeviceFacts) -> bool:
    """Whether the device that was recorded with this path and key is here beside another one, with the same UUID."""
    if not path or is_same_file(path, facts.path):
        return False
    try:
        there = describe(path)
    except LuksafeError:
        return False
    if there.target_key != key or _shows(there, facts) or _shows(facts, there):
        return False
    header = header_at(path)
    return header is not None and header.uuid.lower() == uuid.lower()


def superseded_beside(uuid: str, own: OwnLineage, facts: DeviceFacts) -> list[Event]:
    """What the first backup of this device would supersede of another one that is here now with its own header."""
    if own.has_own:
        return []
    latest = set(own.lineage.events)
    return [
        event
        for event in own.apart
        if event.name in latest and is_beside(uuid, event.device.path, _key(event.device), facts)
    ]


def keep_apart(vault: Vault, uuid: str, events: Iterable[Event], when: str) -> None:
    """Note that the other devices carry these headers still: what is kept of a clone supersedes nothing of theirs."""
    for event in events:
        vault.add_sighting(uuid, Sighting(id=event.backup, parents=[event.name], when=when, device=event.device))


def note_size(vault: Vault, backup_id: str, record: Record, own: OwnLineage) -> None:
    """Note that the device, of another size now, carries the header that is stored already."""
    seen = Sighting(
        id=backup_id, parents=own.lineage.events, when=record.created, host=record.host, device=record.device
    )
    vault.add_sighting(record.uuid, seen)


def _key(recorded: Device) -> str:
    return str(recorded.partition.get("target_key") or "")


def _shows(loop: DeviceFacts, file: DeviceFacts) -> bool:
    """Whether a loop device shows this file, so that both are one."""
    return loop.loop is not None and is_same_file(loop.loop.backing_file, file.path)
