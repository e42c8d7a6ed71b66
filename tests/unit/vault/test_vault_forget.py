from __future__ import annotations

import json
from pathlib import Path

import pytest
from vault_samples import LATER, NOW, UUID, files_of, flip, image_of, image_path, make_vault, open_vault, record_of

from luksafe.errors import NotFound, StoreError
from luksafe.vault.name import Kind, Name
from luksafe.vault.record import Proof
from luksafe.vault.vault import Vault

IMAGE = image_of()


def filled(folder: Path, *stores: str) -> tuple[Vault, str]:
    vault = make_vault(folder, *stores)
    backup_id = vault.add(record_of(), IMAGE, now=NOW).id
    vault.add_proof(Proof(id=backup_id, when="2026-11-24T06:44:00Z", method="passphrase"))
    return vault, backup_id


def names_in(folder: Path, store: str) -> set[str]:
    """The names in the volume's folder of a store, from the id on."""
    return {path.name[32:] for path in (folder / store / UUID).iterdir()}


def test_only_tombstone_and_record_are_left_everywhere(tmp_path: Path) -> None:
    vault, backup_id = filled(tmp_path, "usb")
    with vault:
        forgotten = vault.forget(backup_id, "passphrase leaked", now=NOW, host="nas")
        assert (forgotten.id, forgotten.stores, forgotten.problems) == (backup_id, ["home", "usb"], [])
        for store in ("home", "usb"):
            assert names_in(tmp_path, store) == {".json", ".forgotten.json"}
        tombstone = json.loads((tmp_path / "usb" / UUID / f"{backup_id}.forgotten.json").read_text())
        assert (tombstone["why"], tombstone["host"]) == ("passphrase leaked", "nas")
        assert vault.backups() == vault.current(UUID) == []
        (backup,) = vault.backups(with_forgotten=True)
        assert backup.tombstone is not None
        assert (backup.is_current, backup.copies, backup.proofs) == (False, [], [])


def test_every_trace_of_the_image_goes(tmp_path: Path) -> None:
    vault, backup_id = filled(tmp_path)
    folder = tmp_path / "home" / UUID
    with vault:
        (folder / f".new-0123456789abcdef-{backup_id}.hdr.gz").write_bytes(IMAGE)
        (folder / f"{backup_id}.hdr.gz.damaged-0123456789abcdef").write_bytes(IMAGE)
        (folder / f"{backup_id}.packet-1.age").write_bytes(b"of a later version")
        (folder / "notes.txt").write_bytes(b"mine")
        (folder / f"{'0' * 32}.hdr.gz").write_bytes(b"another backup")
        vault.forget(backup_id, "", now=NOW)
    names = {path.name for path in folder.iterdir()}
    assert names == {f"{backup_id}.json", f"{backup_id}.forgotten.json", "notes.txt", f"{'0' * 32}.hdr.gz"}


def test_doing_it_again_completes_it_and_keeps_the_tombstone(tmp_path: Path) -> None:
    vault, backup_id = filled(tmp_path, "usb")
    with vault:
        vault.forget(backup_id, "first", now=NOW)
        before = files_of(tmp_path)
        (tmp_path / "usb" / image_path(backup_id)).write_bytes(IMAGE)
        vault.forget(backup_id, "second", now=LATER)
        assert files_of(tmp_path) == before
        with pytest.raises(NotFound):
            vault.forget("0" * 32, "", now=NOW)


def test_a_store_that_fails_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    vault, backup_id = filled(tmp_path, "usb")
    with vault:
        (tmp_path / "usb" / UUID).rename(tmp_path / "elsewhere")
        (tmp_path / "usb" / UUID).symlink_to(tmp_path / "elsewhere")
        forgotten = vault.forget(backup_id, "", now=NOW)
        assert forgotten.stores == ["home"]
        assert [problem.store for problem in forgotten.problems] == ["usb"]
        assert vault.backups() == []
        assert (tmp_path / "elsewhere" / f"{backup_id}.hdr.gz").exists(), "nothing outside the store was touched"


