"""A store that is not the user's own keeps copies, and is not believed: what its writer forges changes nothing."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
from vault_samples import (
    LATER,
    NOW,
    OTHER_UUID,
    UUID,
    files_of,
    flip,
    image_of,
    image_path,
    make_vault,
    record_of,
    record_path,
)

from luksafe.errors import StoreError
from luksafe.vault.image import pack
from luksafe.vault.name import Kind, Name, image_id
from luksafe.vault.record import Device, Proof, Record, Sighting, Tombstone, encode, tag_of
from luksafe.vault.report import State, StoreSync
from luksafe.vault.vault import Vault

WHEN = "2026-11-24T06:44:00Z"


def plant(store: Path, document: Record | Proof | Sighting | Tombstone, kind: Kind, volume: str = UUID) -> str:
    """Write a document into a store, as somebody who can write there would."""
    data = encode(document)
    name = str(Name(volume, document.id, kind, tag_of(data) if kind in (Kind.PROOF, Kind.SIGHTING) else ""))
    (store / volume).mkdir(exist_ok=True)
    (store / name).write_bytes(data)
    return name


def plant_backup(store: Path, text: str, *, with_image: bool = True, **changes: object) -> str:
    """A whole backup of an image that the owner never saw; gives its id."""
    image = image_of(text)
    sha256 = hashlib.sha256(image).hexdigest()
    record = record_of(id=image_id(sha256), image_size=len(image), image_sha256=sha256, **changes)
    plant(store, record, Kind.RECORD, record.volume)
    if with_image:
        (store / image_path(record.id, record.volume)).write_bytes(pack(image))
    return record.id


def synced(vault: Vault) -> dict[str, StoreSync]:
    return {report.store: report for report in vault.sync(now=LATER).stores}


def two_backups(folder: Path, *stores: str) -> tuple[Vault, str, str]:
    """A vault with two backups and the store ``nas``, which is not own."""
    vault = make_vault(folder, *stores, "nas", foreign=["nas"])
    first = vault.add(record_of(), image_of(), now=NOW).id
    second = vault.add(record_of(parents=[first], seqid=4), image_of("second"), now=NOW).id
    return vault, first, second


def test_a_copy_in_a_store_that_is_not_own_is_a_copy(tmp_path: Path) -> None:
    vault, _, second = two_backups(tmp_path)
    with vault:
        assert [copy.store for copy in vault.current(UUID)[0].copies] == ["home", "nas"]
        (tmp_path / "home" / image_path(second)).unlink()
        assert vault.image(second).store == "nas"
        assert synced(vault)["home"].copied == [image_path(second)]
        assert all(report.is_level for report in vault.check(now=NOW).stores)


def test_a_forged_proof_proves_nothing_and_stays_where_it_is(tmp_path: Path) -> None:
    vault, _, second = two_backups(tmp_path, "usb")
    with vault:
        name = plant(tmp_path / "nas", Proof(id=second, when=WHEN, method="passphrase", keyslot=0), Kind.PROOF)
        before = files_of(tmp_path)
        assert vault.proofs(second) == []
        assert synced(vault)["nas"].not_taken == [name]
        assert files_of(tmp_path) == before
        assert vault.current(UUID)[0].proofs == []
        (nas,) = [report for report in vault.check(now=NOW).stores if report.store == "nas"]
        assert nas.names(State.FOREIGN) == [name]


def test_an_own_proof_travels_there_and_back(tmp_path: Path) -> None:
    vault, _, second = two_backups(tmp_path)
    with vault:
        vault.add_proof(Proof(id=second, when=WHEN, method="passphrase"))
        (path,) = (tmp_path / "home" / UUID).glob("*.proof-*")
        good = path.read_bytes()
        flip(path)
        assert [proof.method for proof in vault.proofs(second)] == ["passphrase"]
        assert synced(vault)["home"].healed == [f"{UUID}/{path.name}"]
        assert path.read_bytes() == good


def test_a_forged_tombstone_deletes_nothing_and_is_reported(tmp_path: Path) -> None:
    vault, _, second = two_backups(tmp_path, "usb")
    with vault:
        name = plant(tmp_path / "nas", Tombstone(id=second, when=WHEN), Kind.TOMBSTONE)
        before = files_of(tmp_path)
        for problems in (
            synced(vault)["nas"].problems,
            next(report for report in vault.check(now=NOW).stores if report.store == "nas").problems,
        ):
            assert [(problem.code, problem.name) for problem in problems] == [("foreign-tombstone", name)]
        assert files_of(tmp_path) == before
        assert [backup.id for backup in vault.current(UUID)] == [second]
        again = vault.add(record_of(parents=[second]), image_of("second"), now=NOW)
        assert (again.id, again.stores) == (second, ["home", "usb", "nas"])


def test_a_forged_tombstone_heals_no_damaged_one_of_an_own_store(tmp_path: Path) -> None:
    vault, _, second = two_backups(tmp_path)
    with vault:
        for store in ("home", "nas"):
            plant(tmp_path / store, Tombstone(id=second, when=WHEN), Kind.TOMBSTONE)
        flip(tmp_path / "home" / UUID / f"{second}.forgotten.json")
        synced(vault)
        assert (tmp_path / "home" / image_path(second)).exists()
        assert [backup.id for backup in vault.current(UUID)] == [second]


def test_the_image_that_its_writer_removed_behind_a_tombstone_is_not_given_again(tmp_path: Path) -> None:
    vault, _, second = two_backups(tmp_path)
    with vault:
        plant(tmp_path / "nas", Tombstone(id=second, when=WHEN), Kind.TOMBSTONE)
        (tmp_path / "nas" / image_path(second)).unlink()
        report = synced(vault)["nas"]
        assert ([problem.code for problem in report.problems], report.copied) == (["foreign-tombstone"], [])
        added = vault.add(record_of(parents=[second]), image_of("second"), now=NOW)
        assert [(problem.store, problem.code) for problem in added.problems] == [("nas", "forgotten")]
        assert "forget" not in added.problems[0].hint


def test_what_the_user_forgets_goes_from_there_too(tmp_path: Path) -> None:
    vault, first, _ = two_backups(tmp_path)
    with vault:
        assert vault.forget(first, "old", now=NOW).stores == ["home", "nas"]
        assert not list(tmp_path.rglob(f"{first}.hdr.gz"))


def test_no_store_but_an_own_one_can_take_a_tombstone_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vault, first, _ = two_backups(tmp_path)
    with vault:
        before = files_of(tmp_path)

        def full(name: str, data: bytes) -> bool:
            raise StoreError("full", code="store-full")

        monkeypatch.setattr(vault.home.folder, "create", full)
        with pytest.raises(StoreError):
            vault.forget(first, "old", now=NOW)
        assert files_of(tmp_path) == before


def test_a_forged_record_that_follows_the_current_one_never_becomes_current(tmp_path: Path) -> None:
    vault, first, second = two_backups(tmp_path, "usb")
    with vault:
        forged = plant_backup(tmp_path / "nas", "thief", parents=[second], seqid=99)
        bare = plant_backup(tmp_path / "nas", "bare", with_image=False, parents=[second], seqid=99)
        before = files_of(tmp_path)
        for _ in range(2):
            assert [backup.id for backup in vault.current(UUID)] == [second]
            assert vault.lineage(UUID).events == [second]
            synced(vault)
        assert files_of(tmp_path) == before, "nothing of it spreads"
        foreign = {backup.id for backup in vault.backups(UUID) if backup.is_foreign}
        assert foreign == {forged, bare}
        assert vault.image(forged).data == image_of("thief"), "it can still be named"
        vault.forget(second, "", now=NOW)
        assert [backup.id for backup in vault.current(UUID)] == [first]


def test_forged_records_of_the_past_do_not_enter_own_stores(tmp_path: Path) -> None:
    vault, first, second = two_backups(tmp_path)
    with vault:
        for text, changes in {
            "imported": {"parents": [], "seqid": 1},
            "sibling": {"parents": [first]},
            "circle": {"parents": [second, first]},
        }.items():
            plant_backup(tmp_path / "nas", text, **changes)
        before = files_of(tmp_path / "home")
        synced(vault)
        assert files_of(tmp_path / "home") == before
        assert [backup.id for backup in vault.current(UUID)] == [second]


def test_a_forged_sighting_brings_no_older_backup_back(tmp_path: Path) -> None:
    vault, first, second = two_backups(tmp_path)
    with vault:
        plant(tmp_path / "nas", Sighting(id=first, parents=[second], when=WHEN), Kind.SIGHTING)
        synced(vault)
        assert [backup.id for backup in vault.current(UUID)] == [second]
        assert not list((tmp_path / "home").rglob("*.seen-*"))


def test_another_record_of_an_own_backup_does_not_displace_it(tmp_path: Path) -> None:
    vault, first, second = two_backups(tmp_path)
    with vault:
        image = image_of()
        sha256 = hashlib.sha256(image).hexdigest()
        forged = record_of(id=first, image_size=len(image), image_sha256=sha256, parents=[second], kept=[(0, 8)])
        plant(tmp_path / "nas", forged, Kind.RECORD)
        mine = (tmp_path / "home" / record_path(first)).read_bytes()
        assert vault.resolve(first).record.kept == [(0, 1000), (2000, 500)]
        flip(tmp_path / "home" / record_path(first))
        synced(vault)
        assert [backup.id for backup in vault.current(UUID)] == [second]
        assert (tmp_path / "home" / record_path(first)).read_bytes() != encode(forged)
        (tmp_path / "home" / record_path(first)).write_bytes(mine)
        synced(vault)
        assert [backup.id for backup in vault.current(UUID)] == [second]


def test_a_lost_ancestor_comes_back_from_there(tmp_path: Path) -> None:
    vault, first, second = two_backups(tmp_path)
    with vault:
        for name in (record_path(first), image_path(first)):
            (tmp_path / "home" / name).unlink()
        assert synced(vault)["home"].copied == [image_path(first), record_path(first)]
        assert [backup.id for backup in vault.current(UUID)] == [second]


def test_a_volume_that_only_that_store_knows_is_taken_without_its_proofs(tmp_path: Path) -> None:
    with make_vault(tmp_path, "nas", foreign=["nas"]) as vault:
        planted = plant_backup(tmp_path / "nas", "other", uuid=OTHER_UUID)
        proof = plant(tmp_path / "nas", Proof(id=planted, when=WHEN, method="x"), Kind.PROOF, OTHER_UUID)
        assert [backup.id for backup in vault.current(OTHER_UUID)] == [planted]
        report = synced(vault)
        assert report["home"].copied == [image_path(planted, OTHER_UUID), record_path(planted, OTHER_UUID)]
        assert report["nas"].not_taken == [proof]
        assert vault.proofs(planted) == []


MINE = Device(path="/dev/sdb1", by_id="ata-DISK_1-part1", serial="DISK_1", partition={"target_key": "partuuid:1"})


@pytest.mark.parametrize(
    "claimed",
    [
        MINE,
        Device(path="/dev/sdc1", by_id=MINE.by_id),
        Device(path="/dev/sdc1", serial=MINE.serial),
        Device(path="/dev/sdc1", partition=MINE.partition),
    ],
    ids=["all", "link", "serial", "key"],
)
def test_a_planted_volume_that_claims_a_known_device_stays_there(tmp_path: Path, claimed: Device) -> None:
    """By anything that ties a record to a device: as an own record it would be taken for what was on that."""
    with make_vault(tmp_path, "nas", foreign=["nas"]) as vault:
        vault.add(record_of(device=MINE), image_of(), now=NOW)
        plant_backup(tmp_path / "nas", "other", uuid=OTHER_UUID, device=claimed)
        before = files_of(tmp_path / "home")
        synced(vault)
        assert files_of(tmp_path / "home") == before
        assert [backup.is_foreign for backup in vault.current(OTHER_UUID)] == [True]


def test_a_backup_of_a_planted_image_is_recorded_anew(tmp_path: Path) -> None:
    """The header itself was read from the device: then it is the user's own record that counts."""
    vault, _, second = two_backups(tmp_path)
    with vault:
        planted = plant_backup(tmp_path / "nas", "third", parents=[], host="thief")
        added = vault.add(record_of(parents=[second], seqid=5), image_of("third"), now=NOW)
        assert (added.id, added.new) == (planted, True)
        assert [backup.id for backup in vault.current(UUID)] == [planted]
        assert vault.resolve(planted).record.host == "nas"


