"""PBKDF2 by OpenSSL through ``cryptography``: the fastest there is here."""

from __future__ import annotations

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes as openssl_hashes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

_OPENSSL_HASHES: dict[str, openssl_hashes.HashAlgorithm] = {
    "sha1": openssl_hashes.SHA1(),  # noqa: S303  # LUKS1's old default
    "sha224": openssl_hashes.SHA224(),
    "sha256": openssl_hashes.SHA256(),
    "sha384": openssl_hashes.SHA384(),
    "sha512": openssl_hashes.SHA512(),
    "sha512-224": openssl_hashes.SHA512_224(),
    "sha512-256": openssl_hashes.SHA512_256(),
    "sha3-224": openssl_hashes.SHA3_224(),
    "sha3-256": openssl_hashes.SHA3_256(),
    "sha3-384": openssl_hashes.SHA3_384(),
    "sha3-512": openssl_hashes.SHA3_512(),
    "blake2b-512": openssl_hashes.BLAKE2b(64),
    "blake2s-256": openssl_hashes.BLAKE2s(32),
    "sm3": openssl_hashes.SM3(),
}


def pbkdf2(name: str, passphrase: memoryview, salt: bytes, iterations: int, length: int) -> bytearray | None:
    """PBKDF2 with HMAC of that hash; None when this OpenSSL does not have it."""
    algorithm = _OPENSSL_HASHES.get(name)
    if algorithm is None:
        return None
    derived = bytearray(length)
    try:
        PBKDF2HMAC(algorithm, length, salt, iterations).derive_into(passphrase, derived)
    except UnsupportedAlgorithm:
        return None
    return derived
