"""Every block cipher from every library that has it gives the same bytes; what no library has is named."""

from __future__ import annotations

import os

import pytest
from Crypto.Cipher import AES, CAST, DES3, Blowfish

from luksafe.crypto import provider
from luksafe.crypto.provider import KEY_SIZES, block_cipher, cbc_chain
from luksafe.crypto.providers import gcrypt, gcrypt_ciphers, openssl
from luksafe.errors import DamagedInput, Unsupported

# No parity and no order, so that the halves of a triple DES key differ.
KEY = bytes((37 * i + 11) % 256 for i in range(56))
ALL = [(name, size) for name, sizes in KEY_SIZES.items() for size in sorted(sizes)]
needs_gcrypt = pytest.mark.skipif(gcrypt.library() is None, reason="libgcrypt is not installed")


@pytest.mark.parametrize(("name", "key_size"), ALL)
def test_what_both_libraries_have_they_do_alike(name: str, key_size: int) -> None:
    have = [each for each in (openssl, gcrypt_ciphers) if each.has_cipher(name, key_size)]
    if not have:
        pytest.skip(f"no library here has {name} with keys of {key_size} bytes")
    key, data = KEY[:key_size], os.urandom(4096)
    plaintexts, ciphertexts, chained, into = set(), set(), set(), set()
    for library in have:
        cipher = library.block_cipher(name, key)
        assert cipher.encrypt(cipher.decrypt(data)) == data
        plaintexts.add(cipher.decrypt(data))
        ciphertexts.add(cipher.encrypt(memoryview(data)))
        out = bytearray(len(data))
        cipher.decrypt_into(memoryview(data), memoryview(out))
        into.add(bytes(out))
        chain = library.cbc_chain(name, key)
        chain(memoryview(data)[:1024], memoryview(out)[:1024])
        chain(memoryview(data)[1024:], memoryview(out)[1024:])
        chained.add(bytes(out))
    assert len(plaintexts) == len(ciphertexts) == len(chained) == 1
    assert into == plaintexts


@pytest.mark.parametrize(
    ("name", "module", "key_size"),
    [("aes", AES, 32), ("aes", AES, 24), ("cast5", CAST, 16), ("cast5", CAST, 5), ("blowfish", Blowfish, 16)],
)
def test_against_pycryptodome(name: str, module: object, key_size: int) -> None:
    data = os.urandom(256)
    oracle = module.new(KEY[:key_size], module.MODE_ECB)  # type: ignore[attr-defined]
    assert block_cipher(name, KEY[:key_size]).decrypt(data) == oracle.decrypt(data)
    oracle = module.new(KEY[:key_size], module.MODE_CBC, bytes(module.block_size))  # type: ignore[attr-defined]
    out = bytearray(256)
    cbc_chain(name, KEY[:key_size])(memoryview(data), memoryview(out))
    assert out == oracle.decrypt(data)


def test_triple_des_against_pycryptodome() -> None:
    data = os.urandom(256)
    assert block_cipher("des3_ede", KEY[:24]).decrypt(data) == DES3.new(KEY[:24], DES3.MODE_ECB).decrypt(data)


@needs_gcrypt
@pytest.mark.parametrize(
    ("name", "key", "plaintext", "ciphertext"),
    [
        ("serpent", "80" + "00" * 15, "00" * 16, "264e5481eff42a4606abda06c0bfda3d"),
        ("serpent", "80" + "00" * 31, "00" * 16, "a223aa1288463c0e2be38ebd825616c0"),
        ("twofish", "00" * 16, "00" * 16, "9f589f5cf6122c32b6bfec2f2ae8c35a"),
        (
            "twofish",
            "0123456789abcdeffedcba987654321000112233445566778899aabbccddeeff",
            "00" * 16,
            "37527be0052334b89f0cfccae87cfa20",
        ),
        (
            "camellia",
            "0123456789abcdeffedcba98765432100011223344556677" + "8899aabbccddeeff",
            "0123456789abcdeffedcba9876543210",
            "9acc237dff16d76c20ef7c919e3a7509",
        ),
        (
            "sm4",
            "0123456789abcdeffedcba9876543210",
            "0123456789abcdeffedcba9876543210",
            "681edf34d206965e86b3e94f536e4246",
        ),
        ("cast5", "0123456712345678234567893456789a", "0123456789abcdef", "238b4fe5847e44b2"),
    ],
)
def test_published_vectors(name: str, key: str, plaintext: str, ciphertext: str) -> None:
    cipher = block_cipher(name, bytes.fromhex(key))
    assert cipher.encrypt(bytes.fromhex(plaintext)).hex() == ciphertext
    assert cipher.decrypt(bytes.fromhex(ciphertext)).hex() == plaintext
    assert cipher.block_size == len(plaintext) // 2


@needs_gcrypt
def test_serpent_and_twofish_are_here() -> None:
    for name in ("serpent", "twofish"):
        assert provider._provider(name, KEY[:32]) is gcrypt_ciphers


def test_without_libgcrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gcrypt, "library", lambda: None)
    monkeypatch.setattr(gcrypt_ciphers, "library", lambda: None)
    with pytest.raises(Unsupported, match="serpent needs libgcrypt") as caught:
        block_cipher("serpent", KEY[:32])
    assert "libgcrypt20" in caught.value.hint
    with pytest.raises(Unsupported, match="libgcrypt"):
        gcrypt.need("this")
    assert provider._provider("aes", KEY[:32]) is openssl


@needs_gcrypt
def test_a_key_size_that_nothing_here_has() -> None:
    with pytest.raises(Unsupported, match="twofish with a key of 192 bits"):
        block_cipher("twofish", KEY[:24])


def test_names_and_key_sizes_that_do_not_exist() -> None:
    with pytest.raises(Unsupported, match="'rot13'"):
        block_cipher("rot13", KEY[:16])
    with pytest.raises(DamagedInput, match="no key of 136 bits"):
        block_cipher("aes", KEY[:17])


@needs_gcrypt
def test_libgcrypt_refusals_are_errors_of_ours() -> None:
    lib = gcrypt.library()
    assert lib is not None
    with pytest.raises(Unsupported, match="libgcrypt refused"):
        gcrypt.check(lib, 4)


class Old:
    """A libgcrypt of another age."""

    def __init__(self, missing: str, version: bytes | None) -> None:
        self._missing, self._version = missing, version

    def __getattr__(self, name: str) -> object:
        if name == self._missing:
            raise AttributeError(name)
        return lambda *_: self._version


@pytest.mark.parametrize(("missing", "version"), [("gcry_kdf_derive", b"1.2.0"), ("", None)])
def test_too_old_a_libgcrypt_counts_as_none(monkeypatch: pytest.MonkeyPatch, missing: str, version: bytes) -> None:
    assert not gcrypt._initialise(Old(missing, version))  # type: ignore[arg-type]


def test_no_libgcrypt_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    gcrypt.library.cache_clear()
    monkeypatch.setattr(gcrypt, "_LIBRARY", "libgcrypt-that-is-not-there.so")
    assert gcrypt.library() is None
    assert gcrypt.hash_number("sha256") == 0
    gcrypt.library.cache_clear()


def test_an_openssl_without_the_old_ciphers(monkeypatch: pytest.MonkeyPatch) -> None:
    openssl._usable.cache_clear()
    monkeypatch.setattr(openssl, "_old_algorithms", dict)
    assert not openssl.has_cipher("cast5", 16)
    openssl._usable.cache_clear()
