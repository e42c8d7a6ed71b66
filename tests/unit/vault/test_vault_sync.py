from __future__ import annotations

import os
from pathlib import Path

import pytest
from vault_samples import (
    LATER,
    NOW,
    UUID,
    files_of,
    flip,
    image_of,
    image_path,
    make_vault,
    open_vault,
    record_of,
    record_path,
)

from luksafe.vault.record import Proof
from luksafe.vault.report import State, StoreSync
from luksafe.vault.vault import Vault

IMAGE = image_of()


def filled(folder: Path, *stores: str) -> tuple[Vault, str]:
    vault = make_vault(folder, *stores)
    first = vault.add(record_of(), IMAGE, now=NOW).id
    vault.add(record_of(parents=[first]), image_of("second"), now=NOW)
    vault.add(record_of(parents=vault.lineage(UUID).events), IMAGE, now=NOW)
    vault.add_proof(Proof(id=first, when="2026-11-24T06:44:00Z", method="passphrase"))
    return vault, first


def union(folder: Path) -> dict[str, bytes]:
    """What a store holds, but for its own marker, configuration and files set aside."""
    return {name: data for name, data in files_of(folder).items() if "/" in name and ".damaged-" not in name}


def synced(vault: Vault) -> dict[str, StoreSync]:
    return {report.store: report for report in vault.sync(now=LATER).stores}


def test_level_stores_are_left_as_they_are(tmp_path: Path) -> None:
    vault, _ = filled(tmp_path, "usb")
    with vault:
        before = files_of(tmp_path)
        for report in synced(vault).values():
            assert len(report.intact) == 2
            assert report == StoreSync(report.store, report.id, intact=report.intact)
        assert files_of(tmp_path) == before


def test_a_store_that_was_away_is_filled_and_fills_others(tmp_path: Path) -> None:
    vault, first = filled(tmp_path, "usb", "nas")
    vault.close()
    (tmp_path / "usb").rename(tmp_path / "drawer")
    with open_vault(tmp_path) as vault:
        third = vault.add(record_of(parents=vault.lineage(UUID).events), image_of("third"), now=NOW).id
    (tmp_path / "drawer").rename(tmp_path / "usb")
    (tmp_path / "nas").rename(tmp_path / "drawer")
    with open_vault(tmp_path) as vault:
        fourth = vault.add(record_of(parents=[third]), image_of("fourth"), now=NOW).id
        report = synced(vault)["usb"]
        assert report.copied == [image_path(third), record_path(third)]
        assert sorted(report.intact) == sorted(backup.id for backup in vault.backups())
    (tmp_path / "drawer").rename(tmp_path / "nas")
    with open_vault(tmp_path) as vault:
        assert synced(vault)["nas"].copied == [image_path(fourth), record_path(fourth)]
        assert [backup.id for backup in vault.current(UUID)] == [fourth]
        assert first != fourth
    assert union(tmp_path / "home") == union(tmp_path / "usb") == union(tmp_path / "nas")


def test_a_lost_store_is_filled_again(tmp_path: Path) -> None:
    vault, _ = filled(tmp_path, "usb")
    with vault:
        before = union(tmp_path / "usb")
        for path in (tmp_path / "usb" / UUID).iterdir():
            path.unlink()
        (tmp_path / "usb" / UUID).rmdir()
        assert len(synced(vault)["usb"].copied) == len(before) == 6
        assert union(tmp_path / "usb") == before


def test_a_lost_home_is_filled_again(tmp_path: Path) -> None:
    vault, _ = filled(tmp_path, "usb")
    with vault:
        before = union(tmp_path / "usb")
        for path in (tmp_path / "home" / UUID).iterdir():
            path.unlink()
        synced(vault)
        assert union(tmp_path / "home") == before