def test_nothing_is_removed_when_no_store_takes_the_tombstone(tmp_path: Path) -> None:
    vault, backup_id = filled(tmp_path)
    with vault:
        vault.home.folder.create(f"{UUID}/{backup_id}.forgotten.json", b"torn")
        before = files_of(tmp_path)
        vault.home.folder.path.joinpath(UUID).rename(tmp_path / "elsewhere")
        vault.home.folder.path.joinpath(UUID).symlink_to(tmp_path / "elsewhere")
        with pytest.raises((StoreError, NotFound)):
            vault.forget(backup_id, "", now=NOW)
        vault.home.folder.path.joinpath(UUID).unlink()
        (tmp_path / "elsewhere").rename(vault.home.folder.path / UUID)
        assert files_of(tmp_path) == before


def test_a_store_that_was_away_does_not_bring_it_back(tmp_path: Path) -> None:
    vault, backup_id = filled(tmp_path, "usb", "nas")
    vault.close()
    (tmp_path / "usb").rename(tmp_path / "drawer")
    with open_vault(tmp_path) as vault:
        forgotten = vault.forget(backup_id, "", now=NOW)
        assert [away.name for away in forgotten.away] == ["usb"]
        assert vault.backups() == []
    (tmp_path / "drawer").rename(tmp_path / "usb")
    with open_vault(tmp_path) as vault:
        assert vault.backups() == []
        with pytest.raises(NotFound):
            vault.resolve(UUID)
        sync = {report.store: report for report in vault.sync(now=LATER).stores}
        removed = sync["usb"].removed
        assert removed[0] == image_path(backup_id)
        assert [name.startswith(f"{UUID}/{backup_id}.proof-") for name in removed[1:]] == [True]
        assert sync["usb"].copied == [str(Name(UUID, backup_id, Kind.TOMBSTONE))]
        assert vault.backups() == []
    for store in ("home", "usb", "nas"):
        assert names_in(tmp_path, store) == {".json", ".forgotten.json"}


def test_a_lost_home_learns_of_it_from_a_store(tmp_path: Path) -> None:
    vault, backup_id = filled(tmp_path, "usb")
    with vault:
        vault.forget(backup_id, "", now=NOW)
        (tmp_path / "home" / UUID / f"{backup_id}.forgotten.json").unlink()
        (tmp_path / "home" / image_path(backup_id)).write_bytes(b"as if restored from somewhere")
        assert vault.backups() == []
        vault.sync(now=NOW)
        assert names_in(tmp_path, "home") == {".json", ".forgotten.json"}


def test_a_damaged_tombstone_bars_its_store_and_deletes_nothing_elsewhere(tmp_path: Path) -> None:
    vault, backup_id = filled(tmp_path, "usb", "nas")
    with vault:
        (tmp_path / "usb" / image_path(backup_id)).unlink()
        (tmp_path / "usb" / UUID / f"{backup_id}.forgotten.json").write_bytes(b"torn")
        assert [backup.id for backup in vault.backups()] == [backup_id]
        sync = {report.store: report for report in vault.sync(now=NOW).stores}
        assert [problem.code for problem in sync["usb"].problems] == ["forgotten"]
        assert not (tmp_path / "usb" / image_path(backup_id)).exists()
        for store in ("home", "nas"):
            assert (tmp_path / store / image_path(backup_id)).exists()
            assert not (tmp_path / store / UUID / f"{backup_id}.forgotten.json").exists()
        check = {report.store: report for report in vault.check(now=NOW).stores}
        assert check["usb"].files[f"{UUID}/{backup_id}.forgotten.json"] == "damaged"
        assert f"{UUID}/{backup_id}.forgotten.json" not in check["home"].files
        again = vault.add(record_of(), IMAGE, now=NOW, again=True)
        assert (again.id, again.stores) == (f"{backup_id}-2", ["home", "usb", "nas"])
        vault.forget(backup_id, "yes", now=NOW)
        for store in ("home", "usb", "nas"):
            assert f"{backup_id}.hdr.gz" not in {path.name for path in (tmp_path / store / UUID).iterdir()}


def test_a_damaged_tombstone_is_healed_by_a_good_one(tmp_path: Path) -> None:
    vault, backup_id = filled(tmp_path, "usb")
    with vault:
        vault.forget(backup_id, "", now=NOW)
        path = f"{UUID}/{backup_id}.forgotten.json"
        flip(tmp_path / "home" / path)
        sync = {report.store: report for report in vault.sync(now=NOW).stores}
        assert sync["home"].healed == [path]
        assert (tmp_path / "home" / path).read_bytes() == (tmp_path / "usb" / path).read_bytes()
