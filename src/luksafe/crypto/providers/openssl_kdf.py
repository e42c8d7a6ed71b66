"""Key derivation by OpenSSL through ``cryptography``: the fastest PBKDF2 there is here, and Argon2 with threads."""

from __future__ import annotations

from typing import Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes as openssl_hashes
from cryptography.hazmat.primitives.kdf.argon2 import Argon2i, Argon2id
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from luksafe.errors import Unsupported

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


def argon2(
    kind: Literal["argon2i", "argon2id"],
    passphrase: memoryview,
    salt: bytes,
    time: int,
    memory_kib: int,
    lanes: int,
    length: int,
) -> bytearray:
    """Argon2, one thread for each lane. Raises MemoryError, and Unsupported when this OpenSSL does not have it."""
    algorithm = Argon2i if kind == "argon2i" else Argon2id
    derived = bytearray(length)
    try:
        algorithm(salt=salt, length=length, iterations=time, lanes=lanes, memory_cost=memory_kib).derive_into(
            passphrase,  # type: ignore[arg-type]  # any buffer will do
            derived,
        )
    except UnsupportedAlgorithm:
        raise Unsupported(
            f"the OpenSSL under Python's cryptography package has no {kind}",
            hint="Install the package from PyPI, which brings its own OpenSSL (3.2 or later has Argon2).",
        ) from None
    return derived
