from __future__ import annotations

import hashlib
import os
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
    open_vault,
    record_of,
    record_path,
)

from luksafe.errors import DamagedInput, NotFound, Refused, StoreError
from luksafe.vault.image import pack
from luksafe.vault.lineage import Lineage
from luksafe.vault.record import Proof
from luksafe.vault.report import Copy
from luksafe.vault.vault import Vault

IMAGE = image_of()


def test_a_backup_goes_to_every_store_and_reads_back(tmp_path: Path) -> None:
    with make_vault(tmp_path, "usb", "nas") as vault:
        added = vault.add(record_of(), IMAGE, now=NOW)
        assert added.id == hashlib.sha256(IMAGE).hexdigest()[:32]
        assert (added.new, added.returned, added.stores) == (True, False, ["home", "usb", "nas"])
        assert (added.away, added.problems) == ([], [])
        image = vault.image(added.id)
        assert (image.data, image.store, image.problems) == (IMAGE, "home", [])
        (backup,) = vault.backups()
        assert backup.record.kept == [(0, 1000), (2000, 500)]
        assert backup.record.image_size == len(IMAGE)
        assert backup.record.device.by_id == "ata-DISK_1"
        assert backup.is_current
        assert backup.tombstone is None
        assert backup.copies == [Copy(name, True, "2026-11-24T06:44:00Z") for name in ("home", "usb", "nas")]
    usb, nas = files_of(tmp_path / "usb"), files_of(tmp_path / "nas")
    assert set(usb) == {"luksafe-vault.json", image_path(added.id), record_path(added.id)}
    assert {
        name: data for name, data in usb.items() if name in nas and name != "luksafe-vault.json"
    }.items() <= nas.items()
    assert not any(path.name.startswith(".new-") for path in tmp_path.rglob("*"))


def test_storing_twice_stores_nothing(tmp_path: Path) -> None:
    with make_vault(tmp_path, "usb") as vault:
        first = vault.add(record_of(), IMAGE, now=NOW)
        before = files_of(tmp_path)
        second = vault.add(record_of(why="again", created="2026-12-01T00:00:00Z"), IMAGE, now=LATER)
        assert (second.id, second.new, second.stores) == (first.id, False, ["home", "usb"])
        assert files_of(tmp_path) == before


def test_storing_again_completes_and_heals_the_copies(tmp_path: Path) -> None:
    with make_vault(tmp_path, "usb", "nas") as vault:
        backup_id = vault.add(record_of(), IMAGE, now=NOW).id
        good = files_of(tmp_path / "home")
        (tmp_path / "usb" / image_path(backup_id)).unlink()
        flip(tmp_path / "nas" / record_path(backup_id))
        assert vault.add(record_of(why="again"), IMAGE, now=LATER).stores == ["home", "usb", "nas"]
    for store in ("usb", "nas"):
        for path in (image_path(backup_id), record_path(backup_id)):
            assert (tmp_path / store / path).read_bytes() == good[path]
    assert [name for name in files_of(tmp_path / "nas") if ".json.damaged-" in name]


def test_an_unfinished_backup_is_completed(tmp_path: Path) -> None:
    with make_vault(tmp_path) as vault:
        backup_id = vault.add(record_of(), IMAGE, now=NOW).id
        (tmp_path / "home" / record_path(backup_id)).unlink()
        added = vault.add(record_of(why="second try"), IMAGE, now=NOW)
        assert (added.id, added.new) == (backup_id, True)
        assert vault.resolve(backup_id).record.why == "second try"


def test_a_store_that_is_away_is_told_and_remembered(tmp_path: Path) -> None:
    with make_vault(tmp_path, "usb") as vault:
        first = vault.add(record_of(), IMAGE, now=NOW).id
    (tmp_path / "usb").rename(tmp_path / "drawer")
    with open_vault(tmp_path) as vault:
        second = vault.add(record_of(parents=[first]), image_of("second"), now=LATER)
        assert [away.name for away in second.away] == ["usb"]
        assert second.stores == ["home"]
        copies = {backup.id: backup.copies for backup in vault.backups()}
        assert copies[first] == [
            Copy("home", True, "2026-11-24T06:44:00Z"),
            Copy("usb", False, "2026-11-24T06:44:00Z"),
        ]
        assert copies[second.id] == [Copy("home", True, "2026-11-26T06:44:00Z")]
    assert not (tmp_path / "usb").exists()


