"""Properties of sector ciphers: decrypting undoes encrypting, and the bulk path does what the small one does."""

from __future__ import annotations

import random
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luksafe.crypto import sectors
from luksafe.crypto.bulk import iv_array
from luksafe.crypto.iv import IvGenerator, IvLayout
from luksafe.crypto.providers import gcrypt
from luksafe.crypto.sectors import SectorCipher, sector_cipher
from luksafe.errors import LuksafeError
from luksafe.secret import SecretBytes

SPECS = {
    "aes-xts-plain64": 64,
    "aes-xts-plain": 32,
    "aes-xts-plain64be": 48,
    "aes-xts-essiv:sha256": 64,
    "aes-xts-null": 64,
    "aes-cbc-plain": 16,
    "aes-cbc-plain64": 24,
    "aes-cbc-plain64be": 32,
    "aes-cbc-essiv:sha256": 32,
    "aes-cbc-benbi": 32,
    "aes-cbc-null": 32,
    "aes-pcbc-plain64": 32,
    "aes-ctr-plain64be": 32,
    "aes-ecb": 32,
    "aes-lrw-benbi": 48,
    "aes-lrw-plain64": 32,
    "xchacha20,aes-adiantum-plain64": 32,
    "xchacha12,aes-adiantum-plain64": 32,
    "cast5-cbc-plain64": 16,
    "blowfish-cbc-benbi": 20,
    "des3_ede-cbc-plain64be": 24,
    "camellia-xts-plain64": 64,
    "sm4-cbc-plain64": 16,
}
GCRYPT_SPECS = {
    "serpent-xts-plain64": 64,
    "serpent-cbc-essiv:sha256": 32,
    "twofish-xts-plain64": 64,
    "twofish-cbc-plain": 32,
    "twofish-lrw-benbi": 32,
    "aes-xts-essiv:wp256": 64,
}
if gcrypt.library() is not None:
    SPECS |= GCRYPT_SPECS
WITH_BULK = [spec for spec in SPECS if "-xts-" in spec or "-cbc-" in spec]

specs = st.sampled_from(sorted(SPECS))
sizes = st.sampled_from([512, 1024, 2048, 4096])
firsts = st.one_of(
    st.integers(0, 100),
    st.integers(2**32 - 40, 2**32 + 40),
    st.integers(2**64 - 40, 2**64 - 1),
    st.integers(0, 2**64 - 1),
)


@cache
def cipher_of(spec: str, sector_size: int, large: bool) -> SectorCipher:
    key = random.Random(spec).randbytes(SPECS[spec])
    return sector_cipher(spec, SecretBytes(key), sector_size=sector_size, iv_large_sectors=large)


@settings(max_examples=150, deadline=None)
@given(spec=specs, sector_size=sizes, large=st.booleans(), first=firsts, count=st.integers(0, 20), seed=st.integers())
def test_decrypting_undoes_encrypting(
    spec: str, sector_size: int, large: bool, first: int, count: int, seed: int
) -> None:
    data = random.Random(seed).randbytes(count * sector_size)
    cipher = cipher_of(spec, sector_size, large)
    ciphertext = cipher.encrypt(data, first)
    assert cipher.decrypt(ciphertext, first) == data
    assert len(ciphertext) == len(data)
    assert ciphertext != data or not data


@settings(max_examples=60, deadline=None)
@given(spec=specs, sector_size=sizes, large=st.booleans(), first=firsts, count=st.integers(2, 20), cut=st.data())
def test_a_run_is_its_sectors_one_by_one(
    spec: str, sector_size: int, large: bool, first: int, count: int, cut: st.DataObject
) -> None:
    data = random.Random(count).randbytes(count * sector_size)
    at = cut.draw(st.integers(1, count - 1)) * sector_size
    cipher = cipher_of(spec, sector_size, large)
    rest = first + at // 512
    assert cipher.decrypt(data, first) == cipher.decrypt(data[:at], first) + cipher.decrypt(data[at:], rest)


@settings(max_examples=60, deadline=None)
@given(spec=st.sampled_from(WITH_BULK), sector_size=sizes, large=st.booleans(), first=firsts, more=st.integers(0, 1200))
def test_the_bulk_path_does_what_the_small_path_does(
    spec: str, sector_size: int, large: bool, first: int, more: int
) -> None:
    data = random.Random(more).randbytes(sectors._BULK_LEAST_BYTES + more // (sector_size // 512) * sector_size)
    cipher = cipher_of(spec, sector_size, large)
    small = bytearray(len(data))
    cipher._decrypt_into(data, memoryview(small), first, 1 << 60)  # type: ignore[attr-defined]
    # From an odd address, inside a larger buffer whose other bytes must stay.
    buffer = bytearray(len(data) + 2)
    cipher.decrypt_into(memoryview(b"x" + data)[1:], memoryview(buffer)[1:-1], first)
    assert buffer[1:-1] == small
    assert buffer[0] == buffer[-1] == 0


@settings(max_examples=100, deadline=None)
@given(
    layout=st.builds(
        IvLayout,
        size=st.sampled_from([8, 16, 32]),
        bits=st.sampled_from([0, 32, 64]),
        shift_right=st.integers(0, 3),
        shift_left=st.integers(0, 6),
        plus=st.integers(0, 1),
        big_endian=st.booleans(),
    ),
    first=firsts,
    count=st.integers(1, 40),
    step=st.sampled_from([1, 2, 4, 8]),
)
def test_iv_arrays_are_the_ivs_one_by_one(layout: IvLayout, first: int, count: int, step: int) -> None:
    generator = IvGenerator(layout)
    expected = generator.ivs(range(first, first + count * step, step))
    assert iv_array(generator, first, count, step).tobytes() == expected


PARTS = [
    "aes",
    "serpent",
    "xchacha20,aes",
    "cast5",
    "xts",
    "cbc",
    "ecb",
    "lrw",
    "adiantum",
    "plain64",
    "essiv",
    "benbi",
]
PARTS += ["sha256", "md5", "-", "-", "-", ":", "capi:", "(", ")", "random", "null", "\0", "64"]


@settings(max_examples=300, deadline=None)
@given(
    encryption=st.one_of(st.text(max_size=64), st.lists(st.sampled_from(PARTS), max_size=8).map("".join)),
    key=st.binary(max_size=80),
    sector_size=st.one_of(sizes, st.integers(-1, 1 << 20)),
)
def test_whatever_a_header_says_gives_a_cipher_or_an_error_of_ours(
    encryption: str, key: bytes, sector_size: int
) -> None:
    try:
        cipher = sector_cipher(encryption, SecretBytes(key), sector_size=sector_size)
    except LuksafeError as error:
        assert error.hint
        return
    assert len(cipher.decrypt(bytes(sector_size), 1)) == sector_size


@pytest.mark.parametrize("spec", WITH_BULK)
def test_bulk_is_taken_from_its_threshold_on(spec: str) -> None:
    cipher = sector_cipher(spec, SecretBytes(random.Random(1).randbytes(SPECS[spec])))
    out = bytearray(sectors._BULK_LEAST_BYTES)
    cipher.decrypt_into(bytes(len(out) - 512), memoryview(out)[512:], 0)
    assert cipher._bulk is None  # type: ignore[attr-defined]
    cipher.decrypt_into(bytes(len(out)), memoryview(out), 0)
    assert cipher._bulk is not None  # type: ignore[attr-defined]
