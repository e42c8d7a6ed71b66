"""Block ciphers of OpenSSL through ``cryptography``: AES, and the old ones that its build still carries."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm, Cipher, CipherContext, algorithms, modes

from luksafe.crypto.block_cipher import Buffer


class OpensslCipher:
    """A block cipher in ECB; the key schedules live in OpenSSL, which wipes them when this object goes."""

    def __init__(self, algorithm: BlockCipherAlgorithm) -> None:
        ecb = Cipher(algorithm, modes.ECB())  # noqa: S305  # the modes are built on top of this
        decryptor = ecb.decryptor()
        self.block_size = algorithm.block_size // 8
        self.encrypt: Callable[[Buffer], bytes] = ecb.encryptor().update
        self.decrypt: Callable[[Buffer], bytes] = decryptor.update
        self._chain = _Chain(decryptor, self.block_size)

    def decrypt_into(self, source: memoryview, target: memoryview) -> None:
        """Decrypt many blocks into ``target``."""
        self._chain(source, target)


class _Chain:
    """``update_into`` wants room for one block more than it fills, so the last block goes another way."""

    def __init__(self, context: CipherContext, block_size: int) -> None:
        self._context, self._block_size = context, block_size

    def __call__(self, source: memoryview, target: memoryview) -> None:
        body = len(source) - self._block_size
        self._context.update_into(source[:body], target)
        target[body:] = self._context.update(source[body:])


@cache
def _old_algorithms() -> dict[str, Any]:
    """The old ciphers by kernel name. Where they live depends on the release of ``cryptography``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from cryptography.hazmat.decrepit.ciphers import algorithms as decrepit

        found = {
            "sm4": getattr(algorithms, "SM4", None),
            "camellia": getattr(decrepit, "Camellia", None) or getattr(algorithms, "Camellia", None),
            "cast5": getattr(decrepit, "CAST5", None),
            "blowfish": getattr(decrepit, "Blowfish", None),
            "seed": getattr(decrepit, "SEED", None),
            "des3_ede": getattr(decrepit, "TripleDES", None),
        }
    return {name: algorithm for name, algorithm in found.items() if algorithm is not None}


def has_cipher(name: str, key_size: int) -> bool:
    """Whether this OpenSSL has the cipher with such a key."""
    return _usable(name, key_size)


def block_cipher(name: str, key: Buffer) -> OpensslCipher:
    """The keyed cipher, which must be there."""
    return OpensslCipher(_algorithm(name)(key))


def cbc_chain(name: str, key: Buffer) -> _Chain:
    """A CBC decryption under that key, with an IV of zero."""
    algorithm = _algorithm(name)(key)
    block_size = algorithm.block_size // 8
    return _Chain(Cipher(algorithm, modes.CBC(bytes(block_size))).decryptor(), block_size)


def _algorithm(name: str) -> Any:
    return algorithms.AES if name == "aes" else _old_algorithms().get(name)


@cache
def _usable(name: str, key_size: int) -> bool:
    """Try it: which ciphers a build of OpenSSL still carries is known to itself alone."""
    algorithm = _algorithm(name)
    if algorithm is None:
        return False
    try:
        OpensslCipher(algorithm(bytes(range(key_size))))
    except (UnsupportedAlgorithm, ValueError):
        return False
    return True
