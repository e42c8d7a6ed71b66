from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from vault_samples import NOW, UUID, image_of, make_vault, record_of

from luksafe.errors import StoreError
from luksafe.vault.folder_store import FolderStore
from luksafe.vault.image import pack
from luksafe.vault.name import Kind, Name
from luksafe.vault.put import Placed, bury, put
from luksafe.vault.record import Record, Tombstone, encode
from luksafe.vault.vault import Vault


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    with make_vault(tmp_path) as opened:
        opened.add(record_of(), image_of(), now=NOW)
        yield opened


def stored(vault: Vault) -> tuple[FolderStore, Name, bytes, Record]:
    (backup,) = vault.backups()
    return vault.home, Name(UUID, backup.id, Kind.IMAGE), pack(image_of()), backup.record


def before_create(store: FolderStore, monkeypatch: pytest.MonkeyPatch, act: Callable[[Name], object]) -> None:
    """Let somebody else do something just before each file is created."""
    real = store.create

    def create(name: Name, data: bytes) -> bool:
        act(name)
        return real(name, data)

    monkeypatch.setattr(store, "create", create)


def test_what_is_there_stays(vault: Vault) -> None:
    store, name, data, record = stored(vault)
    assert put(store, name, data, record) == Placed(False)


def test_what_vanishes_meanwhile_is_written_anew(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    store, name, data, record = stored(vault)
    answers = iter([False])
    real = store.create

    def create(wanted: Name, content: bytes) -> bool:
        if next(answers, True):
            return real(wanted, content)
        store.remove(wanted)
        return False

    monkeypatch.setattr(store, "create", create)
    assert put(store, name, data, record) == Placed(True)


def test_what_is_forgotten_meanwhile_does_not_stay(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    store, name, data, record = stored(vault)
    store.remove(name)
    tombstone = Name(UUID, name.id, Kind.TOMBSTONE)
    create = store.folder.create
    before_create(
        store, monkeypatch, lambda _: create(str(tombstone), encode(Tombstone(id=name.id, when="", why="meanwhile")))
    )
    with pytest.raises(StoreError, match="forgotten meanwhile") as raised:
        put(store, name, data, record)
    assert raised.value.code == "forgotten"
    assert name not in store.names()


def test_a_tombstone_that_cannot_be_read_is_one_all_the_same(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    store, name, data, record = stored(vault)
    store.remove(name)
    tombstone = store.folder.path / str(Name(UUID, name.id, Kind.TOMBSTONE))
    before_create(store, monkeypatch, lambda _: tombstone.mkdir())
    with pytest.raises(StoreError, match="forgotten meanwhile"):
        put(store, name, data, record)
    assert name not in store.names()


def test_a_file_in_a_bad_sector_is_set_aside_unread(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    store, name, data, record = stored(vault)

    def fail(*args: Any) -> bytes:
        raise OSError(errno.EIO, "bad sector")

    monkeypatch.setattr(os, "read", fail)
    monkeypatch.setattr("luksafe.vault.put._has_tombstone", lambda *about: False)
    placed = put(store, name, data, record)
    monkeypatch.undo()
    assert placed == Placed(True, f"{name}.damaged-{'0' * 16}")
    assert store.read(name) == data


def test_a_file_that_may_not_be_read_is_left(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    store, name, data, record = stored(vault)

    def fail(*args: Any) -> bytes:
        raise OSError(errno.EACCES, "not yours")

    monkeypatch.setattr(os, "read", fail)
    with pytest.raises(StoreError) as raised:
        put(store, Name(UUID, name.id, Kind.RECORD), data, record)
    assert raised.value.code == "store-denied"


def test_burying_twice_finds_nothing_left(vault: Vault) -> None:
    store, name, _, _ = stored(vault)
    assert bury(store, (UUID, name.id)) == [str(name)]
    assert bury(store, (UUID, name.id)) == []