@pytest.mark.parametrize("store", ["home", "usb"])
def test_a_flipped_byte_in_any_file_is_found_named_and_healed(tmp_path: Path, store: str) -> None:
    vault, _ = filled(tmp_path, "usb", "nas")
    with vault:
        good = union(tmp_path / store)
        for name in good:
            path = tmp_path / store / name
            flip(path)
            damaged = path.read_bytes()
            checks = {report.store: report for report in vault.check(now=NOW).stores}
            assert checks[store].names(State.DAMAGED) == [name]
            assert [problem.name for problem in checks[store].problems] == [name]
            assert not checks[store].is_level
            assert all(report.is_level for report in checks.values() if report.store != store)
            report = synced(vault)[store]
            assert report.healed == [name]
            (aside,) = report.set_aside
            assert (tmp_path / store / aside).read_bytes() == damaged
            assert path.read_bytes() == good[name]
        assert all(report.is_level for report in vault.check(now=NOW).stores)
        assert union(tmp_path / store) == good


@pytest.mark.parametrize("at", [0, 3, 5, 8, 9, 10, -1, -5])
def test_no_byte_of_an_image_is_beyond_notice(tmp_path: Path, at: int) -> None:
    vault, first = filled(tmp_path, "usb")
    with vault:
        flip(tmp_path / "home" / image_path(first), at)
        (home, usb) = vault.check(now=NOW).stores
        assert (home.names(State.DAMAGED), usb.is_level) == ([image_path(first)], True)
        assert synced(vault)["home"].healed == [image_path(first)]


@pytest.mark.parametrize("cut", [0, 1, 600])
def test_a_torn_file_is_healed(tmp_path: Path, cut: int) -> None:
    vault, first = filled(tmp_path, "usb")
    with vault:
        for name in (image_path(first), record_path(first)):
            path = tmp_path / "home" / name
            good = path.read_bytes()
            path.write_bytes(good[:cut])
            assert synced(vault)["home"].healed == [name]
            assert path.read_bytes() == good


def test_what_is_not_a_file_is_set_aside(tmp_path: Path) -> None:
    vault, first = filled(tmp_path, "usb")
    with vault:
        path = tmp_path / "home" / image_path(first)
        path.unlink()
        path.symlink_to("/etc/passwd")
        report = synced(vault)["home"]
        assert report.healed == [image_path(first)]
        assert os.readlink(tmp_path / "home" / report.set_aside[0]) == "/etc/passwd"
        assert path.read_bytes() == (tmp_path / "usb" / image_path(first)).read_bytes()


def test_without_a_good_copy_the_damaged_one_stays(tmp_path: Path) -> None:
    vault, first = filled(tmp_path, "usb")
    with vault:
        for store in ("home", "usb"):
            flip(tmp_path / store / image_path(first))
        before = files_of(tmp_path)
        for report in synced(vault).values():
            assert [problem.name for problem in report.problems] == [image_path(first)]
            assert first not in report.intact
        assert files_of(tmp_path) == before


def test_two_good_records_of_one_header_both_stay(tmp_path: Path) -> None:
    vault, first = filled(tmp_path, "usb")
    with vault:
        (tmp_path / "usb" / record_path(first)).unlink()
        (tmp_path / "usb" / image_path(first)).unlink()
        with make_vault(tmp_path / "host2", seed="2") as other:
            other.add(record_of(host="other"), IMAGE, now=NOW)
        for name in (record_path(first), image_path(first)):
            (tmp_path / "usb" / name).write_bytes((tmp_path / "host2" / "home" / name).read_bytes())
        before = files_of(tmp_path)
        assert vault.sync(now=NOW).differing == [record_path(first)]
        assert files_of(tmp_path) == before
        assert all(report.is_level for report in vault.check(now=NOW).stores)


def test_a_damaged_marker_is_healed(tmp_path: Path) -> None:
    vault, _ = filled(tmp_path, "usb")
    vault.close()
    good = (tmp_path / "usb" / "luksafe-vault.json").read_bytes()
    for store in ("home", "usb"):
        flip(tmp_path / store / "luksafe-vault.json")
    with open_vault(tmp_path) as vault:
        for report in vault.check(now=NOW).stores:
            assert report.names(State.DAMAGED) == ["luksafe-vault.json"]
        for report in synced(vault).values():
            assert report.healed == ["luksafe-vault.json"]
        assert all(report.is_level for report in vault.check(now=NOW).stores)
    assert (tmp_path / "usb" / "luksafe-vault.json").read_bytes() == good
    with open_vault(tmp_path) as vault:
        assert [store.damage for store in vault.stores] == ["", ""]


