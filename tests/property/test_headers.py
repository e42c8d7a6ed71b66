"""Properties of the header engine: nothing raises but our errors, nothing is lost, every flipped byte shows."""

from __future__ import annotations

import random

from generators.headers import VOLUME_KEY, document_of, luks1_image, luks2_image, seeded_bytes
from hypothesis import given, settings
from hypothesis import strategies as st

from luksafe.luks.af import merge_stripes, split_stripes
from luksafe.luks.compact import capture
from luksafe.luks.compare import compare
from luksafe.luks.inspection import inspect
from luksafe.luks.luks1.binary_header import HEADER_BYTES, BinaryHeader
from luksafe.luks.luks2 import json_area
from luksafe.luks.luks2.validate import validate
from luksafe.ops.describe import describe_inspection
from luksafe.reader import BytesReader
from luksafe.secret import SecretBytes

LUKS1, LUKS2 = luks1_image(), luks2_image()[:300_000]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just("0") | st.just("4096"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6) | st.just("0"), inner, max_size=4),
    max_leaves=20,
)


def look(data: bytes) -> None:
    seen = inspect(BytesReader(data))
    describe_inspection(seen)
    capture(BytesReader(data), seen)
    if seen.header:
        assert compare(seen.header, seen.header) == []


@given(st.binary(max_size=2000))
def test_any_bytes_can_be_looked_at(data):
    look(data)


@settings(max_examples=300)
@given(st.sampled_from([LUKS1, LUKS2]), st.integers(0, 2**32), st.integers(1, 40))
def test_a_header_with_random_damage_can_be_looked_at(image, seed, count):
    rng, damaged = random.Random(seed), bytearray(image)
    for _ in range(count):
        damaged[rng.randrange(600 if image is LUKS1 else 33000)] = rng.randrange(256)
    look(bytes(damaged))


@settings(max_examples=300)
@given(JSON, st.sampled_from(["config", "segments", "keyslots", "digests", "tokens", None]))
def test_any_document_can_be_validated(value, section):
    document = document_of(LUKS2)
    if section is None:
        document = value if isinstance(value, dict) else {"x": value}
    else:
        document[section] = value
    findings = validate(document, 12288)
    if not findings and section:
        # what is valid must also become objects
        from luksafe.luks.luks2.binary_header import BinaryHeader as Luks2Header
        from luksafe.luks.luks2.metadata import build_header

        build_header(Luks2Header.parse(LUKS2), document)


@settings(max_examples=200)
@given(st.integers(0, 32767), st.integers(1, 255))
def test_every_changed_byte_of_a_luks2_header_is_noticed(place, mask):
    damaged = bytearray(LUKS2)
    damaged[place] ^= mask
    seen = inspect(BytesReader(bytes(damaged) + bytes((1 << 20) - len(damaged))))
    in_checksum_tail = (place % 16384) in range(480, 512)  # sha256 fills half of the checksum field
    assert in_checksum_tail or seen.copies[place // 16384].state != "ok"


@given(st.binary(min_size=HEADER_BYTES, max_size=HEADER_BYTES))
def test_luks1_parse_and_serialize_are_inverse(raw):
    assert BinaryHeader.parse(raw).serialize(raw) == raw


@given(JSON)
def test_json_survives_encoding(value):
    document = {"value": value}
    again, findings = json_area.decode(json_area.encode(document, 65536))
    assert findings == []
    assert again == document


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from([16, 24, 32, 48, 64, 72]),
    st.integers(1, 60),
    st.sampled_from(["sha1", "sha256", "sha512", "ripemd160"]),
)
def test_merge_undoes_split(size, stripes, hash_name):
    key = SecretBytes(VOLUME_KEY[:64].ljust(size, b"k")[:size])
    material = split_stripes(key, stripes, hash_name, seeded_bytes(3))
    assert len(material) == size * stripes
    assert merge_stripes(material, size, stripes, hash_name) == key
