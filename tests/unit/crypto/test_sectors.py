"""Sector ciphers follow dm-crypt: what they refuse, how they count, and against other implementations."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from dissect.fve.crypto import create_cipher

from luksafe.crypto import sectors
from luksafe.crypto.iv import iv_generator
from luksafe.crypto.providers import gcrypt
from luksafe.crypto.sectors import sector_cipher
from luksafe.crypto.spec import CipherSpec
from luksafe.errors import DamagedInput, Unsupported
from luksafe.secret import SecretBytes

KEY = bytes(range(1, 65))
needs_gcrypt = pytest.mark.skipif(gcrypt.library() is None, reason="libgcrypt is not installed")


@pytest.mark.parametrize("sector_size", [512, 1024, 2048, 4096])
@pytest.mark.parametrize("key_size", [32, 64])
def test_xts_against_openssl_sector_by_sector(sector_size: int, key_size: int) -> None:
    first = (1 << 41) + 8
    data = os.urandom(64 * sector_size)
    expected = b""
    for at in range(0, len(data), sector_size):
        iv = (first + at // 512).to_bytes(16, "little")
        decryptor = Cipher(algorithms.AES(KEY[:key_size]), modes.XTS(iv)).decryptor()
        expected += decryptor.update(data[at : at + sector_size])
    cipher = sector_cipher("aes-xts-plain64", SecretBytes(KEY[:key_size]), sector_size=sector_size)
    assert cipher.sector_size == sector_size
    assert cipher.decrypt(data, first) == expected
    assert cipher.encrypt(expected, first) == data


@pytest.mark.parametrize(
    ("encryption", "dissect_spec", "key_size"),
    [
        ("aes-xts-plain64", "aes-xts-512-plain64", 64),
        ("aes-xts-plain", "aes-xts-512-plain", 64),
        ("aes-cbc-plain", "aes-cbc-256-plain", 32),
        ("aes-cbc-plain64", "aes-cbc-128-plain64", 16),
        ("aes-cbc-essiv:sha256", "aes-cbc-256-essiv:sha256", 32),
    ],
)
@pytest.mark.parametrize("sector_size", [512, 4096])
def test_against_dissect(encryption: str, dissect_spec: str, key_size: int, sector_size: int) -> None:
    data = os.urandom(8 * 4096)
    oracle = create_cipher(dissect_spec, KEY[:key_size], sector_size=sector_size, iv_sector_size=512)
    cipher = sector_cipher(encryption, SecretBytes(KEY[:key_size]), sector_size=sector_size)
    for first in (0, 8, 2**31):
        assert cipher.decrypt(data, first) == oracle.decrypt(data, first)


def gcrypt_xts(number: int, key: bytes, data: bytes, iv: bytes) -> bytes:
    lib = gcrypt.library()
    assert lib is not None
    handle, out = ctypes.c_void_p(), ctypes.create_string_buffer(data, len(data))
    assert not lib.gcry_cipher_open(ctypes.byref(handle), number, 13, 0)
    assert not lib.gcry_cipher_setkey(handle, key, len(key))
    assert not lib.gcry_cipher_setiv(handle, iv, len(iv))
    assert not lib.gcry_cipher_decrypt(handle, out, len(data), None, 0)
    lib.gcry_cipher_close(handle)
    return out.raw


@needs_gcrypt
@pytest.mark.parametrize(
    ("cipher", "number", "key_size"),
    [("serpent", 306, 64), ("serpent", 304, 32), ("twofish", 10, 64), ("twofish", 303, 32), ("camellia", 312, 64)],
)
def test_xts_against_libgcrypt(cipher: str, number: int, key_size: int) -> None:
    data = os.urandom(1024)
    ours = sector_cipher(f"{cipher}-xts-plain64", SecretBytes(KEY[:key_size])).decrypt(data, 77)
    for at in (0, 512):
        iv = (77 + at // 512).to_bytes(16, "little")
        assert ours[at : at + 512] == gcrypt_xts(number, KEY[:key_size], data[at : at + 512], iv)


@pytest.mark.parametrize("sector_size", [512, 4096])
def test_large_sectors_count_themselves(sector_size: int) -> None:
    data = os.urandom(4 * sector_size)
    by_512 = sector_cipher("aes-xts-plain64", SecretBytes(KEY), sector_size=sector_size)
    by_sector = sector_cipher("aes-xts-plain64", SecretBytes(KEY), sector_size=sector_size, iv_large_sectors=True)
    ratio = sector_size // 512
    assert by_512.decrypt(data[:sector_size], 5) == by_sector.decrypt(data[:sector_size], 5 * ratio)
    second = data[sector_size : 2 * sector_size]
    assert by_sector.decrypt(data, 0)[sector_size : 2 * sector_size] == by_512.decrypt(second, 1)


def test_plain_wraps_at_32_bits_and_plain64_does_not() -> None:
    data = os.urandom(512)
    plain = sector_cipher("aes-cbc-plain", SecretBytes(KEY[:32]))
    plain64 = sector_cipher("aes-cbc-plain64", SecretBytes(KEY[:32]))
    assert plain.decrypt(data, 2**32 + 5) == plain.decrypt(data, 5) == plain64.decrypt(data, 5)
    assert plain64.decrypt(data, 2**32 + 5) != plain64.decrypt(data, 5)
    assert plain64.decrypt(data, 2**64 + 5) == plain64.decrypt(data, 5)


@pytest.mark.parametrize(
    ("encryption", "iv_size", "ivs"),
    [
        ("aes-cbc-plain", 16, ["ffffffff" + "0" * 24, "0" * 32]),
        ("aes-cbc-plain64", 16, ["ffffffff" + "0" * 24, "00000000" + "01" + "0" * 22]),
        ("aes-cbc-plain64be", 16, ["0" * 24 + "ffffffff", "0" * 22 + "0100000000"]),
        ("aes-lrw-benbi", 16, ["0" * 16 + "0000001fffffffe1", "0" * 16 + "0000002000000001"]),
        ("cast5-cbc-benbi", 8, ["0000003fffffffc1", "0000004000000001"]),
        ("cast5-cbc-plain64", 8, ["ffffffff00000000", "0000000001000000"]),
        ("aes-cbc-null", 16, ["0" * 32, "0" * 32]),
    ],
)
def test_ivs_of_dm_crypt(encryption: str, iv_size: int, ivs: list[str]) -> None:
    generator = iv_generator(CipherSpec.parse(encryption), KEY[:32], iv_size, 0)
    assert generator.ivs(range(2**32 - 1, 2**32 + 1)).hex() == "".join(ivs)


def test_keys_of_equal_halves_are_taken_as_the_kernel_takes_them() -> None:
    data = os.urandom(1024)
    cipher = sector_cipher("aes-xts-plain64", SecretBytes(bytes(32) * 2))
    assert cipher.decrypt(cipher.encrypt(data, 9), 9) == data != cipher.encrypt(data, 9)


def test_the_key_may_be_wiped_once_the_cipher_is_made() -> None:
    data = os.urandom(256 << 10)
    for encryption, size in (("aes-xts-plain64", 64), ("aes-cbc-essiv:sha256", 32), ("aes-lrw-benbi", 48)):
        expected = sector_cipher(encryption, SecretBytes(KEY[:size])).decrypt(data, 3)
        key = SecretBytes(KEY[:size])
        cipher = sector_cipher(encryption, key)
        key.wipe()
        out = bytearray(len(data))
        cipher.decrypt_into(data, memoryview(out), 3)
        assert cipher.decrypt(data[:4096], 3) == expected[:4096]
        assert out == expected


def test_arrays_are_taken_as_they_are() -> None:
    data = np.frombuffer(os.urandom(128 << 10), np.uint64)
    for encryption, size in (("aes-xts-plain64", 64), ("aes-lrw-benbi", 48), ("cipher_null-ecb", 0)):
        cipher, out = sector_cipher(encryption, SecretBytes(KEY[:size])), np.zeros_like(data)
        cipher.decrypt_into(data.data, out.data, 3)
        assert out.tobytes() == cipher.decrypt(data.tobytes(), 3)


def test_cipher_null_copies() -> None:
    cipher = sector_cipher("cipher_null-ecb", SecretBytes(b""), sector_size=4096)
    out = bytearray(4096)
    cipher.decrypt_into(KEY * 64, memoryview(out), 0)
    assert out == cipher.decrypt(KEY * 64, 1) == cipher.encrypt(KEY * 64, 2) == KEY * 64
    assert cipher.sector_size == 4096


def test_ecb_takes_no_iv() -> None:
    data = os.urandom(1024)
    cipher = sector_cipher("aes-ecb-plain64", SecretBytes(KEY[:32]))
    assert cipher.decrypt(data, 1) == cipher.decrypt(data, 2)
    assert cipher.encrypt(cipher.decrypt(data, 0), 7) == data


@pytest.mark.parametrize(
    ("encryption", "key_size", "what"),
    [
        ("aes-xxx-plain64", 32, "chaining mode 'xxx'"),
        ("aes-gcm-plain64", 32, "chaining mode 'gcm'"),
        ("ces-xts-plain64", 64, "cipher 'ces'"),
        ("aes-cbc-lmk:sha256", 32, "loop-AES"),
        ("aes:64-cbc-lmk", 32, "loop-AES"),
        ("aes-cbc-tcw", 32, "TrueCrypt"),
        ("aes-cbc-eboiv", 32, "BitLocker"),
        ("aes-cbc-elephant", 32, "BitLocker"),
        ("aes-cbc-what", 32, "'what'"),
        ("chacha20-random", 32, "dm-integrity"),
        ("aes-gcm-random", 32, "dm-integrity"),
        ("aes-xts-random", 64, "dm-integrity"),
        ("cast5-xts-plain64", 32, "16-byte blocks"),
        ("cast5-lrw-benbi", 32, "16-byte blocks"),
        ("aes-adiantum-plain64", 32, "xchacha12 or xchacha20"),
        ("xchacha20-adiantum-plain64", 32, "xchacha12 or xchacha20"),
        ("aes-cbc-essiv:sha257", 32, "no hash function"),
    ],
)
def test_what_cannot_be_done_here_is_named(encryption: str, key_size: int, what: str) -> None:
    with pytest.raises(Unsupported, match=what) as caught:
        sector_cipher(encryption, SecretBytes(KEY[:key_size]))
    assert caught.value.hint


@pytest.mark.parametrize(
    ("encryption", "key_size"),
    [
        ("aes-xts-plain64", 63),
        ("aes-xts-plain64", 16),
        ("aes-cbc-plain64", 31),
        ("aes-lrw-benbi", 8),
        ("aes-lrw-benbi", 32 + 15),
        ("serpent-cbc-plain64", 17),
        ("xchacha20,aes-adiantum-plain64", 64),
        ("aes-cbc-essiv:sha1", 32),
    ],
)
def test_keys_that_do_not_fit(encryption: str, key_size: int) -> None:
    with pytest.raises(DamagedInput, match="key"):
        sector_cipher(encryption, SecretBytes(KEY[:key_size]))


@pytest.mark.parametrize("sector_size", [0, 256, 1000, 8192, -512])
def test_sector_sizes_that_do_not_exist(sector_size: int) -> None:
    with pytest.raises(DamagedInput, match="sector"):
        sector_cipher("aes-xts-plain64", SecretBytes(KEY), sector_size=sector_size)


def test_parts_of_sectors_are_refused() -> None:
    cipher = sector_cipher("aes-xts-plain64", SecretBytes(KEY))
    with pytest.raises(ValueError, match="whole sectors"):
        cipher.decrypt(bytes(513), 0)
    with pytest.raises(ValueError, match="whole sectors"):
        cipher.decrypt_into(bytes(512), memoryview(bytearray(1024)), 0)
    with pytest.raises(ValueError, match="whole sectors"):
        cipher.encrypt(bytes(100), 0)


def test_nothing_gives_nothing() -> None:
    for encryption, size in (("aes-xts-plain64", 64), ("aes-ecb", 32), ("cipher_null-ecb", 0)):
        assert sector_cipher(encryption, SecretBytes(KEY[:size])).decrypt(b"", 0) == b""


def test_libraries_are_imported_where_they_are_needed() -> None:
    program = (
        "import sys, luksafe.crypto.kdf\n"
        "from luksafe.crypto.sectors import sector_cipher\n"
        "from luksafe.secret import SecretBytes\n"
        "print('cryptography' in sys.modules)\n"
        "sector_cipher('aes-xts-plain64', SecretBytes(bytes(64))).decrypt(bytes(256 << 10), 0)\n"
        "print('numpy' in sys.modules)\n"
        "sector_cipher('aes-xts-plain64', SecretBytes(bytes(64))).decrypt(bytes(4 << 20), 0)\n"
        "print('numpy' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "True"]


def test_on_a_big_endian_machine_the_bulk_path_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    data = os.urandom(128 << 10)
    expected = sector_cipher("aes-xts-plain64", SecretBytes(KEY)).decrypt(data, 3)
    monkeypatch.setattr(sectors, "_HAS_BULK", False)
    cipher = sector_cipher("aes-xts-plain64", SecretBytes(KEY))
    out = bytearray(len(data))
    cipher.decrypt_into(data, memoryview(out), 3)
    assert out == expected
    assert cipher._bulk is None  # type: ignore[attr-defined]