def test_leftovers_of_killed_writers_go_after_a_day(tmp_path: Path) -> None:
    vault, first = filled(tmp_path)
    with vault:
        old = tmp_path / "home" / UUID / f".new-0123456789abcdef-{first}.hdr.gz"
        young = tmp_path / "home" / ".new-0123456789abcdef-config.toml"
        for path in (old, young):
            path.write_bytes(b"part")
        os.utime(old, (NOW.timestamp(), NOW.timestamp()))
        os.utime(young, (LATER.timestamp(), LATER.timestamp()))
        assert synced(vault)["home"].cleaned == [f"{UUID}/{old.name}"]
        assert not old.exists()
        assert young.exists()


def test_foreign_files_are_left_alone(tmp_path: Path) -> None:
    vault, _ = filled(tmp_path, "usb")
    with vault:
        for name in ("README.txt", "photos", f"{UUID}/notes.txt", "lost+found"):
            (tmp_path / "usb" / name).write_bytes(b"mine")
        before = files_of(tmp_path)
        synced(vault)
        assert files_of(tmp_path) == before


def test_check_says_what_a_store_lacks_and_what_should_be_gone(tmp_path: Path) -> None:
    vault, first = filled(tmp_path, "usb")
    with vault:
        (tmp_path / "usb" / image_path(first)).unlink()
        home, usb = vault.check(now=NOW).stores
        assert home.is_level
        assert len(home.intact) == 2
        assert usb.names(State.MISSING) == [image_path(first)]
        assert first not in usb.intact
        (tmp_path / "usb" / image_path(first)).write_bytes((tmp_path / "home" / image_path(first)).read_bytes())
        image = (tmp_path / "usb" / image_path(first)).read_bytes()
        vault.forget(first, "", now=NOW)
        (tmp_path / "usb" / image_path(first)).write_bytes(image)
        home, usb = vault.check(now=NOW).stores
        assert home.is_level
        assert usb.names(State.FORGOTTEN) == [image_path(first)]
        assert not usb.is_level


def test_check_counts_an_unfinished_backup_as_such(tmp_path: Path) -> None:
    vault, first = filled(tmp_path)
    with vault:
        (tmp_path / "home" / record_path(first)).unlink()
        (home,) = vault.check(now=NOW).stores
        assert home.names(State.MISSING) == [record_path(first)]
        assert first not in home.intact


def test_check_weakens_what_was_remembered(tmp_path: Path) -> None:
    vault, first = filled(tmp_path, "usb")
    with vault:
        flip(tmp_path / "usb" / image_path(first))
        vault.check(now=LATER)
    (tmp_path / "usb").rename(tmp_path / "drawer")
    with open_vault(tmp_path) as vault:
        copies = {backup.id: {copy.store: copy for copy in backup.copies} for backup in vault.backups()}
        assert "usb" not in copies.pop(first)
        (other,) = copies.values()
        assert (other["usb"].here, other["usb"].verified) == (False, "2026-11-26T06:44:00Z")


def test_a_damaged_memory_is_no_memory(tmp_path: Path) -> None:
    vault, _ = filled(tmp_path, "usb")
    vault.close()
    (tmp_path / "usb").rename(tmp_path / "drawer")
    for path in (tmp_path / "home" / "seen").iterdir():
        flip(path)
    with open_vault(tmp_path) as vault:
        assert [copy.verified for backup in vault.backups() for copy in backup.copies] == ["", ""]


def test_a_store_that_cannot_be_listed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vault, _ = filled(tmp_path, "usb")
    with vault:
        monkeypatch.setattr("luksafe.vault.catalog.MAX_NAMES", 5)
        before = files_of(tmp_path)
        for report in synced(vault).values():
            assert "more than 5 files" in report.problems[0].text
        for check in vault.check(now=NOW).stores:
            assert "more than 5 files" in check.problems[0].text
            assert check.files == {}
        assert files_of(tmp_path) == before
