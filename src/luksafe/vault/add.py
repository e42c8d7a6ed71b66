"""Adding a backup to every store that is here."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from luksafe.errors import LuksafeError, Refused, StoreError
from luksafe.vault.catalog import Catalog
from luksafe.vault.image import pack
from luksafe.vault.lineage import backup_of
from luksafe.vault.name import MAX_GENERATION, Kind, Name, image_id
from luksafe.vault.put import put
from luksafe.vault.record import Record, Sighting, check_ranges, encode, tag_of
from luksafe.vault.report import Added, Away, Problem
from luksafe.vault.store import Store


def add_backup(stores: Sequence[Store], away: list[Away], record: Record, image: bytes, *, again: bool) -> Added:
    """Store an image and its record, the record last; where they are stored already, see that every store has them.

    ``record.parents`` are the events that were the latest of the volume when the header was read from its device. A
    header that is stored already but is not current is then noted to have returned. Raises ``Refused`` for an image
    that was forgotten, unless ``again``; ``StoreError`` when no store takes it.
    """
    catalog = Catalog(stores, record.volume)
    sha256 = hashlib.sha256(image).hexdigest()
    backup_id = _choose_id(catalog, record.volume, sha256, again=again)
    record = msgspec.structs.replace(record, id=backup_id, image_size=len(image), image_sha256=sha256)
    check_ranges(record)
    key = (record.volume, backup_id)
    known = catalog.own_record(key)
    record_name = Name(*key, Kind.RECORD)
    files = [(Name(*key, Kind.IMAGE), pack(image)), (record_name, catalog.good_bytes(record_name) or encode(record))]
    more = catalog.names(key, Kind.PROOF, Kind.SIGHTING)
    files += [(name, data) for name in more if (data := catalog.good_bytes(name))]
    is_latest = backup_id in catalog.lineage(record.volume).current
    is_latest &= all(backup_of(parent) == backup_id for parent in record.parents)
    returned = known is not None and bool(record.parents) and not is_latest
    if returned:
        files.append(_sighting(record))
    done, problems = put_everywhere(stores, files, record)
    return Added(backup_id, known is None, returned, done, away, problems)


def put_everywhere(
    stores: Sequence[Store], files: Sequence[tuple[Name, bytes]], record: Record | None
) -> tuple[list[str], list[Problem]]:
    """Put files into all stores: those that now hold all of them, and what went wrong in others.

    Raises ``StoreError`` when no store took them.
    """
    done: list[str] = []
    problems: list[Problem] = []
    for store in stores:
        try:
            for name, data in files:
                put(store, name, data, record)
            done.append(store.name)
        except LuksafeError as error:
            problems.append(Problem.of(store.name, name, error))
    if not done:
        raise StoreError(
            "no store took it: " + "; ".join(problem.text for problem in problems),
            code=problems[0].code,
            hint=problems[0].hint,
        )
    return done, problems


def _choose_id(catalog: Catalog, volume: str, sha256: str, *, again: bool) -> str:
    """The id of the image: the first of its generations that was not forgotten."""
    for generation in range(1, MAX_GENERATION + 1):
        key = (volume, image_id(sha256, generation))
        if catalog.has_tombstone(key):
            continue
        if generation == 1 or again or catalog.names(key, Kind.IMAGE, Kind.RECORD):
            return key[1]
        break
    tombstone = catalog.tombstone((volume, image_id(sha256, generation - 1)))
    raise Refused(
        f"this very header was forgotten ({image_id(sha256)})" + (f" on {tombstone.when}" if tombstone else ""),
        code="forgotten",
        hint="to keep it all the same, under a new id, repeat with --again",
    )


def _sighting(record: Record) -> tuple[Name, bytes]:
    sighting = Sighting(
        id=record.id, parents=record.parents, when=record.created, host=record.host, device=record.device
    )
    data = encode(sighting)
    return Name(record.volume, record.id, Kind.SIGHTING, tag_of(data)), data
