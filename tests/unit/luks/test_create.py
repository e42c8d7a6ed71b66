"""A new header: what it is made of is what is read from it; what fits no header is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from generators.headers import (
    CHEAP_ARGON2,
    CHEAP_PBKDF2,
    PASSPHRASE,
    UUID,
    VOLUME_KEY,
    luks1_image,
    luks2_image,
    seeded_bytes,
    with_document,
)

from luksafe.errors import DamagedInput
from luksafe.luks.create import DETACHED_BYTES, KdfChoice, Parameters, create_header
from luksafe.luks.inspection import inspect
from luksafe.luks.layout import Field, pack_into, unpack
from luksafe.luks.luks2.binary_header import BinaryHeader, seal
from luksafe.luks.seal import seal_keyslot
from luksafe.luks.unlock import unlock
from luksafe.reader import BytesReader
from luksafe.secret import SecretBytes

KEY, OLD = SecretBytes(VOLUME_KEY), SecretBytes(PASSPHRASE)
LUKS1 = Parameters("luks1", UUID, "aes-xts-plain64", 2 << 20, seqid=0)
LUKS2 = Parameters("luks2", UUID, "aes-xts-plain64", 1 << 20)


def create(parameters: Parameters, kdf: KdfChoice = CHEAP_ARGON2, keyslot: int = 0) -> bytes:
    return create_header(parameters, KEY, OLD, kdf, seeded_bytes(), keyslot)


ALL = [
    (LUKS1, CHEAP_PBKDF2),
    (replace(LUKS1, hash="sha1", encryption="aes-xts-plain"), CHEAP_PBKDF2),
    (replace(LUKS1, data_offset=0), CHEAP_PBKDF2),
    (LUKS2, CHEAP_ARGON2),
    (replace(LUKS2, sector_size=4096, iv_tweak=8, segment_size=1 << 20, data_offset=2 << 20), CHEAP_PBKDF2),
    (replace(LUKS2, label="äöü", subsystem="s", flags=("allow-discards",), seqid=9), CHEAP_ARGON2),
    (replace(LUKS2, data_offset=0, tokens={"3": {"type": "x", "keyslots": []}}), CHEAP_ARGON2),
    (replace(LUKS2, header_size=65536, keyslots_size=512 << 10), replace(CHEAP_ARGON2, type="argon2i")),
]


@pytest.mark.parametrize(("parameters", "kdf"), ALL)
@pytest.mark.parametrize("keyslot", [0, 5])
def test_what_is_created_says_what_it_was_made_of(parameters, kdf, keyslot):
    image = create(parameters, kdf, keyslot).ljust(parameters.data_offset + 4096, b"\0")
    found = inspect(BytesReader(image))
    assert found.all_findings == ()
    read = Parameters.from_header(found.require_header())
    expected = replace(parameters, digest=read.digest, keyslots_size=read.keyslots_size)
    assert replace(read, tokens=parameters.tokens) == expected
    assert unlock(BytesReader(image), found.require_header(), OLD).keyslot == keyslot


def test_a_detached_header_has_room_for_many_keyslots():
    header = inspect(BytesReader(create(replace(LUKS2, data_offset=0)))).require_header()
    assert header.areas_end == DETACHED_BYTES


WRONG = [
    (replace(LUKS2, header_size=10_000), "no 10000 bytes"),
    (replace(LUKS1, sector_size=4096), "LUKS1 has sectors of 512 bytes"),
    (replace(LUKS1, iv_tweak=8), "no IV offset"),
    (replace(LUKS1, data_offset=4096), "the data begin at 4096"),
]


@pytest.mark.parametrize(("parameters", "why"), WRONG)
def test_what_fits_no_header_is_refused(parameters, why):
    with pytest.raises(ValueError, match=why):
        create(parameters, CHEAP_PBKDF2)


def test_a_header_without_encrypted_data_has_no_parameters():
    def linear(document):
        document["segments"]["0"] = {"type": "linear", "offset": "1048576", "size": "dynamic"}

    header = inspect(BytesReader(with_document(luks2_image(), linear))).require_header()
    with pytest.raises(ValueError, match="no encrypted data"):
        Parameters.from_header(header)


def test_a_keyslot_without_an_area_cannot_be_sealed():
    keyslot = inspect(BytesReader(luks1_image())).require_header().keyslots[0]
    with pytest.raises(ValueError, match="AF and an area"):
        seal_keyslot(replace(keyslot, area=None), OLD, KEY, seeded_bytes())


FIELDS = (Field("name", 0, 8, "text"), Field("magic", 8, 4, "bytes"))


def test_fields_are_read_and_written_at_their_places():
    out = bytearray(b"?" * 14)
    pack_into(FIELDS, {"name": "abc\udcff", "magic": b"1234"}, out)
    assert out == b"abc\xff" + bytes(4) + b"1234??"
    assert unpack(FIELDS, out) == {"name": "abc\udcff", "magic": b"1234"}
    with pytest.raises(DamagedInput, match="12 bytes of header are needed, 11 are there"):
        unpack(FIELDS, out[:11])


@pytest.mark.parametrize("values", [{"name": "eight888", "magic": b"1234"}, {"name": "x", "magic": b"123"}])
def test_what_does_not_fit_its_field_is_never_written(values):
    with pytest.raises(ValueError, match=r"fit|bytes"):
        pack_into(FIELDS, values, bytearray(14))


def test_a_json_area_of_another_size_is_not_sealed():
    binary = BinaryHeader.parse(luks2_image())
    with pytest.raises(ValueError, match="the JSON area has 5 bytes"):
        seal(binary, b"12345")
