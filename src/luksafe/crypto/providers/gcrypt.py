"""Hashes, PBKDF2 and block ciphers of the system's libgcrypt through ctypes; looked for when first needed.

What it adds to OpenSSL: Serpent, Twofish, Whirlpool, Stribog, and RIPEMD-160 where OpenSSL was built without it.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from luksafe.crypto.lanes import xor
from luksafe.crypto.provider import Buffer, CbcChain
from luksafe.errors import Unsupported

_OLDEST = b"1.8.0"
_GCRYCTL_DISABLE_SECMEM = 37
_GCRYCTL_INITIALIZATION_FINISHED = 38
_GCRYCTL_INITIALIZATION_FINISHED_P = 39
_GCRY_KDF_PBKDF2 = 34
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


@cache
def library() -> ctypes.CDLL | None:
    """libgcrypt, initialised, its functions declared; None where it is absent or too old."""
    for name in ("libgcrypt.so.20", ctypes.util.find_library("gcrypt")):
        try:
            found = ctypes.CDLL(name) if name else None
        except OSError:
            continue
        if found is not None:
            return found if _initialise(found) else None
    return None


def _initialise(lib: ctypes.CDLL) -> bool:
    size, handle, pointer, number = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int
    for function, result, arguments in (
        ("gcry_check_version", ctypes.c_char_p, [ctypes.c_char_p]),
        ("gcry_strerror", ctypes.c_char_p, [ctypes.c_uint]),
        ("gcry_md_map_name", number, [ctypes.c_char_p]),
        ("gcry_md_get_algo_dlen", ctypes.c_uint, [number]),
        ("gcry_md_open", ctypes.c_uint, [ctypes.POINTER(handle), number, ctypes.c_uint]),
        ("gcry_md_write", None, [handle, pointer, size]),
        ("gcry_md_read", pointer, [handle, number]),
        ("gcry_md_close", None, [handle]),
        (
            "gcry_kdf_derive",
            ctypes.c_uint,
            [pointer, size, number, number, pointer, size, ctypes.c_ulong, size, pointer],
        ),
        ("gcry_cipher_open", ctypes.c_uint, [ctypes.POINTER(handle), number, number, ctypes.c_uint]),
        ("gcry_cipher_setkey", ctypes.c_uint, [handle, pointer, size]),
        ("gcry_cipher_setiv", ctypes.c_uint, [handle, pointer, size]),
        ("gcry_cipher_decrypt", ctypes.c_uint, [handle, pointer, size, pointer, size]),
        ("gcry_cipher_close", None, [handle]),
        ("gcry_cipher_get_algo_blklen", size, [number]),
    ):
        try:
            entry = getattr(lib, function)
        except AttributeError:
            return False
        entry.restype, entry.argtypes = result, arguments
    if lib.gcry_check_version(_OLDEST) is None:
        return False
    if not lib.gcry_control(_GCRYCTL_INITIALIZATION_FINISHED_P):
        # Locked memory is scarce for ordinary users; without this libgcrypt would print a warning about it.
        lib.gcry_control(_GCRYCTL_DISABLE_SECMEM, 0)
        lib.gcry_control(_GCRYCTL_INITIALIZATION_FINISHED, 0)
    return True


def hash_number(name: str) -> int:
    """libgcrypt's number of a hash by libgcrypt's name; 0 when it has none, or there is no libgcrypt."""
    lib = library()
    return int(lib.gcry_md_map_name(name.encode())) if lib and name.isascii() and "\0" not in name else 0


def digest_size(number: int) -> int:
    """The size in bytes of a digest of that hash."""
    return int(_need("this hash").gcry_md_get_algo_dlen(number))


class GcryptHash:
    """A running hash, used like those of hashlib, save that ``digest`` ends it."""

    def __init__(self, number: int, data: Buffer = b"") -> None:
        self._lib = _need("this hash")
        self._number = number
        self._handle = ctypes.c_void_p()
        self.digest_size = digest_size(number)
        _check(self._lib, self._lib.gcry_md_open(ctypes.byref(self._handle), number, 0))
        self.update(data)

    def update(self, data: Buffer) -> None:
        """Take in more bytes."""
        with _lent(data) as address:
            self._lib.gcry_md_write(self._handle, address, len(data))

    def digest(self) -> bytes:
        """The digest of all that was taken in."""
        return ctypes.string_at(self._lib.gcry_md_read(self._handle, self._number), self.digest_size)

    def __del__(self) -> None:
        if self.__dict__.get("_handle"):
            self._lib.gcry_md_close(self._handle)


def pbkdf2(number: int, passphrase: Buffer, salt: Buffer, iterations: int, length: int) -> bytearray:
    """PBKDF2 (RFC 8018) with HMAC of that hash."""
    lib = _need("PBKDF2 with this hash")
    out = bytearray(length)
    with _lent(passphrase) as secret, _lent(salt) as salted:
        derived = lib.gcry_kdf_derive(
            secret, len(passphrase), _GCRY_KDF_PBKDF2, number, salted, len(salt), iterations, length, _address(out)
        )
    _check(lib, derived)
    return out


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
        self._cfb.decrypt(_address(out), None, len(out))
        return xor(out, following)

    def decrypt(self, data: Buffer) -> bytes:
        """Decrypt whole blocks."""
        out = bytearray(data)
        self._cbc.begin(bytes(self.block_size))
        self._cbc.decrypt(_address(out), None, len(out))
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
        self._lib = _need(f"the cipher {name}")
        self._handle = ctypes.c_void_p()
        number = _CIPHERS[name, len(key)]
        self.block_size = int(self._lib.gcry_cipher_get_algo_blklen(number))
        _check(self._lib, self._lib.gcry_cipher_open(ctypes.byref(self._handle), number, mode, 0))
        with _lent(key) as secret:
            _check(self._lib, self._lib.gcry_cipher_setkey(self._handle, secret, len(key)))

    def begin(self, iv: bytes) -> None:
        """Start a chain."""
        _check(self._lib, self._lib.gcry_cipher_setiv(self._handle, iv, len(iv)))

    def decrypt(self, target: Any, source: Any, length: int) -> None:
        """Decrypt from address to address; a source of None means in place."""
        if length:
            _check(
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


@contextmanager
def _lent(data: Buffer) -> Iterator[Any]:
    """A C buffer with a copy of ``data``, wiped afterwards: ctypes cannot point into read-only memory."""
    copy = (ctypes.c_char * max(1, len(data)))()
    try:
        memoryview(copy).cast("B")[: len(data)] = data
        yield copy
    finally:
        ctypes.memset(copy, 0, len(copy))


def _address(buffer: bytearray | memoryview) -> Any:
    return ctypes.byref(ctypes.c_char.from_buffer(buffer))


def _need(what: str) -> ctypes.CDLL:
    lib = library()
    if lib is None:
        raise Unsupported(
            f"{what} needs libgcrypt {_OLDEST.decode()} or later, which is not installed here",
            hint="Install it (Debian and Ubuntu: libgcrypt20; Fedora: libgcrypt) and run the command again.",
        )
    return lib


def _check(lib: ctypes.CDLL, error: int) -> None:
    if error:
        reason = lib.gcry_strerror(error).decode(errors="replace")
        raise Unsupported(f"libgcrypt refused: {reason}", hint="Open it with cryptsetup instead.")
