"""Block ciphers of libgcrypt: Serpent and Twofish, which OpenSSL lacks, and others that it runs much faster."""

from __future__ import annotations

import ctypes
from typing import Any

from luksafe.crypto.block_cipher import Buffer, CbcChain
from luksafe.crypto.lanes import xor
from luksafe.crypto.providers.gcrypt import address, check, lent, library, need

_GCRY_CIPHER_MODE_CFB = 2
_GCRY_CIPHER_MODE_CBC = 3

_CIPHERS: dict[tuple[str, int], int] = {
    ("serpent", 16): 304,
    ("serpent", 24): 305,
    ("serpent", 32): 306,
    ("twofish", 16): 303,
    ("twofish", 32): 10,
    ("camellia", 16): 310,
    ("camellia", 24): 311,
    ("camellia", 32): 312,
    ("aria", 16): 319,
    ("aria", 24): 320,
    ("aria", 32): 321,
    ("sm4", 16): 318,
    ("seed", 16): 309,
    ("cast5", 16): 3,
    ("blowfish", 16): 4,
    ("des3_ede", 24): 2,
}
"""libgcrypt's numbers (gcrypt.h, enum gcry_cipher_algos) by kernel name and key size in bytes."""


class GcryptCipher:
    """A block cipher on whole blocks, each for itself.

    For most ciphers libgcrypt handles several blocks at a time only where it decrypts in a chaining mode, so ECB is
    made of those: CBC gives D(C[j]) ^ C[j-1], and CFB gives E(C[j-1]) ^ C[j]; the XOR with what is known is undone.
    """

    def __init__(self, name: str, key: Buffer) -> None:
        self._cbc = _Mode(name, key, _GCRY_CIPHER_MODE_CBC)
        self._cfb = _Mode(name, key, _GCRY_CIPHER_MODE_CFB)
        self.block_size = self._cbc.block_size

    def encrypt(self, data: Buffer) -> bytes:
        """Encrypt whole blocks."""
        blocks = bytes(data)
        following = blocks[self.block_size :] + bytes(self.block_size)
        out = bytearray(following)
        self._cfb.begin(blocks[: self.block_size])
        self._cfb.decrypt(address(out), None, len(out))
        return xor(out, following)

    def decrypt(self, data: Buffer) -> bytes:
        """Decrypt whole blocks."""
        out = bytearray(data)
        self._cbc.begin(bytes(self.block_size))
        self._cbc.decrypt(address(out), None, len(out))
        return xor(out, bytes(self.block_size) + bytes(data[: -self.block_size]))

    def decrypt_into(self, source: memoryview, target: memoryview) -> None:
        """Decrypt many blocks into ``target``."""
        import numpy as np

        ciphertext, plaintext = np.frombuffer(source, np.uint64), np.frombuffer(target, np.uint64)
        self._cbc.begin(bytes(self.block_size))
        self._cbc.decrypt(plaintext.ctypes.data, ciphertext.ctypes.data, len(source))
        plaintext[self.block_size // 8 :] ^= ciphertext[: -self.block_size // 8]


class _Mode:
    """A cipher handle in one of libgcrypt's modes; libgcrypt wipes the key schedules when it goes."""

    def __init__(self, name: str, key: Buffer, mode: int) -> None:
        self._lib = need(f"the cipher {name}")
        self._handle = ctypes.c_void_p()
        number = _CIPHERS[name, len(key)]
        self.block_size = int(self._lib.gcry_cipher_get_algo_blklen(number))
        check(self._lib, self._lib.gcry_cipher_open(ctypes.byref(self._handle), number, mode, 0))
        with lent(key) as secret:
            check(self._lib, self._lib.gcry_cipher_setkey(self._handle, secret, len(key)))

    def begin(self, iv: bytes) -> None:
        """Start a chain."""
        check(self._lib, self._lib.gcry_cipher_setiv(self._handle, iv, len(iv)))

    def decrypt(self, target: Any, source: Any, length: int) -> None:
        """Decrypt from address to address; a source of None means in place."""
        if length:
            check(
                self._lib,
                self._lib.gcry_cipher_decrypt(self._handle, target, length, source, length if source else 0),
            )

    def __del__(self) -> None:
        if self.__dict__.get("_handle"):
            self._lib.gcry_cipher_close(self._handle)


def has_cipher(name: str, key_size: int) -> bool:
    """Whether libgcrypt is there and has the cipher with such a key."""
    lib, number = library(), _CIPHERS.get((name, key_size))
    return lib is not None and number is not None and lib.gcry_cipher_get_algo_blklen(number) != 0


def block_cipher(name: str, key: Buffer) -> GcryptCipher:
    """The keyed cipher, which must be there."""
    return GcryptCipher(name, key)


def cbc_chain(name: str, key: Buffer) -> CbcChain:
    """A CBC decryption under that key, with an IV of zero."""
    mode = _Mode(name, key, _GCRY_CIPHER_MODE_CBC)
    mode.begin(bytes(mode.block_size))

    def decrypt(source: memoryview, target: memoryview) -> None:
        import numpy as np

        from_address = np.frombuffer(source, np.uint8).ctypes.data
        mode.decrypt(np.frombuffer(target, np.uint8).ctypes.data, from_address, len(source))

    return decrypt
