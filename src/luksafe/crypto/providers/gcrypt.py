"""The system's libgcrypt through ctypes, looked for when first needed, and its hashes and PBKDF2.

What it adds to OpenSSL: Whirlpool, Stribog, RIPEMD-160 where OpenSSL was built without it, and in
`gcrypt_ciphers` Serpent and Twofish.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from luksafe.crypto.block_cipher import Buffer
from luksafe.errors import Unsupported

_LIBRARY = "libgcrypt.so.20"
_OLDEST = b"1.8.0"
_GCRYCTL_DISABLE_SECMEM = 37
_GCRYCTL_INITIALIZATION_FINISHED = 38
_GCRYCTL_INITIALIZATION_FINISHED_P = 39
_GCRY_KDF_PBKDF2 = 34


@cache
def library() -> ctypes.CDLL | None:
    """libgcrypt, initialised, its functions declared; None where it is absent or too old."""
    try:
        found = ctypes.CDLL(_LIBRARY)
    except OSError:
        return None
    return found if _initialise(found) else None


def _initialise(lib: ctypes.CDLL) -> bool:
    size, handle, pointer, number = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int
    error = flags = ctypes.c_uint
    for function, result, arguments in (
        ("gcry_check_version", ctypes.c_char_p, [ctypes.c_char_p]),
        ("gcry_strerror", ctypes.c_char_p, [ctypes.c_uint]),
        ("gcry_md_map_name", number, [ctypes.c_char_p]),
        ("gcry_md_get_algo_dlen", ctypes.c_uint, [number]),
        ("gcry_md_open", error, [ctypes.POINTER(handle), number, flags]),
        ("gcry_md_write", None, [handle, pointer, size]),
        ("gcry_md_read", pointer, [handle, number]),
        ("gcry_md_close", None, [handle]),
        ("gcry_kdf_derive", error, [pointer, size, number, number, pointer, size, ctypes.c_ulong, size, pointer]),
        ("gcry_cipher_open", error, [ctypes.POINTER(handle), number, number, flags]),
        ("gcry_cipher_setkey", error, [handle, pointer, size]),
        ("gcry_cipher_setiv", error, [handle, pointer, size]),
        ("gcry_cipher_decrypt", error, [handle, pointer, size, pointer, size]),
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
    return int(need("this hash").gcry_md_get_algo_dlen(number))


class GcryptHash:
    """A running hash, used like those of hashlib, save that ``digest`` ends it."""

    def __init__(self, number: int, data: Buffer = b"") -> None:
        self._lib = need("this hash")
        self._number = number
        self._handle = ctypes.c_void_p()
        self.digest_size = digest_size(number)
        check(self._lib, self._lib.gcry_md_open(ctypes.byref(self._handle), number, 0))
        self.update(data)

    def update(self, data: Buffer) -> None:
        """Take in more bytes."""
        with lent(data) as copy:
            self._lib.gcry_md_write(self._handle, copy, len(data))

    def digest(self) -> bytes:
        """The digest of all that was taken in."""
        return ctypes.string_at(self._lib.gcry_md_read(self._handle, self._number), self.digest_size)

    def __del__(self) -> None:
        if self.__dict__.get("_handle"):
            self._lib.gcry_md_close(self._handle)


def pbkdf2(number: int, passphrase: Buffer, salt: Buffer, iterations: int, length: int) -> bytearray:
    """PBKDF2 (RFC 8018) with HMAC of that hash."""
    lib = need("PBKDF2 with this hash")
    out = bytearray(length)
    with lent(passphrase) as secret, lent(salt) as salted:
        derived = lib.gcry_kdf_derive(
            secret, len(passphrase), _GCRY_KDF_PBKDF2, number, salted, len(salt), iterations, length, address(out)
        )
    check(lib, derived)
    return out


@contextmanager
def lent(data: Buffer) -> Iterator[Any]:
    """A C buffer with a copy of ``data``, wiped afterwards: ctypes cannot point into read-only memory."""
    copy = (ctypes.c_char * max(1, len(data)))()
    try:
        memoryview(copy).cast("B")[: len(data)] = data
        yield copy
    finally:
        ctypes.memset(copy, 0, len(copy))


def address(buffer: bytearray) -> Any:
    """Where a writable buffer lies, for C."""
    return ctypes.byref(ctypes.c_char.from_buffer(buffer))


def need(what: str) -> ctypes.CDLL:
    """The library. Raises Unsupported, saying what it is wanted for, when it is not there."""
    lib = library()
    if lib is None:
        raise Unsupported(
            f"{what} needs libgcrypt {_OLDEST.decode()} or later, which is not installed here",
            hint="Install it (Debian and Ubuntu: libgcrypt20; Fedora: libgcrypt) and run the command again.",
        )
    return lib


def check(lib: ctypes.CDLL, error: int) -> None:
    """Raise Unsupported, with libgcrypt's words, unless ``error`` is 0."""
    if error:
        reason = lib.gcry_strerror(error).decode(errors="replace")
        raise Unsupported(f"libgcrypt refused: {reason}", hint="Open it with cryptsetup instead.")
