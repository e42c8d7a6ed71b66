"""The escrow packets in the vault that may hold the key of a target."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from luksafe.errors import LuksafeError
from luksafe.luks.inspection import Inspection
from luksafe.ops.diagnosis.known_backups import KnownBackup
from luksafe.ops.escrow.found import FoundPacket, packets_in_vault
from luksafe.ops.workspace import Workspace


@dataclass(frozen=True, slots=True)
class KnownPacket:
    """A packet of the vault. ``is_of_volume``: it has the UUID of the target; else nothing tells whose key it holds."""

    id: str
    uuid: str
    is_of_volume: bool


def find_known_packets(
    workspace: Workspace, inspections: Iterable[Inspection], backups: Iterable[KnownBackup]
) -> tuple[KnownPacket, ...]:
    """The packets of the volume; where no UUID is left on the device and none is known from a backup, all of them."""
    uuids = {copy.uuid.lower() for i in inspections for copy in i.copies if copy.uuid}
    uuids |= {backup.uuid.lower() for backup in backups if backup.uuid}
    try:
        found = packets_in_vault(workspace)
    except LuksafeError:
        return ()
    known = [KnownPacket(_id(f), _uuid(f), _uuid(f) in uuids) for f in found]
    return tuple(packet for packet in known if packet.is_of_volume or not uuids)


def _id(found: FoundPacket) -> str:
    return found.public.packet_id if found.public else found.vault_id[:16]


def _uuid(found: FoundPacket) -> str:
    return found.public.uuid.lower() if found.public else ""
