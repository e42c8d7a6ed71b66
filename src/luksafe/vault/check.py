"""Read every file in every store that is here, and say what is whole, damaged, missing or should be gone."""

from __future__ import annotations

from collections.abc import Sequence

from luksafe.errors import DamagedInput, LuksafeError, NotFound
from luksafe.vault.adoption import may_travel
from luksafe.vault.catalog import Catalog, Key, check_file
from luksafe.vault.level import ignored_tombstones
from luksafe.vault.marker import MARKER
from luksafe.vault.name import PACKET, Kind, Name
from luksafe.vault.record import Record
from luksafe.vault.report import Problem, State, StoreCheck
from luksafe.vault.store import Store

_ESSENTIAL = (Kind.IMAGE, Kind.RECORD)
_GONE_WHEN_FORGOTTEN = (Kind.IMAGE, Kind.PROOF, *PACKET)


def check_stores(stores: Sequence[Store]) -> list[StoreCheck]:
    """A report of each store. What one lacks is judged by what all of them hold together."""
    catalog = Catalog(stores)
    listing = list(catalog.problems)
    ignored = ignored_tombstones(catalog)
    reports = []
    for store in stores:
        report = StoreCheck(store.name, store.id)
        report.problems += [problem for problem in [*listing, *ignored] if problem.store == store.name]
        if store.damage:
            report.files[MARKER] = State.DAMAGED
            report.problems.append(Problem(store.name, MARKER, store.damage, "damaged-input", "run `luksafe sync`"))
        for key in catalog.keys:
            if not catalog.is_unlisted(store, key[0]):
                _check_backup(catalog, store, key, report)
        report.files |= {str(name): State.FOREIGN for name, holders in catalog.foreign.items() if store in holders}
        reports.append(report)
    return reports


def _check_backup(catalog: Catalog, store: Store, key: Key, report: StoreCheck) -> None:
    record = catalog.own_record(key)
    states = {name: _check_file(store, name, record, report) for name in _expected(catalog, store, key)}
    if catalog.is_forgotten(key):
        for name in catalog.names(key, *_GONE_WHEN_FORGOTTEN):
            if store in catalog.holders[name]:
                states[name] = State.FORGOTTEN
    elif all(states.get(Name(*key, kind)) is State.INTACT for kind in _ESSENTIAL):
        report.intact.append(key[1])
    report.files |= {str(name): state for name, state in states.items()}


def _expected(catalog: Catalog, store: Store, key: Key) -> list[Name]:
    """What a store should hold of a backup: a tombstone and the history of a forgotten one, else all the rest."""
    names = set(catalog.names(key))
    if catalog.is_forgotten(key):
        return sorted(name for name in names if name.kind not in _GONE_WHEN_FORGOTTEN)
    if not catalog.names(key, *PACKET):
        names |= {Name(*key, kind) for kind in _ESSENTIAL}
    # a damaged tombstone is an affair of the store that has it, and so is what may not leave a store that is not own
    return sorted(
        name
        for name in names
        if store in catalog.holders.get(name, ()) or (name.kind is not Kind.TOMBSTONE and may_travel(catalog, name))
    )


def _check_file(store: Store, name: Name, record: Record | None, report: StoreCheck) -> State:
    try:
        check_file(name, store.read(name), record)
    except NotFound:
        return State.MISSING
    except LuksafeError as error:
        report.problems.append(Problem.of(store.name, name, error))
        return State.DAMAGED if isinstance(error, DamagedInput) else State.UNREADABLE
    return State.INTACT
