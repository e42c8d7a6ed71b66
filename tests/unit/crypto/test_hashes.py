"""Hashes by LUKS' names give the published digests, whichever library has them."""

from __future__ import annotations

import hashlib

import pytest

from luksafe.crypto import hashes
from luksafe.crypto.providers import gcrypt
from luksafe.errors import Unsupported

ABC = {
    "md4": "a448017aaf21d8525fc10ae87aa6729d",
    "md5": "900150983cd24fb0d6963f7d28e17f72",
    "sha1": "a9993e364706816aba3e25717850c26c9cd0d89d",
    "sha224": "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
    "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    "ripemd160": "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc",
    "sha512-224": "4634270f707b6a54daae7530460842e20e37ed265ceee9a43e8924aa",
    "sha512-256": "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23",
    "sha3-256": "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
    "sm3": "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0",
    "blake2s-256": "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982",
    "whirlpool": "4e2448a4c6f486bb16b6562c73b4020bf3043e3a731bce721ae1b303d97e6d4c"
    "7181eebdb6c57e277d0e34957114cbd6c797fc9d95d8b582d225292076d4eef5",
    "blake2b-512": "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
    "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923",
}
"""Published digests of "abc" (RFC 1320, 1321, 3174, 6234, 7693, FIPS 180-4 and 202, GB/T 32905, ISO 10118-3)."""

needs_gcrypt = pytest.mark.skipif(gcrypt.library() is None, reason="libgcrypt is not installed")


@pytest.mark.parametrize("name", ABC)
def test_published_digests(name: str) -> None:
    assert hashes.new_hash(name)(b"abc").digest().hex() == ABC[name]
    assert hashes.digest_size(name) == len(ABC[name]) // 2


@needs_gcrypt
@pytest.mark.parametrize("name", hashes.known_hashes())
def test_every_known_hash_is_here_and_takes_its_input_in_pieces(name: str) -> None:
    pieces = hashes.new_hash(name)(b"one")
    pieces.update(memoryview(b" and "))
    pieces.update(bytearray(b"two"))
    digest = pieces.digest()
    assert digest == hashes.new_hash(name)(b"one and two").digest()
    assert len(digest) == pieces.digest_size == hashes.digest_size(name)


@needs_gcrypt
@pytest.mark.parametrize("name", sorted(set(hashes.known_hashes()) & set(ABC)))
def test_libgcrypt_agrees_with_openssl(name: str) -> None:
    number = hashes.gcrypt_number(name)
    assert gcrypt.GcryptHash(number, b"abc").digest().hex() == ABC[name]


@needs_gcrypt
def test_stribog_of_the_standard() -> None:
    message = b"012345678901234567890123456789012345678901234567890123456789012"
    assert hashes.new_hash("stribog256")(message).digest().hex() == (
        "9d151eefd8590b89daa6ba6cb74af9275dd051026bb149a452fd84e5e57b5500"
    )


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("SHA256", "sha256"),
        ("Sha2-256", "sha256"),
        ("SHA-512", "sha512"),
        ("RIPEMD-160", "ripemd160"),
        ("rmd160", "ripemd160"),
        ("BLAKE2b512", "blake2b-512"),
        ("SHA3-512", "sha3-512"),
        ("sha512-256", "sha512-256"),
    ],
)
def test_spellings_that_cryptsetup_takes(spelling: str, name: str) -> None:
    assert hashes.canonical_name(spelling) == name
    assert hashes.digest_size(spelling) == hashes.digest_size(name)


def test_blake2_sizes_are_hashes_of_their_own() -> None:
    assert hashes.new_hash("blake2b-256")(b"x").digest() == hashlib.blake2b(b"x", digest_size=32).digest()


@needs_gcrypt
def test_a_hash_that_only_libgcrypt_knows_by_name() -> None:
    assert hashes.digest_size("tiger") == 24


@pytest.mark.parametrize("name", ["", "sha257", "sha256\0", "ſha256", "crc32", "shake128"])
def test_unknown_names(name: str) -> None:
    with pytest.raises(Unsupported, match="no hash function is called"):
        hashes.new_hash(name)


def test_a_hash_that_this_machine_lacks_says_what_would_provide_it(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes._factory.cache_clear()
    monkeypatch.setattr(gcrypt, "library", lambda: None)
    with pytest.raises(Unsupported, match="whirlpool") as caught:
        hashes.new_hash("whirlpool")
    assert "libgcrypt20" in caught.value.hint
    with pytest.raises(Unsupported, match="libgcrypt"):
        gcrypt.GcryptHash(305)
    monkeypatch.undo()
    hashes._factory.cache_clear()


@needs_gcrypt
def test_what_openssl_lacks_comes_from_libgcrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_here(name: str, data: bytes = b"") -> None:
        raise ValueError("unsupported hash type")

    hashes._factory.cache_clear()
    monkeypatch.setattr(hashlib, "new", none_here)
    assert hashes.new_hash("ripemd160")(b"abc").digest().hex() == ABC["ripemd160"]
    monkeypatch.undo()
    hashes._factory.cache_clear()
