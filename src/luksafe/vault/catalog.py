"""What the stores that are here hold, by name; and the good copy of any of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from luksafe.errors import DamagedInput, LuksafeError, NotFound, StoreError
from luksafe.vault.image import is_as_packed, unpack_verified
from luksafe.vault.lineage import Lineage, judge
from luksafe.vault.name import NO_UUID, PACKET, Kind, Name, base_id
from luksafe.vault.packet import check_packet_file
from luksafe.vault.record import Document, Proof, Record, Sighting, Tombstone, decode
from luksafe.vault.report import Problem
from luksafe.vault.store import Store

Key = tuple[str, str]
"""A backup: its volume folder and its id."""


class Catalog:
    """A listing of the stores, of one volume or all. ``problems`` gathers what was found wrong while reading."""

    def __init__(self, stores: Sequence[Store], volume: str = "") -> None:
        self.problems: list[Problem] = []
        self.holders: dict[Name, list[Store]] = defaultdict(list)
        self._documents: dict[Name, tuple[Document | None, bytes]] = {}
        self._names: dict[Key, list[Name]] = defaultdict(list)
        self._lineages: dict[str, Lineage] = {}
        for store in stores:
            try:
                names = store.names(volume)
            except StoreError as error:
                self.problems.append(Problem.of(store.name, "", error))
                continue
            for name in names:
                self.holders[name].append(store)
        for name in sorted(self.holders):
            self._names[name.volume, name.id].append(name)
        self._ids: dict[str, list[str]] = defaultdict(list)
        for volume_folder, backup_id in self._names:
            self._ids[volume_folder].append(backup_id)

    @property
    def keys(self) -> list[Key]:
        """Every backup of which there is any file, forgotten ones included."""
        return sorted(self._names)

    @property
    def volumes(self) -> list[str]:
        """The volume folders, sorted."""
        return sorted(self._ids)

    def keys_of(self, volume: str) -> list[Key]:
        """The backups of one volume, forgotten ones included."""
        return [(volume, backup_id) for backup_id in sorted(self._ids.get(volume, []))]

    def names(self, key: Key, *kinds: Kind) -> list[Name]:
        """The files of a backup, of these kinds or of all."""
        return [name for name in self._names.get(key, []) if not kinds or name.kind in kinds]

    def is_forgotten(self, key: Key) -> bool:
        """Whether any store holds a valid tombstone."""
        return self.tombstone(key) is not None

    def has_tombstone(self, key: Key) -> bool:
        """Whether any store holds a tombstone, damaged or not."""
        return Name(*key, Kind.TOMBSTONE) in self.holders

    def record(self, key: Key) -> Record | None:
        """The record of a backup, from the first store that has a good one."""
        document = self._document(Name(*key, Kind.RECORD))
        return document if isinstance(document, Record) else None

    def tombstone(self, key: Key) -> Tombstone | None:
        """The tombstone of a backup."""
        document = self._document(Name(*key, Kind.TOMBSTONE))
        return document if isinstance(document, Tombstone) else None

    def proofs(self, key: Key) -> list[Proof]:
        """The proofs of a backup, oldest first."""
        documents = [self._document(name) for name in self.names(key, Kind.PROOF)]
        return sorted((proof for proof in documents if isinstance(proof, Proof)), key=lambda proof: proof.when)

    def lineage(self, volume: str) -> Lineage:
        """What is current of a volume."""
        if volume not in self._lineages:
            self._lineages[volume] = self._judge(volume)
        return self._lineages[volume]

    def _judge(self, volume: str) -> Lineage:
        names = [name for key in self.keys_of(volume) for name in self.names(key, Kind.SIGHTING)]
        documents = {name.event: self._document(name) for name in names}
        sightings = {event: document for event, document in documents.items() if isinstance(document, Sighting)}
        forgotten = {key[1] for key in self.keys_of(volume) if self.is_forgotten(key)}
        return judge(self.records(volume), sightings, forgotten)

    def records(self, volume: str) -> list[Record]:
        """The records of a volume's backups, forgotten ones included; stand-ins when all records are lost."""
        records = [record for key in self.keys_of(volume) if (record := self.record(key))]
        return records or [stand_in(key) for key in self.keys_of(volume) if self.names(key, Kind.IMAGE)]

    def image(self, key: Key) -> tuple[bytes, Store]:
        """The verified image of a backup and the store that it is from. Raises ``NotFound``, ``DamagedInput``."""
        name = Name(*key, Kind.IMAGE)
        record = self.record(key)
        for store in self.holders.get(name, []):
            try:
                return read_image(store, name, record), store
            except LuksafeError as error:
                self.problems.append(Problem.of(store.name, name, error))
        if name in self.holders:
            raise DamagedInput(
                f"every copy of {name} that is here is damaged",
                hint="mount the other stores and run `luksafe check`",
            )
        raise NotFound(f"no store that is here holds {name}", hint="mount the other stores: `luksafe stores`")

    def packet_bytes(self, name: Name) -> bytes:
        """The bytes of a packet's file in the first store that has it good; empty when none has."""
        for store in self.holders.get(name, []):
            try:
                data = store.read(name)
                check_packet_file(name, data)
                return data
            except LuksafeError as error:
                self.problems.append(Problem.of(store.name, name, error))
        return b""

    def good_bytes(self, name: Name) -> bytes:
        """The bytes of a document in the first store that has it good; empty when none has."""
        self._document(name)
        return self._documents[name][1]

    def _document(self, name: Name) -> Document | None:
        if name not in self._documents:
            self._documents[name] = self._read_document(name)
        return self._documents[name][0]

    def _read_document(self, name: Name) -> tuple[Document | None, bytes]:
        for store in self.holders.get(name, []):
            try:
                data = store.read(name)
                return decode(name, data), data
            except LuksafeError as error:
                self.problems.append(Problem.of(store.name, name, error))
        return None, b""


def stand_in(key: Key) -> Record:
    """For an image without a good record: all that its name says."""
    uuid = "" if key[0] == NO_UUID else key[0]
    return Record(id=key[1], uuid=uuid, luks="", seqid=0, kept=[], whole=False, why="its record is lost")


def read_image(store: Store, name: Name, record: Record | None) -> bytes:
    """The image in a store, verified against its record, or its id when there is none. Raises ``DamagedInput``."""
    packed = store.read(name)
    if record is None:
        return unpack_verified(packed, base_id(name.id))
    return unpack_verified(packed, record.image_sha256, record.image_size)


def check_file(name: Name, data: bytes, record: Record | None) -> None:
    """Raise ``DamagedInput`` unless ``data`` is what belongs under ``name``, to the last byte that matters."""
    if name.kind in PACKET:
        check_packet_file(name, data)
        return
    if name.kind is not Kind.IMAGE:
        decode(name, data)
        return
    if record is None:
        unpack_verified(data, base_id(name.id))
    else:
        unpack_verified(data, record.image_sha256, record.image_size)
    if not is_as_packed(data):
        raise DamagedInput("the gzip header was changed (the image in it is good)")
