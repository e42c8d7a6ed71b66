"""What the stores that are here hold, by name; and the good copy of any of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence

from luksafe.errors import DamagedInput, LuksafeError, NotFound, StoreError
from luksafe.vault.image import is_as_packed, unpack_verified
from luksafe.vault.lineage import Lineage, OwnLineage, judge, judge_own
from luksafe.vault.name import NO_UUID, PACKET, Kind, Name, base_id
from luksafe.vault.packet import check_packet_file
from luksafe.vault.record import Device, Document, Proof, Record, Sighting, Tombstone, decode
from luksafe.vault.report import Problem
from luksafe.vault.store import Store

Key = tuple[str, str]
"""A backup: its volume folder and its id."""

MAX_NAMES = 1_000_000
OWN_ONLY = (Kind.PROOF, Kind.SIGHTING, Kind.TOMBSTONE)
"""What counts only from the user's own stores (spec/vault.md, section 8)."""


def _say_nothing(problem: Problem) -> None:
    """Where nobody listens."""


class Catalog:
    """A listing of the stores, of one volume or all. ``problems`` gathers what was found wrong while reading.

    Own stores come first. ``held_away``: ids whose images are in stores that are not here now. ``foreign``: files that
    only the user's own stores may say, in stores that are not; they count for nothing and have no other name here.
    """

    def __init__(
        self,
        stores: Sequence[Store],
        volume: str = "",
        *,
        held_away: Collection[str] = (),
        report: Callable[[Problem], None] = _say_nothing,
    ) -> None:
        self.problems: list[Problem] = []
        self.unlisted: set[tuple[str, str]] = set()
        self.holders: dict[Name, list[Store]] = defaultdict(list)
        self.foreign: dict[Name, list[Store]] = defaultdict(list)
        self._report = report
        self._held_away = held_away
        self._documents: dict[Name, tuple[Document | None, bytes, bool]] = {}
        self._names: dict[Key, list[Name]] = defaultdict(list)
        self._lineages: dict[str, Lineage] = {}
        for store in sorted(stores, key=lambda store: not store.is_own):
            for name in self._list(store, volume):
                counts = store.is_own or name.kind not in OWN_ONLY or name in self.holders
                (self.holders if counts else self.foreign)[name].append(store)
        for name in sorted(self.holders):
            self._names[name.volume, name.id].append(name)
        self._ids: dict[str, list[str]] = defaultdict(list)
        for volume_folder, backup_id in self._names:
            self._ids[volume_folder].append(backup_id)

    def _list(self, store: Store, volume: str) -> list[Name]:
        """What a store holds; of a folder that cannot be listed nothing, and a problem."""
        names: list[Name] = []
        try:
            for folder in [volume] if volume else store.volumes():
                try:
                    names += store.names(folder)
                except StoreError as error:
                    self._note(store, folder, error)
                    self.unlisted.add((store.name, folder))
                if len(names) > MAX_NAMES:
                    raise StoreError(f"{store.name} holds more than {MAX_NAMES} files", code="store")
        except StoreError as error:
            self._note(store, "", error)
            self.unlisted.add((store.name, ""))
            return []
        return names

    def _note(self, store: Store, name: Name | str, error: LuksafeError) -> None:
        problem = Problem.of(store.name, name, error)
        self.problems.append(problem)
        self._report(problem)

    def is_unlisted(self, store: Store, volume: str) -> bool:
        """Whether it is not known what the store holds of a volume."""
        return not self.unlisted.isdisjoint({(store.name, ""), (store.name, volume)})

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
        """Whether any own store holds a valid tombstone."""
        return self.tombstone(key) is not None

    def has_tombstone(self, key: Key) -> bool:
        """Whether any own store holds a tombstone, damaged or not."""
        return Name(*key, Kind.TOMBSTONE) in self.holders

    def record(self, key: Key) -> Record | None:
        """The record of a backup, from the first store that has a good one."""
        document = self._document(Name(*key, Kind.RECORD))
        return document if isinstance(document, Record) else None

    def is_foreign(self, key: Key) -> bool:
        """Whether no own store has a good record of the backup: it is then an event only where own ones say nothing."""
        name = Name(*key, Kind.RECORD)
        return not (self._document(name) and self._documents[name][2])

    def is_foreign_only(self, key: Key) -> bool:
        """Whether no own store that is here has any file of the backup."""
        return not any(store.is_own for name in self.names(key) for store in self.holders[name])

    def own_record(self, key: Key) -> Record | None:
        """The record that images of a backup are judged by; without an own one their name alone tells."""
        return None if self.is_foreign(key) else self.record(key)

    def is_followed(self, key: Key) -> bool:
        """Whether an event that an own store knows names this backup: as its parent, or as what was seen again."""
        keys = self.keys_of(key[0])
        own: list[Document | None] = [self.record(other) for other in keys if not self.is_foreign(other)]
        own += [self._document(name) for other in keys for name in self.names(other, Kind.SIGHTING)]
        return any(isinstance(e, Record | Sighting) and (key[1] in e.parents or key[1] == e.id) for e in own)

    def stays_current(self, key: Key) -> bool:
        """Whether the same backups are current when the record of this one counts as if an own store had it."""
        return self._judge(key[0], adopted=key[1]).current == self.lineage(key[0]).current

    def has_image(self, key: Key) -> bool:
        """Whether a store holds an image of the backup, or held one when it was last here."""
        return Name(*key, Kind.IMAGE) in self.holders or key[1] in self._held_away

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

    def _judge(self, volume: str, adopted: str = "") -> Lineage:
        """What is current; ``adopted`` is the id of a backup that is judged as if an own store had its record."""
        return judge(*self._evidence(volume, adopted))

    def own_lineage(self, volume: str, is_elsewhere: Callable[[Device], bool]) -> OwnLineage:
        """What is current of a volume on one device, where clones of it have the same UUID."""
        return judge_own(*self._evidence(volume), is_elsewhere)

    def _evidence(self, volume: str, adopted: str = "") -> tuple[list[Record], dict[str, Sighting], set[str]]:
        names = [name for key in self.keys_of(volume) for name in self.names(key, Kind.SIGHTING)]
        documents = {name.event: self._document(name) for name in names}
        sightings = {event: document for event, document in documents.items() if isinstance(document, Sighting)}
        hidden = {key[1] for key in self.keys_of(volume) if self.is_forgotten(key) or not self.has_image(key)}
        records = self.records(volume)
        own = [record for record in records if record.id == adopted or not self.is_foreign((volume, record.id))]
        counting = own if any(record.id not in hidden for record in own) else records
        return counting, sightings, hidden

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
                self._note(store, name, error)
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
                self._note(store, name, error)
        return b""

    def good_bytes(self, name: Name) -> bytes:
        """The bytes of a document in the first store that has it good, of a record in an own one; else empty."""
        self._document(name)
        _, data, is_own = self._documents[name]
        return data if is_own or name.kind is not Kind.RECORD else b""

    def _document(self, name: Name) -> Document | None:
        if name not in self._documents:
            self._documents[name] = self._read_document(name)
        return self._documents[name][0]

    def _read_document(self, name: Name) -> tuple[Document | None, bytes, bool]:
        """The document, its bytes, and whether an own store has it good."""
        for store in self.holders.get(name, []):
            if name.kind is Kind.TOMBSTONE and not store.is_own:
                continue  # its name does not tell what it holds, and that of an own store is damaged
            try:
                data = store.read(name)
                return decode(name, data), data, store.is_own
            except LuksafeError as error:
                self._note(store, name, error)
        return None, b"", False


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
