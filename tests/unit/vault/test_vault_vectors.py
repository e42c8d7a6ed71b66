"""A vault of format 1 stays readable for ever: tests/vectors/vault-v1, see its README."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from vault_samples import NOW, OTHER_UUID, UUID, counted, files_of

from luksafe.errors import NotFound
from luksafe.vault.document import to_json
from luksafe.vault.image import unpack
from luksafe.vault.report import State
from luksafe.vault.undo_log import UndoLog
from luksafe.vault.vault import Vault

TESTS = Path(__file__).resolve().parents[2]
GOLDEN = TESTS / "vectors" / "vault-v1"
EXPECTED: dict[str, Any] = json.loads((GOLDEN / "expected.json").read_text())


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    shutil.copytree(GOLDEN, tmp_path / "home")
    with Vault.open(tmp_path / "home", random=counted()) as opened:
        yield opened


def test_every_backup_reads_as_it_was_stored(vault: Vault) -> None:
    found = {}
    for backup in vault.backups(with_forgotten=True):
        found[backup.id] = {
            "record": to_json(backup.record),
            "is_current": backup.is_current,
            "tombstone": to_json(backup.tombstone) if backup.tombstone else None,
            "proofs": [to_json(proof) for proof in backup.proofs],
        }
        if not backup.tombstone:
            image = vault.image(backup.id).data
            assert hashlib.sha256(image).hexdigest() == backup.record.image_sha256
    assert json.loads(json.dumps(found)) == EXPECTED


def test_its_words_mean_what_they_meant(vault: Vault) -> None:
    first = "77e8d9128a2298f5ac38a1723e4fb66c"
    again = "16f54d3d8691af07c1038b48ec70a2eb-2"
    assert vault.resolve(UUID).id == first, "the sighting says that the device went back to it"
    assert vault.lineage(UUID).events == [f"{first}.seen-44109441d2e47c15"]
    assert vault.resolve(OTHER_UUID).id == again
    assert vault.resolve("16f54d").id == again
    with pytest.raises(NotFound, match="was forgotten"):
        vault.resolve(again[:32])
    assert [away.name for away in vault.away] == ["usb"]
    assert vault.config.copies == 2


def test_all_of_it_is_intact(vault: Vault) -> None:
    (report,) = vault.check(now=NOW).stores
    assert report.is_level
    assert len(report.intact) == 5
    assert set(report.files.values()) == {State.INTACT}


def test_its_undo_entries_are_read(vault: Vault) -> None:
    log = UndoLog(vault.home.folder)
    pending, done = log.entries("disk")
    assert (pending.state, done.state) == ("pending", "done")
    assert [(part.offset, part.old) for part in log.read(done)] == [(0, b"old header"), (4096, b"old area")]
    assert log.problems == []


def test_looking_changes_nothing(vault: Vault, tmp_path: Path) -> None:
    vault.backups()
    vault.image(vault.resolve(UUID).id)
    UndoLog(vault.home.folder).entries()
    assert files_of(tmp_path / "home") == files_of(GOLDEN)
    vault.sync(now=NOW)
    vault.check(now=NOW)
    assert files_of(tmp_path / "home") == files_of(GOLDEN)


def test_made_again_it_is_the_same(tmp_path: Path) -> None:
    sys.path.insert(0, str(TESTS / "generators"))
    try:
        from vault_v1 import make
    finally:
        sys.path.pop(0)
    make(tmp_path / "home")
    made = files_of(tmp_path / "home")
    golden = {name: data for name, data in files_of(GOLDEN).items() if name not in ("README.md", "expected.json")}
    assert made.keys() == golden.keys()
    for name, data in made.items():
        if name.endswith(".gz"):  # another zlib may pack in another way
            assert unpack(data) == unpack(golden[name])
        else:
            assert data == golden[name], name