def test_one_store_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    with make_vault(tmp_path, "usb", "nas") as vault:
        (tmp_path / "usb" / UUID).write_bytes(b"a file where the folder should be")
        added = vault.add(record_of(), IMAGE, now=NOW)
        assert added.stores == ["home", "nas"]
        (problem,) = added.problems
        assert (problem.store, problem.code) == ("usb", "store-link")
        assert [copy.store for copy in vault.resolve(added.id).copies] == ["home", "nas"]


def test_no_store_at_all_is_an_error(tmp_path: Path) -> None:
    with make_vault(tmp_path, "usb") as vault:
        for store in ("home", "usb"):
            (tmp_path / store / UUID).symlink_to(tmp_path)
        with pytest.raises(StoreError, match="no store took it") as raised:
            vault.add(record_of(), IMAGE, now=NOW)
        assert raised.value.code == "store-link"


def test_a_damaged_copy_is_passed_over_and_named(tmp_path: Path) -> None:
    with make_vault(tmp_path, "usb", "nas") as vault:
        backup_id = vault.add(record_of(), IMAGE, now=NOW).id
        flip(tmp_path / "home" / image_path(backup_id))
        (tmp_path / "usb" / image_path(backup_id)).unlink()
        image = vault.image(backup_id)
        assert (image.data, image.store) == (IMAGE, "nas")
        assert [(problem.store, problem.name) for problem in image.problems] == [("home", image_path(backup_id))]
        flip(tmp_path / "nas" / image_path(backup_id))
        with pytest.raises(DamagedInput, match="every copy of"):
            vault.image(backup_id)
        for store in ("home", "nas"):
            (tmp_path / store / image_path(backup_id)).unlink()
        with pytest.raises(NotFound, match="no store that is here"):
            vault.image(backup_id)
        with pytest.raises(NotFound, match="no backup has the id"):
            vault.image("0" * 32)


def test_a_good_image_in_another_gzip_header_is_read(tmp_path: Path) -> None:
    with make_vault(tmp_path) as vault:
        backup_id = vault.add(record_of(), IMAGE, now=NOW).id
        flip(tmp_path / "home" / image_path(backup_id), 5)
        assert vault.image(backup_id).data == IMAGE


def test_an_image_is_read_without_its_record(tmp_path: Path) -> None:
    with make_vault(tmp_path) as vault:
        backup_id = vault.add(record_of(), IMAGE, now=NOW).id
        (tmp_path / "home" / record_path(backup_id)).unlink()
        assert vault.image(backup_id).data == IMAGE
        (tmp_path / "home" / image_path(backup_id)).write_bytes(pack(b"another"))
        with pytest.raises(DamagedInput):
            vault.image(backup_id)


def test_a_home_without_marker_is_still_read(tmp_path: Path) -> None:
    with make_vault(tmp_path) as vault:
        backup_id = vault.add(record_of(), IMAGE, now=NOW).id
    (tmp_path / "home" / "luksafe-vault.json").unlink()
    with open_vault(tmp_path) as vault:
        assert vault.image(backup_id).data == IMAGE
        assert "luksafe-vault.json" in vault.home.damage
    with Vault.open(tmp_path / "home", random=os.urandom, create=True) as vault:
        assert vault.home.damage == ""


def test_what_cannot_be_a_record_is_not_stored(tmp_path: Path) -> None:
    with make_vault(tmp_path) as vault:
        with pytest.raises(DamagedInput, match="kept ranges reach to"):
            vault.add(record_of(kept=[(0, len(IMAGE) + 1)]), IMAGE, now=NOW)
        assert vault.backups() == []


def test_volumes_are_kept_apart(tmp_path: Path) -> None:
    with make_vault(tmp_path) as vault:
        first = vault.add(record_of(), IMAGE, now=NOW).id
        second = vault.add(record_of(uuid=OTHER_UUID), image_of("second"), now=NOW).id
        odd = vault.add(record_of(uuid="no such thing"), image_of("odd"), now=NOW).id
        none = vault.add(record_of(uuid=""), image_of("none"), now=NOW).id
        assert [backup.id for backup in vault.backups(UUID.upper())] == [first]
        assert [backup.id for backup in vault.backups(OTHER_UUID)] == [second]
        assert [backup.id for backup in vault.backups("no such thing")] == [odd]
        assert [backup.id for backup in vault.backups("")] == [none]
        assert len(vault.backups()) == 4
        assert (tmp_path / "home" / "no-uuid").is_dir()
        assert vault.lineage("no such thing") == Lineage([], [odd])
        assert vault.lineage("") == Lineage([], [none])


