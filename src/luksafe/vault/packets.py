"""Escrow packets beside the backups: stored in every store, listed, their good copy found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from luksafe.errors import Refused
from luksafe.vault.add import put_everywhere
from luksafe.vault.catalog import Catalog, Key
from luksafe.vault.name import NO_UUID, SEALED, Kind
from luksafe.vault.packet import PacketFiles
from luksafe.vault.record import Proof
from luksafe.vault.report import Added, Away
from luksafe.vault.store import Store


@dataclass(frozen=True, slots=True)
class StoredPacket:
    """A packet in the vault. ``stores`` hold its sealed file now; ``public`` is empty where no good copy is here.

    ``sealed`` is None when every copy that is here is damaged.
    """

    id: str
    uuid: str
    kind: Kind
    sealed: bytes | None = field(repr=False)
    public: bytes
    stores: tuple[str, ...]
    proofs: tuple[Proof, ...] = ()


def add_packet(stores: Sequence[Store], away: list[Away], volume: str, packet: PacketFiles) -> Added:
    """Store a packet in every store that is here. Raises ``Refused`` for one that was forgotten, ``StoreError``."""
    catalog = Catalog(stores, volume)
    key = (volume, packet.id)
    if tombstone := catalog.tombstone(key):
        raise Refused(
            f"this packet was forgotten on {tombstone.when}",
            code="forgotten",
            hint="seal a new one: luksafe escrow save",
        )
    new = not catalog.names(key, packet.kind)
    done, problems = put_everywhere(stores, packet.named(volume), None)
    return Added(packet.id, new, False, done, away, problems)


def list_packets(catalog: Catalog) -> list[StoredPacket]:
    """All packets that were not forgotten, by volume and id."""
    keys = [key for key in catalog.keys if catalog.names(key, *SEALED) and not catalog.is_forgotten(key)]
    return [_stored(catalog, key) for key in keys]


def _stored(catalog: Catalog, key: Key) -> StoredPacket:
    name = catalog.names(key, *SEALED)[0]
    public = (catalog.packet_bytes(part) for part in catalog.names(key, Kind.PUBLIC_PART))
    return StoredPacket(
        id=key[1],
        uuid="" if key[0] == NO_UUID else key[0],
        kind=name.kind,
        sealed=catalog.packet_bytes(name) or None,
        public=next((part for part in public if part), b""),
        stores=tuple(store.name for store in catalog.holders[name]),
        proofs=tuple(catalog.proofs(key)),
    )
