"""What the vault reads is total: any bytes give what was stored or one named error, within bounds."""

from __future__ import annotations

import gzip
import hashlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vault_samples import UUID, image_of, record_of

from luksafe.errors import DamagedInput, UsageError
from luksafe.vault.catalog import check_file
from luksafe.vault.document import decode_document, encode_document, from_json, to_json
from luksafe.vault.image import pack, unpack
from luksafe.vault.marker import Marker
from luksafe.vault.name import Kind, Name, parse_name, stray_id
from luksafe.vault.record import Proof, Record, Sighting, Tombstone, decode, encode, parse_as, tag_of
from luksafe.vault.undo import Manifest, Mark

IMAGE = image_of(size=2000)
SHA256 = hashlib.sha256(IMAGE).hexdigest()
ID = SHA256[:32]
RECORD = record_of(id=ID, image_size=len(IMAGE), image_sha256=SHA256, kept=[(0, 1000)])
TOMBSTONE = Tombstone(id=ID, when="2026-11-24T06:44:00Z", why="x")
PROOF = encode(Proof(id=ID, when="2026-11-24T06:44:00Z", method="passphrase", keyslot=0, digest=0))
FILES = {
    Name(UUID, ID, Kind.IMAGE): pack(IMAGE),
    Name(UUID, ID, Kind.RECORD): encode(RECORD),
    Name(UUID, ID, Kind.TOMBSTONE): encode(TOMBSTONE),
    Name(UUID, ID, Kind.PROOF, tag_of(PROOF)): PROOF,
}
NAMES = sorted(FILES)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
members = st.dictionaries(
    st.sampled_from([*Record.__struct_fields__, *Proof.__struct_fields__, "parents", "state", "store", "ranges"])
    | st.text(max_size=8),
    json_values,
    max_size=20,
)


def sealed(body: bytes) -> bytes:
    return body + b'  "sha256": "' + hashlib.sha256(body).hexdigest().encode() + b'"\n}\n'


@given(st.sampled_from(NAMES), st.integers(0, 1 << 30), st.integers(0, 7))
def test_no_flipped_bit_goes_unnoticed(name: Name, at: int, bit: int) -> None:
    data = bytearray(FILES[name])
    data[at % len(data)] ^= 1 << bit
    with pytest.raises(DamagedInput):
        check_file(name, bytes(data), RECORD)


@given(st.sampled_from(NAMES), st.integers(0, 1 << 30), st.binary(max_size=50))
def test_no_cut_nor_growth_goes_unnoticed(name: Name, at: int, more: bytes) -> None:
    data = FILES[name]
    for changed in (data[: at % len(data)], data + more + b"\0"):
        with pytest.raises(DamagedInput):
            check_file(name, changed, RECORD)


@given(st.sampled_from(NAMES), st.binary(max_size=3000), st.booleans())
def test_any_bytes_are_judged(name: Name, data: bytes, checksummed: bool) -> None:
    with pytest.raises(DamagedInput):
        check_file(name, sealed(data) if checksummed else data, RECORD)


@given(st.binary(max_size=3000), st.integers(1, 4000))
def test_unpacking_any_bytes_stays_within_bounds(data: bytes, limit: int) -> None:
    for packed in (data, gzip.compress(data, mtime=0), pack(IMAGE)[: len(data)] + data):
        with suppress(DamagedInput):
            assert len(unpack(packed, limit)) <= limit


@given(st.binary(min_size=1, max_size=3000))
def test_packing_and_unpacking_is_identity(image: bytes) -> None:
    assert unpack(pack(image)) == image


@given(st.dictionaries(st.text(max_size=10).filter(lambda name: name != "sha256"), json_values, min_size=1, max_size=6))
def test_documents_survive(content: dict[str, object]) -> None:
    try:
        data = encode_document(content)
    except UsageError:  # integers beyond 64 bits
        return
    assert encode_document(decode_document(data)) == data


@given(members)
def test_any_object_is_a_document_of_each_kind_or_damaged(content: dict[str, object]) -> None:
    try:
        data = encode_document(content)
    except UsageError:
        return
    for kind in (Record, Proof, Sighting, Tombstone, Manifest, Mark, Marker):
        try:
            document = parse_as(kind, data)
        except DamagedInput:
            continue
        assert parse_as(kind, encode(document)) == document


@given(st.dictionaries(st.text(min_size=1, max_size=10), json_values, max_size=5))
def test_unknown_members_of_a_record_are_written_back(more: dict[str, object]) -> None:
    wanted = to_json(RECORD) | {f"x-{name}": value for name, value in more.items()}
    try:
        data = encode_document(wanted)
    except UsageError:
        return
    record = decode(Name(UUID, ID, Kind.RECORD), data)
    assert isinstance(record, Record)
    assert encode(record) == data
    assert from_json(Record, to_json(record)) == record


@given(st.text(max_size=120) | st.from_regex(r"[0-9a-f-]{36}/[.0-9a-z-]{30,60}", fullmatch=True))
def test_any_text_is_a_name_or_none(text: str) -> None:
    name = parse_name(text)
    assert name is None or str(name) == text
    assert ".." not in text or name is None
    stray_id(text)
