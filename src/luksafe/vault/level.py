"""Bring the stores level: tombstones first, then what is missing or damaged in one from another that has it good."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from contextlib import suppress

from luksafe.errors import LuksafeError, StoreError
from luksafe.vault.adoption import may_travel
from luksafe.vault.catalog import Catalog, Key, check_file
from luksafe.vault.marker import MARKER
from luksafe.vault.name import PACKET, Kind, Name
from luksafe.vault.put import NEVER_AGAIN, bury, put
from luksafe.vault.record import Record
from luksafe.vault.report import Problem, StoreSync
from luksafe.vault.store import Store

# The record comes last, as in a new backup: what has one is whole.
_ORDER = (Kind.IMAGE, *PACKET, Kind.PROOF, Kind.SIGHTING, Kind.RECORD)
_HISTORY = (Kind.SIGHTING, Kind.RECORD)


class Levelling:
    """One run over the stores that are here. A store that fails to take a file gets no more in this run."""

    def __init__(self, stores: Sequence[Store], held_away: Collection[str] = ()) -> None:
        self.catalog = Catalog(stores, held_away=held_away)
        self.differing: list[str] = []
        self.reports = {store.name: StoreSync(store.name, store.id) for store in stores}
        self._stores = list(stores)
        self._failed: set[str] = set()
        self._whole: dict[str, set[Name]] = {store.name: set() for store in stores}
        for problem in self.catalog.problems:
            self._fail(problem)

    def run(self, now_seconds: float) -> None:
        """Do all of it; ``reports`` then says what was done."""
        for store in self._stores:
            self._tidy(store, now_seconds)
        buried = {key for key in self.catalog.keys if self.catalog.is_forgotten(key)}
        for key in sorted(buried):
            self._forget(key)
        for problem in ignored_tombstones(self.catalog):
            self.reports[problem.store].problems.append(problem)
        for name, holders in self.catalog.foreign.items():
            for store in holders:
                self.reports[store.name].not_taken.append(str(name))
        for key in self.catalog.keys:
            record = self.catalog.own_record(key)
            for kind in _HISTORY if key in buried else _ORDER:
                for name in self.catalog.names(key, kind):
                    self._spread(name, record)
            if key not in buried:
                self._note_whole(key)

    def _tidy(self, store: Store, now_seconds: float) -> None:
        report = self.reports[store.name]
        try:
            if store.heal_marker():
                report.healed.append(MARKER)
            report.cleaned += store.clean(now_seconds)
        except StoreError as error:
            self._fail(Problem.of(store.name, "", error))

    def _forget(self, key: Key) -> None:
        """The tombstone to every store, then all else of the backup out of it."""
        tombstone = Name(*key, Kind.TOMBSTONE)
        data = self._read_copies(tombstone, None)[1] or b""
        for store in self._usable() if data else []:
            with suppress(LuksafeError):  # of a full store: what goes now makes room
                self._put(store, tombstone, data, None)
            try:
                self.reports[store.name].removed += bury(store, key)
                self._put(store, tombstone, data, None)
            except LuksafeError as error:
                self._fail(Problem.of(store.name, tombstone, error))

    def _spread(self, name: Name, record: Record | None) -> None:
        """A good copy of one file to every store that has none."""
        good, data = self._read_copies(name, record)
        if data is None:
            return
        if not may_travel(self.catalog, name):
            for holder in good:
                self._whole[holder].add(name)
                self.reports[holder].not_taken.append(str(name))
            return
        for store in self._stores:
            if store.name in good:
                self._whole[store.name].add(name)
            elif store.name not in self._failed and not _is_refused(self.catalog, store, name):
                try:
                    self._put(store, name, data, record)
                    self._whole[store.name].add(name)
                except LuksafeError as error:
                    self._fail(Problem.of(store.name, name, error))

    def _read_copies(self, name: Name, record: Record | None) -> tuple[set[str], bytes | None]:
        """The stores whose copy is good, and the first good one. Where there is none, says so in the reports."""
        good: dict[str, bytes] = {}
        first: bytes | None = None
        bad: list[Problem] = []
        for store in self.catalog.holders[name]:
            try:
                data = store.read(name)
                check_file(name, data, record)
            except LuksafeError as error:
                bad.append(Problem.of(store.name, name, error))
            else:
                first = first or data
                good[store.name] = hashlib.sha256(data).digest()
        if first is None:
            for problem in bad:
                self.reports[problem.store].problems.append(problem)
        if name.kind is Kind.RECORD and len(set(good.values())) > 1:
            self.differing.append(str(name))
        return set(good), first

    def _put(self, store: Store, name: Name, data: bytes, record: Record | None) -> None:
        placed = put(store, name, data, record)
        report = self.reports[store.name]
        if placed.set_aside:
            report.set_aside.append(placed.set_aside)
        if placed.written:
            (report.healed if placed.set_aside else report.copied).append(str(name))

    def _note_whole(self, key: Key) -> None:
        for store, names in self._whole.items():
            if {Name(*key, Kind.IMAGE), Name(*key, Kind.RECORD)} <= names:
                self.reports[store].intact.append(key[1])
            names.clear()

    def _usable(self) -> list[Store]:
        return [store for store in self._stores if store.name not in self._failed]

    def _fail(self, problem: Problem) -> None:
        self.reports[problem.store].problems.append(problem)
        if problem.code != "forgotten":
            self._failed.add(problem.store)


def ignored_tombstones(catalog: Catalog) -> list[Problem]:
    """A problem for each tombstone of a live backup that counts for nothing: only stores that are not own have it."""
    return [
        Problem(
            store.name,
            str(name),
            f"says that {name.id[:12]} was forgotten; that counts for nothing, as {store.name} is not your own store",
            "foreign-tombstone",
        )
        for name, holders in sorted(catalog.foreign.items())
        if name.kind is Kind.TOMBSTONE
        for store in holders
    ]


def _is_refused(catalog: Catalog, store: Store, name: Name) -> bool:
    """Whether a store has a tombstone of its own, reported already, and so takes no image or packet."""
    tombstone = Name(name.volume, name.id, Kind.TOMBSTONE)
    return name.kind in NEVER_AGAIN and store in catalog.foreign.get(tombstone, ())
