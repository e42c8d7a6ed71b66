from __future__ import annotations

import hashlib
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from vault_samples import UUID, record_of

from luksafe.errors import DamagedInput
from luksafe.vault.document import encode_document, to_json
from luksafe.vault.name import Kind, Name
from luksafe.vault.record import Proof, Record, Sighting, Tombstone, decode, encode, tag_of, timestamp

SHA256 = hashlib.sha256(b"image").hexdigest()
ID = SHA256[:32]
RECORD_NAME = Name(UUID, ID, Kind.RECORD)


def full_record(**changes: Any) -> Record:
    return record_of(**{"id": ID, "image_size": 5000, "image_sha256": SHA256} | changes)


def test_a_record_survives_writing_and_reading() -> None:
    record = full_record(extra={"colour": "red"})
    assert decode(RECORD_NAME, encode(record)) == record


def test_proof_sighting_and_tombstone_survive_too() -> None:
    proof = Proof(id=ID, when="2026-11-24T06:44:00Z", method="passphrase", keyslot=1, digest=0, found="ext4")
    sighting = Sighting(id=ID, parents=["a", "b"], when="2026-11-24T06:44:00Z", host="nas")
    tombstone = Tombstone(id=ID, when="2026-11-24T06:44:00Z", why="revoked")
    for kind, document in ((Kind.PROOF, proof), (Kind.SIGHTING, sighting), (Kind.TOMBSTONE, tombstone)):
        data = encode(document)
        name = Name(UUID, ID, kind, "" if kind is Kind.TOMBSTONE else tag_of(data))
        assert decode(name, data) == document


def test_a_document_under_another_tag_is_damaged() -> None:
    data = encode(Proof(id=ID, when="", method=""))
    with pytest.raises(DamagedInput, match="not the one that its name says"):
        decode(Name(UUID, ID, Kind.PROOF, "0" * 16), data)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "f" * 32},
        {"uuid": "11111111-2222-3333-4444-555555555555"},
        {"image_sha256": "0" * 64},
        {"image_sha256": SHA256[:40]},
        {"image_size": 0},
        {"image_size": (256 << 20) + 1},
        {"kept": [(0, 10), (5, 10)]},
        {"kept": [(10, 10), (0, 10)]},
        {"kept": [(0, 0)]},
        {"kept": [(4000, 1001)]},
    ],
)
def test_a_record_that_contradicts_itself_is_damaged(changes: dict[str, Any]) -> None:
    with pytest.raises(DamagedInput):
        decode(RECORD_NAME, encode(full_record(**changes)))


@pytest.mark.parametrize("missing", ["format", "id", "uuid", "luks", "seqid", "image_size", "image_sha256", "kept"])
def test_a_record_needs_its_members(missing: str) -> None:
    members = to_json(full_record())
    del members[missing]
    with pytest.raises(DamagedInput):
        decode(RECORD_NAME, encode_document(members))


@pytest.mark.parametrize("changes", [{"seqid": -1}, {"kept": [[0]]}, {"kept": [[0, -1]]}, {"format": 0}, {"device": 1}])
def test_a_record_with_members_out_of_range_is_damaged(changes: dict[str, Any]) -> None:
    with pytest.raises(DamagedInput):
        decode(RECORD_NAME, encode_document(to_json(full_record()) | changes))


def test_a_record_of_a_later_format_is_read() -> None:
    assert decode(RECORD_NAME, encode(full_record(format=2))) == full_record(format=2)


def test_the_volume_of_a_header_without_uuid() -> None:
    record = msgspec.structs.replace(full_record(), uuid="who knows")
    assert decode(Name("no-uuid", ID, Kind.RECORD), encode(record)) == record


def test_times_are_utc_whole_seconds() -> None:
    moment = datetime(2026, 11, 24, 8, 44, 0, 123, tzinfo=timezone(timedelta(hours=2)))
    assert timestamp(moment) == "2026-11-24T06:44:00Z"
