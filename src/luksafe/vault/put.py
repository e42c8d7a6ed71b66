"""Putting one file into one store, over a damaged one if need be; and taking a forgotten backup out of it."""

from __future__ import annotations

from dataclasses import dataclass

from luksafe.errors import DamagedInput, LuksafeError, NotFound, StoreError
from luksafe.vault.catalog import Key, check_file
from luksafe.vault.name import PACKET, SEALED, Kind, Name
from luksafe.vault.record import Record
from luksafe.vault.store import Store

_BURIED = (Kind.IMAGE, Kind.PROOF, *PACKET)
NEVER_AGAIN = (Kind.IMAGE, *SEALED)
"""What a store with a tombstone of it does not take again."""


@dataclass(frozen=True, slots=True)
class Placed:
    """What ``put`` did: whether it wrote the file, and the new name of the damaged one that it found."""

    written: bool
    set_aside: str = ""


def put(store: Store, name: Name, data: bytes, record: Record | None) -> Placed:
    """See to it that the store holds a good file ``name``: the one it has, or ``data``. Raises ``StoreError``.

    A damaged one is set aside first, never lost. ``record`` says what an image must be.
    """
    if name.kind in NEVER_AGAIN and _has_tombstone(store, name):
        if not store.is_own and _is_good(store, name, record):
            return Placed(False)
        again = f"repeat `luksafe forget {name.id}`, or back up again under a new id"
        raise StoreError(
            f"{store.name} holds a tombstone of {name.id}, perhaps a damaged one, and is not given it again",
            code="forgotten",
            hint=again if store.is_own else "see what else somebody wrote there: luksafe stores check",
        )
    aside = ""
    while not store.create(name, data):
        try:
            check_file(name, store.read(name), record)
            return Placed(False, aside)
        except NotFound:
            continue  # removed between the two calls
        except (DamagedInput, StoreError) as error:
            if error.code not in ("damaged-input", "store-failing"):
                raise
            aside = store.set_aside(name)
    if name.kind in NEVER_AGAIN and _has_tombstone(store, name):
        store.remove(name)  # somebody forgot it meanwhile; either he removes the image, or we do
        raise StoreError(f"{name.id} was forgotten meanwhile", code="forgotten")
    return Placed(True, aside)


def bury(store: Store, key: Key) -> list[str]:
    """Remove all that a store holds of a forgotten backup, but its tombstone and history; gives the names."""
    volume, backup_id = key
    names = [str(name) for name in store.names(volume) if name.id == backup_id and name.kind in _BURIED]
    names += [name for name, owner in store.strays(volume).items() if owner == backup_id]
    return [name for name in names if store.remove(name)]


def _is_good(store: Store, name: Name, record: Record | None) -> bool:
    try:
        check_file(name, store.read(name), record)
    except LuksafeError:
        return False
    return True


def _has_tombstone(store: Store, name: Name) -> bool:
    try:
        store.read(Name(name.volume, name.id, Kind.TOMBSTONE))
    except NotFound:
        return False
    except DamagedInput:
        return True
    return True
