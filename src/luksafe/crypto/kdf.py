"""Passphrase to key: PBKDF2 (RFC 8018) and Argon2 (RFC 9106), as LUKS keyslots and digests use them."""

from __future__ import annotations

import hashlib
from typing import Literal

from luksafe.crypto.hashes import canonical_name, gcrypt_number, new_hash
from luksafe.crypto.kdf_limits import KdfLimits, available_memory_kib, out_of_memory
from luksafe.crypto.stoppable import run_stoppable
from luksafe.errors import DamagedInput, Unsupported
from luksafe.secret import SecretBytes

__all__ = ["KdfLimits", "argon2", "available_memory_kib", "pbkdf2"]

_MOST_ITERATIONS = 2**31 - 1
"""OpenSSL counts with a C int, cryptsetup's too: more have never been derived."""
_MOST_LANES = 64
"""Each lane is a thread. cryptsetup makes at most four."""
_LONG_ITERATIONS, _LONG_KIB_PASSES = 1_000_000, 1 << 20
"""About half a second: what takes longer can be stopped."""
_LEAST_SALT_BYTES = 8
_LEAST_OUTPUT_BYTES = 4
_MOST_OUTPUT_BYTES = 4096
"""No key of a keyslot area or volume is anywhere near."""
_DEFAULT = KdfLimits()
_COMPARE = "The header is damaged: compare it with a backup, or look at it with luksafe diagnose."


def pbkdf2(
    hash_name: str, passphrase: SecretBytes, salt: bytes, iterations: int, length: int, limits: KdfLimits = _DEFAULT
) -> SecretBytes:
    """``length`` bytes of PBKDF2-HMAC. Raises Refused beyond the limits, Unsupported for a hash that is not here."""
    limits.check_pbkdf2(iterations)
    if not 1 <= iterations <= _MOST_ITERATIONS or not 1 <= length <= _MOST_OUTPUT_BYTES:
        raise DamagedInput(
            f"PBKDF2 with {iterations} iterations for {length} bytes: a keyslot cannot have this", hint=_COMPARE
        )
    name = canonical_name(hash_name)
    new_hash(name)  # the error for a hash that is unknown or not here
    for derive in (_pbkdf2_openssl, _pbkdf2_hashlib, _pbkdf2_gcrypt):
        if iterations > _LONG_ITERATIONS:
            derived = run_stoppable(derive, name, passphrase.view, salt, iterations, length)
        else:
            derived = derive(name, passphrase.view, salt, iterations, length)
        if derived is not None:
            return SecretBytes.take(derived)
    raise Unsupported(
        f"PBKDF2 with {name} needs libgcrypt, which is not installed here or too old",
        hint="Install it (Debian and Ubuntu: libgcrypt20; Fedora: libgcrypt) and run the command again.",
    )


def argon2(
    kind: Literal["argon2i", "argon2id"],
    passphrase: SecretBytes,
    salt: bytes,
    *,
    time: int,
    memory_kib: int,
    lanes: int,
    length: int,
    limits: KdfLimits = _DEFAULT,
) -> SecretBytes:
    """``length`` bytes of Argon2, one thread per lane. Raises Refused beyond the limits, Unsupported (code
    ``out-of-memory``) when the machine cannot give the memory, DamagedInput for what RFC 9106 rules out."""
    _check_argon2(salt, time, memory_kib, lanes, length)
    limits.check_argon2(time, memory_kib)
    from luksafe.crypto.providers import argon2_reference

    try:
        derive = argon2_reference.argon2
        if time * memory_kib > _LONG_KIB_PASSES:
            derived = run_stoppable(derive, kind, passphrase.view, salt, time, memory_kib, lanes, length)
        else:
            derived = derive(kind, passphrase.view, salt, time, memory_kib, lanes, length)
        return SecretBytes.take(derived)
    except MemoryError:
        raise out_of_memory(memory_kib, limits.available_memory_kib) from None


def _check_argon2(salt: bytes, time: int, memory_kib: int, lanes: int, length: int) -> None:
    """What RFC 9106 (section 3.1) rules out, cryptsetup's library too: no keyslot that ever opened has it."""
    for wrong, what in (
        (not 1 <= time < 2**32, f"{time} passes"),
        (not 1 <= lanes <= _MOST_LANES, f"{lanes} lanes"),
        (memory_kib < 8 * lanes, f"{memory_kib} KiB of memory for {lanes} lanes"),
        (memory_kib >= 2**32, f"{memory_kib} KiB of memory"),
        (len(salt) < _LEAST_SALT_BYTES, f"a salt of {len(salt)} bytes"),
        (not _LEAST_OUTPUT_BYTES <= length <= _MOST_OUTPUT_BYTES, f"{length} bytes of output"),
    ):
        if wrong:
            raise DamagedInput(f"Argon2 with {what}: a keyslot cannot have this", hint=_COMPARE)


def _pbkdf2_openssl(name: str, passphrase: memoryview, salt: bytes, iterations: int, length: int) -> bytearray | None:
    """The fastest: ``cryptography`` brings an OpenSSL newer than Python's."""
    from luksafe.crypto.providers import openssl_kdf

    return openssl_kdf.pbkdf2(name, passphrase, salt, iterations, length)


def _pbkdf2_hashlib(name: str, passphrase: memoryview, salt: bytes, iterations: int, length: int) -> bytearray | None:
    try:
        return bytearray(hashlib.pbkdf2_hmac(name, passphrase, salt, iterations, length))
    except ValueError:
        return None


def _pbkdf2_gcrypt(name: str, passphrase: memoryview, salt: bytes, iterations: int, length: int) -> bytearray | None:
    from luksafe.crypto.providers import gcrypt

    number = gcrypt_number(name)
    return gcrypt.pbkdf2(number, passphrase, salt, iterations, length) if number else None
