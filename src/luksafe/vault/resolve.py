"""Finding the backup that a user's words name."""

from __future__ import annotations

from luksafe.errors import NotFound, UsageError
from luksafe.vault.catalog import Catalog, Key
from luksafe.vault.name import Kind, is_id, is_uuid, volume_folder

SHORTEST_PREFIX = 4
_SHOWN = 10


def resolve(catalog: Catalog, text: str) -> Key:
    """The one backup that ``text`` names: an id or a unique beginning of one, ``UUID``, ``UUID@id``, a label.

    A UUID or a label alone means the current backup of its volume. Raises ``NotFound``; ``UsageError``, which lists
    the candidates, when several fit.
    """
    uuid, at, prefix = text.partition("@")
    if is_uuid(uuid):
        folder = volume_folder(uuid)
        keys = _beginning(catalog, catalog.keys_of(folder), prefix) if at else _current(catalog, folder)
        return _only(catalog, text, keys, folder)
    if is_id(text):
        return _only(catalog, text, [key for key in catalog.keys if key[1] == text])
    keys = _beginning(catalog, catalog.keys, text) if len(text) >= SHORTEST_PREFIX else []
    for folder in catalog.volumes:
        current = _current(catalog, folder)
        if text and any((record := catalog.record(key)) and record.label == text for key in current):
            keys += [key for key in current if key not in keys]
    return _only(catalog, text, keys)


def _beginning(catalog: Catalog, keys: list[Key], prefix: str) -> list[Key]:
    """Those whose id begins so. One whose id *is* the prefix wins over its later generations."""
    found = [key for key in keys if key[1].startswith(prefix.lower()) and _can_be_opened(catalog, key)]
    exact = [key for key in found if key[1] == prefix.lower()]
    return exact or found


def _can_be_opened(catalog: Catalog, key: Key) -> bool:
    return bool(catalog.names(key, Kind.IMAGE, Kind.RECORD)) and not catalog.is_forgotten(key)


def _current(catalog: Catalog, folder: str) -> list[Key]:
    return [(folder, backup_id) for backup_id in catalog.lineage(folder).current]


def _only(catalog: Catalog, text: str, keys: list[Key], folder: str = "") -> Key:
    """The single key of ``keys``, or the error that says why there is none."""
    usable = [key for key in keys if not catalog.is_forgotten(key)]
    if len(usable) > 1:  # what somebody else planted under a like name is not in the way
        usable = [key for key in usable if not catalog.is_foreign_only(key)] or usable
    if len(usable) == 1:
        return usable[0]
    if usable:
        shown = ", ".join(_describe(catalog, key) for key in usable[:_SHOWN])
        more = f" and {len(usable) - _SHOWN} more" if len(usable) > _SHOWN else ""
        raise UsageError(
            f"{text!r} fits {len(usable)} backups, and nothing stored says which is meant: {shown}{more}",
            code="ambiguous",
            hint="name one by its id; `luksafe diff A B` shows how two differ",
        )
    for key in keys or (catalog.keys_of(folder) if folder else catalog.keys):
        tombstone = catalog.tombstone(key) if keys or folder or key[1].startswith(text.lower()) else None
        if tombstone and text:
            raise NotFound(
                f"{key[1]} was forgotten on {tombstone.when}" + (f": {tombstone.why}" if tombstone.why else ""),
                code="forgotten",
                hint="see what is left: `luksafe list`",
            )
    raise NotFound(f"no backup is named {text!r}", hint="see what there is: `luksafe list`")


def _describe(catalog: Catalog, key: Key) -> str:
    record = catalog.record(key)
    if record is None:
        return f"{key[1]} (no record)"
    about = [f"seqid {record.seqid}"] * bool(record.seqid) + [text for text in (record.created, record.host) if text]
    return f"{key[1][:12]}{key[1][32:]} of {record.uuid or 'no UUID'}" + (f" ({', '.join(about)})" if about else "")