def test_a_record_without_an_image_is_never_current(tmp_path: Path) -> None:
    with make_vault(tmp_path, "usb") as vault:
        first = vault.add(record_of(), image_of(), now=NOW).id
        second = vault.add(record_of(parents=[first]), image_of("second"), now=NOW).id
        for store in ("home", "usb"):
            (tmp_path / store / image_path(second)).unlink()
        assert [backup.id for backup in vault.current(UUID)] == [first]
        again = vault.add(record_of(parents=vault.lineage(UUID).events), image_of("second"), now=NOW)
        assert again.id == second
        assert [backup.id for backup in vault.current(UUID)] == [second]


def test_a_record_whose_image_is_in_a_drawer_stays_current(tmp_path: Path) -> None:
    with make_vault(tmp_path, "usb") as vault:
        first = vault.add(record_of(), image_of(), now=NOW).id
        second = vault.add(record_of(parents=[first]), image_of("second"), now=NOW).id
        vault.check(now=NOW)
    shutil.move(tmp_path / "usb", tmp_path / "drawer")
    (tmp_path / "home" / image_path(second)).unlink()
    with Vault.open(tmp_path / "home", random=bytes) as vault:
        assert [backup.id for backup in vault.current(UUID)] == [second]


def test_one_folder_that_cannot_be_listed_hides_no_other_volume(tmp_path: Path) -> None:
    warnings: list[str] = []
    with make_vault(tmp_path, "usb") as vault:
        mine = vault.add(record_of(), image_of(), now=NOW).id
        other = vault.add(record_of(uuid=OTHER_UUID), image_of("other"), now=NOW).id
        for path in (tmp_path / "home").rglob(f"{other}*"):
            path.unlink()
        vault._warn = warnings.append
        listed = vault.stores[1].names

        def names(volume: str = "") -> list[Name]:
            if volume == UUID:
                raise StoreError("usb fails (input/output error)", code="store-failing")
            return listed(volume)

        vault.stores[1].names = names  # type: ignore[method-assign]
        assert {backup.id for backup in vault.backups()} == {mine, other}
        assert warnings == ["going on without some of the store usb: usb fails (input/output error)"]
        home, usb = vault.check(now=NOW).stores
        assert usb.intact == [other]
        assert [problem.name for problem in usb.problems] == [UUID]
        assert home.names(State.MISSING) == [image_path(other, OTHER_UUID), record_path(other, OTHER_UUID)]
