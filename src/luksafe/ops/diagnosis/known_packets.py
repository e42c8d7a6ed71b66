"""The escrow packets in the vault that may hold the key of a target."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from luksafe.errors import LuksafeError
from luksafe.luks.inspection import Inspection
from luksafe.ops.diagnosis.known_backups import KnownBackup
from luksafe.ops.escrow.found import FoundPacket, readable
from luksafe.ops.workspace import Workspace

MOST_STRANGERS = 6


@dataclass(frozen=True, slots=True)
class KnownPacket:
    """A packet of the vault. ``is_of_volume``: it has the UUID of the target; else nothing tells whose key it holds.

    ``holds_volume_key``: as far as anybody knows it opens the data without any keyslot; a recovery key does not.
    ``asks``: what opens it is asked for on the terminal; else it takes the file of a private key.
    """

    id: str
    is_of_volume: bool
    holds_volume_key: bool
    asks: bool

    def apply(self, device: str) -> tuple[str, ...]:
        """The command that gives the volume a new passphrase, in its own header or in a new one."""
        return ("luksafe", "escrow", "apply", self.id, device)


def find_known_packets(
    workspace: Workspace, inspections: Iterable[Inspection], backups: Iterable[KnownBackup]
) -> tuple[KnownPacket, ...]:
    """The packets of the volume; where no UUID is left on the device and none is known from a backup, all of them.

    Those that open the data without a keyslot come first, of each kind the latest one.
    """
    uuids = {copy.uuid.lower() for i in inspections for copy in i.copies if copy.uuid}
    uuids |= {backup.uuid.lower() for backup in backups if backup.uuid}
    try:
        with workspace.vault_if_readable() as vault:
            found = list(readable(vault.packets())) if vault else []
    except LuksafeError:
        return ()
    known = [_known(packet, uuids) for packet in sorted(found, key=_made, reverse=True)]
    mine = [packet for packet in known if packet.is_of_volume or not uuids]
    return tuple(sorted(mine, key=lambda packet: not packet.holds_volume_key))


def to_offer(packets: Sequence[KnownPacket]) -> Sequence[KnownPacket]:
    """Those that are proposed one by one: all of the volume; of packets whose key nothing tells, only some."""
    strangers = [packet for packet in packets if not packet.is_of_volume]
    return [packet for packet in packets if packet not in strangers[MOST_STRANGERS:]]


def _made(found: FoundPacket) -> datetime:
    return found.public.when if found.public else datetime.min.replace(tzinfo=UTC)


def _known(found: FoundPacket, uuids: set[str]) -> KnownPacket:
    public = found.public
    return KnownPacket(
        id=public.packet_id if public else found.vault_id[:16],
        is_of_volume=public is not None and public.uuid.lower() in uuids,
        holds_volume_key=public is None or "volume-key" in public.kinds,
        asks=found.packet.scheme == "passphrase",
    )
