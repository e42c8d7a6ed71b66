"""Forgetting a backup: the tombstone everywhere first, then all else goes (spec/vault.md, section 6)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from luksafe.errors import LuksafeError
from luksafe.vault.add import put_everywhere
from luksafe.vault.catalog import Catalog, Key
from luksafe.vault.name import Kind, Name
from luksafe.vault.put import bury, put
from luksafe.vault.record import Tombstone, encode
from luksafe.vault.report import Away, Forgotten, Problem
from luksafe.vault.store import Store


def forget_backup(stores: Sequence[Store], away: list[Away], key: Key, tombstone: Tombstone) -> Forgotten:
    """Forget a backup in every store that is here; those that are away get the tombstone by ``sync``.

    Doing it again completes what was interrupted. Raises ``StoreError``, with nothing removed, when no own store takes
    the tombstone: elsewhere it does not count.
    """
    name = Name(*key, Kind.TOMBSTONE)
    data = Catalog(stores, key[0]).good_bytes(name) or encode(tombstone)
    put_everywhere([store for store in stores if store.is_own], [(name, data)], None)
    done: list[str] = []
    problems: list[Problem] = []
    for store in stores:
        try:
            with suppress(LuksafeError):  # of a full store
                put(store, name, data, None)
            bury(store, key)
            put(store, name, data, None)  # a full store may have room for it only now
            done.append(store.name)
        except LuksafeError as error:
            problems.append(Problem.of(store.name, name, error))
    return Forgotten(key[1], done, away, problems)
