"""Block ciphers of OpenSSL through ``cryptography``: AES, and the old ones that its build still carries."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm, Cipher, algorithms, modes

from luksafe.crypto.provider import Buffer


class OpensslCipher:
    """A block cipher in ECB; the key schedules live in OpenSSL, which wipes them when this object goes."""

    def __init__(self, algorithm: BlockCipherAlgorithm) -> None:
        ecb = Cipher(algorithm, modes.ECB())  # noqa: S305  # the modes are built on top of this
        encryptor, decryptor = ecb.encryptor(), ecb.decryptor()
        self.block_size = algorithm.block_size // 8
        self.encrypt: Callable[[Buffer], bytes] = encryptor.update
        self.decrypt: Callable[[Buffer], bytes] = decryptor.update
        self._encrypt_into = encryptor.update_into
        self._decrypt_into = decryptor.update_into

    def encrypt_into(self, source: Buffer, target: memoryview) -> None:
        """Encrypt whole blocks into ``target``, which has SPARE_BYTES more."""
        self._encrypt_into(source, target)

    def decrypt_into(self, source: Buffer, target: memoryview) -> None:
        """Decrypt whole blocks into ``target``, which has SPARE_BYTES more."""
        self._decrypt_into(source, target)


@cache
def _algorithms() -> dict[str, Any]:
    """The classes by kernel name. Where the old ciphers live depends on the release of ``cryptography``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from cryptography.hazmat.decrepit.ciphers import algorithms as decrepit

        found = {
            "aes": algorithms.AES,
            "sm4": getattr(algorithms, "SM4", None),
            "camellia": getattr(decrepit, "Camellia", None) or getattr(algorithms, "Camellia", None),
            "cast5": getattr(decrepit, "CAST5", None),
            "blowfish": getattr(decrepit, "Blowfish", None),
            "seed": getattr(decrepit, "SEED", None),
            "des3_ede": getattr(decrepit, "TripleDES", None),
        }
    return {name: algorithm for name, algorithm in found.items() if algorithm is not None}


def block_cipher(name: str, key: Buffer) -> OpensslCipher | None:
    """The keyed cipher, or None when this OpenSSL does not have it (or not with such a key)."""
    algorithm = _algorithms().get(name)
    if algorithm is None:
        return None
    try:
        return OpensslCipher(algorithm(key))
    except (UnsupportedAlgorithm, ValueError):
        return None
