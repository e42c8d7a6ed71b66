"""Escrow packets in the vault: everywhere, verified, healed, forgotten."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from vault_samples import LATER, NOW, OTHER_UUID, UUID, files_of, flip, image_of, make_vault, open_vault, record_of

from luksafe.errors import NotFound, Refused
from luksafe.vault.name import Kind, Name, parse_name
from luksafe.vault.packet import PacketFiles
from luksafe.vault.record import Proof
from luksafe.vault.report import State

SEALED = b"age-encryption.org/v1\n" + bytes(range(256))
PUBLIC = json.dumps({"sealed_sha256": hashlib.sha256(SEALED).hexdigest()}).encode()
PACKET = PacketFiles(Kind.SEALED_AGE, SEALED, PUBLIC)
NAMES = [name for name, _ in PACKET.named(UUID)]


@pytest.mark.parametrize("kind", [Kind.SEALED_AGE, Kind.SEALED_CMS])
def test_names_are_spelt_and_read(kind: Kind) -> None:
    for name, _ in PacketFiles(kind, SEALED, PUBLIC).named(UUID):
        assert parse_name(str(name)) == name
    assert str(NAMES[1]) == f"{UUID}/{hashlib.sha256(SEALED).hexdigest()[:32]}.age"


def test_a_packet_goes_to_every_store_and_is_no_backup(tmp_path: Path) -> None:
    with make_vault(tmp_path, "usb") as vault:
        backup = vault.add(record_of(), image_of(), now=NOW)
        added = vault.add_packet(UUID, PACKET)
        assert (added.new, added.stores) == (True, ["home", "usb"])
        assert not vault.add_packet(UUID, PACKET).new
        [found] = vault.packets()
        assert (found.id, found.uuid, found.sealed, found.public) == (PACKET.id, UUID, SEALED, PUBLIC)
        assert found.stores == ("home", "usb")
        assert vault.packets(OTHER_UUID) == []
        assert [b.id for b in vault.backups()] == [b.id for b in vault.current(UUID)] == [backup.id]
        check = vault.check(now=NOW)
        assert all(report.is_level and report.intact == [backup.id] for report in check.stores)
        assert (tmp_path / "usb" / str(NAMES[1])).stat().st_mode & 0o777 == 0o600


def test_a_store_that_was_away_gets_it(tmp_path: Path) -> None:
    make_vault(tmp_path, "usb").close()
    (tmp_path / "usb").rename(tmp_path / "drawer")
    with open_vault(tmp_path) as vault:
        assert vault.add_packet(UUID, PACKET).stores == ["home"]
    (tmp_path / "drawer").rename(tmp_path / "usb")
    with open_vault(tmp_path) as vault:
        assert not vault.check(now=NOW).stores[1].is_level
        vault.sync(now=LATER)
        assert [p.stores for p in vault.packets()] == [("home", "usb")]


@pytest.mark.parametrize("name", NAMES)
def test_a_flipped_bit_is_found_and_healed(tmp_path: Path, name: Name) -> None:
    with make_vault(tmp_path, "usb") as vault:
        vault.add_packet(UUID, PACKET)
        flip(tmp_path / "home" / str(name))
        assert vault.check(now=NOW).stores[0].names(State.DAMAGED) == [str(name)]
        [found] = vault.packets()
        assert (found.sealed, found.public) == (SEALED, PUBLIC)  # from the other store
        assert vault.sync(now=LATER).stores[0].healed == [str(name)]
        assert vault.check(now=NOW).stores[0].is_level


def test_one_that_is_damaged_everywhere_is_listed_all_the_same(tmp_path: Path) -> None:
    with make_vault(tmp_path) as vault:
        vault.add_packet(UUID, PACKET)
        flip(tmp_path / "home" / str(NAMES[1]))
        assert [p.sealed for p in vault.packets()] == [None]


def test_a_public_part_of_another_packet_is_damaged(tmp_path: Path) -> None:
    foreign = PacketFiles(Kind.SEALED_AGE, SEALED, b'{"sealed_sha256": "' + b"0" * 64 + b'"}')
    with make_vault(tmp_path) as vault:
        vault.add_packet(UUID, foreign)
        assert [p.public for p in vault.packets()] == [b""]
        name = str(foreign.named(UUID)[0][0])
        assert vault.check(now=NOW).stores[0].names(State.DAMAGED) == [name]


def test_a_proof_speaks_of_a_packet(tmp_path: Path) -> None:
    with make_vault(tmp_path) as vault:
        vault.add_packet(UUID, PACKET)
        vault.add_proof(Proof(id=PACKET.id, when="2026-11-24T06:44:00Z", method="opened", extra={"enrolment": "ab"}))
        [proof] = vault.packets()[0].proofs
        assert proof.extra == {"enrolment": "ab"}


def test_forgotten_is_gone_everywhere_and_never_taken_again(tmp_path: Path) -> None:
    make_vault(tmp_path, "usb", "nas").close()
    with open_vault(tmp_path) as vault:
        vault.add_packet(UUID, PACKET)
        vault.add_proof(Proof(id=PACKET.id, when="2026-11-24T06:44:00Z", method="opened"))
    (tmp_path / "nas").rename(tmp_path / "drawer")
    with open_vault(tmp_path) as vault:
        assert vault.forget(PACKET.id, "revoked", now=NOW).stores == ["home", "usb"]
        assert vault.packets() == []
    (tmp_path / "drawer").rename(tmp_path / "nas")
    with open_vault(tmp_path) as vault:
        assert vault.packets() == []
        assert State.FORGOTTEN in vault.check(now=NOW).stores[2].files.values()
        vault.sync(now=LATER)
        left = [name for name in files_of(tmp_path) if PACKET.id in name]
        assert {Path(name).name for name in left} == {f"{PACKET.id}.forgotten.json"}
        assert len(left) == 3
        with pytest.raises(Refused):
            vault.add_packet(UUID, PACKET)
        with pytest.raises(NotFound):
            vault.add_proof(Proof(id=PACKET.id, when="2026-11-24T06:44:00Z", method="opened"))


def test_a_public_part_that_is_no_json_is_damaged_though_its_name_fits(tmp_path: Path) -> None:
    junk = b"\xff not json"
    name = PacketFiles(Kind.SEALED_AGE, SEALED, junk).named(UUID)[0][0]
    with make_vault(tmp_path, "usb") as vault:
        vault.add_packet(UUID, PACKET)
        vault.home.create(name, junk)
        assert vault.check(now=NOW).stores[0].problems
        assert [packet.public for packet in vault.packets()] == [PUBLIC]