def test_a_device_that_went_back_is_noted_once(tmp_path: Path) -> None:
    with make_vault(tmp_path, "usb") as vault:
        first = vault.add(record_of(), IMAGE, now=NOW).id
        second = vault.add(record_of(parents=vault.lineage(UUID).events), image_of("second"), now=NOW).id
        assert [backup.id for backup in vault.current(UUID)] == [second]
        back = record_of(parents=vault.lineage(UUID).events)
        added = vault.add(back, IMAGE, now=LATER)
        assert (added.id, added.new, added.returned) == (first, False, True)
        assert [backup.id for backup in vault.current(UUID)] == [first]
        before = files_of(tmp_path)
        assert not vault.add(record_of(parents=vault.lineage(UUID).events), IMAGE, now=LATER).returned
        assert files_of(tmp_path) == before
        third = vault.add(record_of(parents=vault.lineage(UUID).events), image_of("third"), now=LATER).id
        assert [backup.id for backup in vault.current(UUID)] == [third]


def test_proofs_are_kept_in_every_store(tmp_path: Path) -> None:
    with make_vault(tmp_path, "usb") as vault:
        backup_id = vault.add(record_of(), IMAGE, now=NOW).id
        late = Proof(id=backup_id, when="2026-11-25T00:00:00Z", method="passphrase", keyslot=1, digest=0, found="ext4")
        early = Proof(id=backup_id, when="2026-11-24T00:00:00Z", method="key file", keyslot=0, digest=0)
        for proof in (late, early, late):
            assert vault.add_proof(proof) == []
        assert vault.proofs(backup_id) == vault.resolve(UUID).proofs == [early, late]
        for store in ("home", "usb"):
            assert len(list((tmp_path / store / UUID).glob("*.proof-*.json"))) == 2
        with pytest.raises(NotFound):
            vault.add_proof(Proof(id="0" * 32, when="", method=""))


def test_a_damaged_proof_is_not_read(tmp_path: Path) -> None:
    with make_vault(tmp_path) as vault:
        backup_id = vault.add(record_of(), IMAGE, now=NOW).id
        vault.add_proof(Proof(id=backup_id, when="2026-11-25T00:00:00Z", method="passphrase"))
        flip(next((tmp_path / "home" / UUID).glob("*.proof-*.json")))
        assert vault.proofs(backup_id) == []


def test_a_vault_that_cannot_remember_still_works(tmp_path: Path) -> None:
    with make_vault(tmp_path) as vault:
        (tmp_path / "home" / "seen").symlink_to(tmp_path)
        backup_id = vault.add(record_of(), IMAGE, now=NOW).id
        assert vault.resolve(backup_id).copies == [Copy("home", True, "")]


def test_refused_without_again(tmp_path: Path) -> None:
    with make_vault(tmp_path, "usb") as vault:
        first = vault.add(record_of(), IMAGE, now=NOW).id
        vault.forget(first, "leaked", now=NOW)
        with pytest.raises(Refused, match=r"forgotten .* on 2026-11-24") as raised:
            vault.add(record_of(), IMAGE, now=LATER)
        assert "--again" in raised.value.hint
        for generation in (2, 3):
            again = vault.add(record_of(), IMAGE, now=LATER, again=True)
            assert (again.id, again.new) == (f"{first}-{generation}", True)
            assert vault.add(record_of(), IMAGE, now=LATER).id == again.id
            assert vault.image(again.id).data == IMAGE
            vault.forget(again.id, "", now=LATER)
        with pytest.raises(Refused):
            vault.add(record_of(), IMAGE, now=LATER)
        with pytest.raises(NotFound, match="was forgotten"):
            vault.image(first)
        with pytest.raises(NotFound, match="was forgotten"):
            vault.add_proof(Proof(id=first, when="", method=""))
