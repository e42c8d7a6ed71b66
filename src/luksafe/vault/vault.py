"""The vault: backups kept in the home and in every store, found, verified, forgotten and levelled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from luksafe.errors import NotFound, StoreError, Unsupported
from luksafe.vault.add import add_backup, put_everywhere
from luksafe.vault.backup import Backup
from luksafe.vault.catalog import Catalog, Key, stand_in
from luksafe.vault.check import check_stores
from luksafe.vault.config import Config, read_config
from luksafe.vault.folder import Folder, RandomSource
from luksafe.vault.folder_store import FolderStore, open_home, open_store
from luksafe.vault.forget import forget_backup
from luksafe.vault.level import Levelling
from luksafe.vault.lineage import Lineage, OwnLineage
from luksafe.vault.name import NO_UUID, Kind, Name, volume_folder
from luksafe.vault.packet import PacketFiles
from luksafe.vault.packets import StoredPacket, add_packet, list_packets
from luksafe.vault.record import Device, Proof, Record, Sighting, Tombstone, encode, tag_of, timestamp
from luksafe.vault.report import Added, Away, Check, Copy, Forgotten, Problem, Sync
from luksafe.vault.resolve import resolve
from luksafe.vault.seen import Seen, read_seen, read_volumes, remember, remember_volumes
from luksafe.vault.store import Store


@dataclass(frozen=True, slots=True)
class Image:
    """A verified header image and the store that it is from; ``problems`` tells of copies that were passed over."""

    data: bytes
    store: str
    problems: list[Problem]


def _say_nothing(text: str) -> None:
    """Where nobody listens."""


def _cannot_tell(path: Path) -> bool:
    """Where nobody says which folders are on local disks, none is."""
    return False


class Vault:
    """The home and the stores that are here now; ``away`` are those that are not. Close it, or use ``with``."""

    def __init__(
        self,
        home: FolderStore,
        stores: Sequence[Store],
        away: Sequence[Away],
        config: Config,
        warn: Callable[[str], None] = _say_nothing,
    ) -> None:
        self.home = home
        self.stores: list[Store] = [home, *stores]
        self.away = list(away)
        self.config = config
        self._warn = warn
        self._told: set[str] = set()
        self._held_away = {each for store in away for each in read_seen(home.folder, store.id).intact}

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        random: RandomSource,
        create: bool = False,
        is_local: Callable[[Path], bool] = _cannot_tell,
        warn: Callable[[str], None] = _say_nothing,
    ) -> Self:
        """Open the vault at ``path`` with all its stores; with ``create`` it is made when absent.

        ``is_local`` decides which stores are own where the configuration does not say; ``warn`` hears of stores that
        fail. Raises ``NotFound``, ``UsageError`` for a wrong configuration, ``Unsupported``, ``StoreError``.
        """
        home = open_home(path, random, create=create)
        config = read_config(home.folder)
        stores: list[Store] = []
        away: list[Away] = []
        for entry in config.store:
            where = Path(entry.path)
            try:
                is_own = is_local(where) if entry.own is None else entry.own
                stores.append(open_store(entry.name, where, entry.id, random, is_own=is_own))
            except (StoreError, Unsupported) as error:
                away.append(Away(entry.name, entry.id, entry.path, str(error), error.hint))
                if error.code != "store-away":
                    warn(f"going on without the store {entry.name}: {error}")
        return cls(home, stores, away, config, warn)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *about: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all stores, so that they can be unmounted."""
        for store in self.stores:
            store.close()

    def backups(self, uuid: str | None = None, *, with_forgotten: bool = False) -> list[Backup]:
        """The backups of a volume or of all, in the order of volume and id."""
        catalog = self._catalog(volume_folder(uuid) if uuid is not None else "")
        seen = self._seen()
        keys = [key for key in catalog.keys if with_forgotten or not catalog.is_forgotten(key)]
        found = [self._backup(catalog, key, seen) for key in keys if catalog.names(key, Kind.RECORD, Kind.IMAGE)]
        same_folder = (backup for backup in found if uuid is None or backup.record.uuid.lower() == uuid.lower())
        return list(same_folder)

    def current(self, uuid: str) -> list[Backup]:
        """The current backup of a volume; several when the evidence does not decide; none when there is none."""
        return [backup for backup in self.backups(uuid) if backup.is_current]

    def lineage(self, uuid: str) -> Lineage:
        """The latest events of a volume (the ``parents`` of a header read from its device now), and what is current.

        Headers without a proper UUID have no events: nothing says that two of them are of one volume.
        """
        folder = volume_folder(uuid)
        if folder == NO_UUID:
            return Lineage([], [backup.id for backup in self.current(uuid)])
        return self._catalog(folder).lineage(folder)

    def own_lineage(self, uuid: str, is_elsewhere: Callable[[Device], bool]) -> OwnLineage:
        """The same of one device, for which ``is_elsewhere`` tells the recorded devices that are certainly others."""
        folder = volume_folder(uuid)
        if folder == NO_UUID:
            return OwnLineage(self.lineage(uuid))
        return self._catalog(folder).own_lineage(folder, is_elsewhere)

    def add_sighting(self, uuid: str, sighting: Sighting) -> list[Problem]:
        """Store that a device carries a stored header still. Raises ``StoreError``."""
        data = encode(sighting)
        name = Name(volume_folder(uuid), sighting.id, Kind.SIGHTING, tag_of(data))
        return put_everywhere(self.stores, [(name, data)], None)[1]

    def resolve(self, text: str) -> Backup:
        """The one backup that ``text`` names: id or its beginning, ``UUID``, ``UUID@id``, label.

        Raises ``NotFound``; ``UsageError`` that lists the candidates when several fit.
        """
        catalog = self._catalog()
        return self._backup(catalog, resolve(catalog, text), self._seen())

    def image(self, backup_id: str) -> Image:
        """The image of a backup, verified; from another store when the first copy is damaged. Raises ``NotFound``,
        ``DamagedInput`` when no good copy is here."""
        catalog = self._catalog()
        data, store = catalog.image(self._live_key(catalog, backup_id))
        return Image(data, store.name, catalog.problems)

    def proofs(self, backup_id: str) -> list[Proof]:
        """The proofs of a backup, oldest first."""
        catalog = self._catalog()
        return catalog.proofs(self._key(catalog, backup_id))

    def add(self, record: Record, image: bytes, *, now: datetime, again: bool = False) -> Added:
        """Store a backup in every store that is here; see ``add.add_backup``."""
        added = add_backup(self.stores, self.away, record, image, again=again)
        for name in added.stores:
            self._remember(name, now, [added.id], everything=False)
        return added

    def add_proof(self, proof: Proof) -> list[Problem]:
        """Store a proof of a backup or packet in every store that is here. Raises ``NotFound``, ``StoreError``."""
        catalog = self._catalog()
        volume, backup_id = self._live_key(catalog, proof.id)
        data = encode(proof)
        name = Name(volume, backup_id, Kind.PROOF, tag_of(data))
        return put_everywhere(self.stores, [(name, data)], None)[1]

    def packets(self, uuid: str | None = None) -> list[StoredPacket]:
        """The escrow packets of a volume or of all, without those that were forgotten."""
        return list_packets(self._catalog(volume_folder(uuid) if uuid is not None else ""))

    def add_packet(self, uuid: str, packet: PacketFiles) -> Added:
        """Store an escrow packet in every store that is here; see ``packets.add_packet``."""
        return add_packet(self.stores, self.away, volume_folder(uuid), packet)

    def removed_by(self, path: Path) -> list[str]:
        """The backups here that tombstones in the folder ``path`` would remove if it became an own store."""
        if not path.is_dir():
            return []
        here = self._catalog()
        folder = Folder(path, bytes)
        try:
            stones = Catalog([FolderStore("new", folder, "", is_own=True)])
            live = [key for key in here.keys if not here.is_forgotten(key) and not here.is_foreign_only(key)]
            return [key[1] for key in live if stones.is_forgotten(key)]
        finally:
            folder.close()

    def forget(self, backup_id: str, why: str, *, now: datetime, host: str = "") -> Forgotten:
        """Remove a backup or a packet with a tombstone; see ``forget.forget_backup``."""
        key = self._key(self._catalog(), backup_id)
        tombstone = Tombstone(id=backup_id, when=timestamp(now), why=why, host=host)
        return forget_backup(self.stores, self.away, key, tombstone)

    def sync(self, *, now: datetime) -> Sync:
        """Bring all stores that are here level; see ``level.Levelling``."""
        levelling = Levelling(self.stores, self._held_away)
        levelling.run(now.timestamp())
        for report in levelling.reports.values():
            self._remember(report.store, now, report.intact, everything=not report.problems)
        return Sync(list(levelling.reports.values()), self.away, levelling.differing)

    def check(self, *, now: datetime) -> Check:
        """Read every file in every store that is here and judge it; see ``check.check_stores``."""
        reports = check_stores(self.stores)
        for report in reports:
            self._remember(report.store, now, report.intact, everything=True)
        return Check(reports, self.away)

    def volumes_seen(self) -> dict[str, str]:
        """When each volume, by its UUID in small letters, was last found on this machine."""
        return read_volumes(self.home.folder)

    def see_volumes(self, uuids: Iterable[str], *, now: datetime) -> None:
        """Note that these volumes are here now. A vault that cannot be written to forgets."""
        with suppress(StoreError):
            remember_volumes(self.home.folder, [uuid.lower() for uuid in uuids], timestamp(now))

    def _backup(self, catalog: Catalog, key: Key, seen: dict[str, Seen]) -> Backup:
        here = [
            store.name
            for store in catalog.holders.get(Name(*key, Kind.IMAGE), [])
            if store in catalog.holders.get(Name(*key, Kind.RECORD), [])
        ]
        copies = [Copy(name, True, seen[name].intact.get(key[1], "")) for name in here]
        copies += [Copy(s.name, False, seen[s.name].intact[key[1]]) for s in self.away if key[1] in seen[s.name].intact]
        return Backup(
            record=catalog.record(key) or stand_in(key),
            is_foreign=catalog.is_foreign_only(key),
            is_current=key[1] in catalog.lineage(key[0]).current,
            tombstone=catalog.tombstone(key),
            proofs=catalog.proofs(key),
            copies=copies,
        )

    def _catalog(self, volume: str = "") -> Catalog:
        return Catalog(self.stores, volume, held_away=self._held_away, report=self._tell)

    def _tell(self, problem: Problem) -> None:
        """A store that fails is worth a warning where another one helps out; a damaged file is found by ``check``."""
        if problem.code.startswith("store") and problem.store not in self._told:
            self._told.add(problem.store)
            self._warn(f"going on without some of the store {problem.store}: {problem.text}")

    def _key(self, catalog: Catalog, backup_id: str) -> Key:
        keys = [key for key in catalog.keys if key[1] == backup_id]
        if not keys:
            raise NotFound(f"no backup has the id {backup_id!r}", hint="see what there is: `luksafe list`")
        return keys[0]

    def _live_key(self, catalog: Catalog, backup_id: str) -> Key:
        key = self._key(catalog, backup_id)
        if tombstone := catalog.tombstone(key):
            raise NotFound(f"{backup_id} was forgotten on {tombstone.when}", code="forgotten")
        return key

    def _seen(self) -> dict[str, Seen]:
        ids = {store.name: store.id for store in self.stores} | {store.name: store.id for store in self.away}
        return {name: read_seen(self.home.folder, store_id) for name, store_id in ids.items()}

    def _remember(self, name: str, now: datetime, intact: Iterable[str], *, everything: bool) -> None:
        """Note what a store holds. A vault that cannot be written to forgets; that only makes later claims weaker."""
        store_id = next(store.id for store in self.stores if store.name == name)
        with suppress(StoreError):
            remember(self.home.folder, store_id, name, timestamp(now), intact, everything=everything)
