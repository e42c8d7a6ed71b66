"""Argon2 by its reference implementation (argon2-cffi-bindings), in huge pages.

OpenSSL has Argon2 too, but takes its memory in pages of 4 KiB; a fifth of its time goes into faulting them in.
"""

from __future__ import annotations

import mmap
from contextlib import suppress
from typing import Any, Literal

from _argon2_cffi_bindings import ffi, lib

from luksafe.errors import Unsupported

_VERSION = 0x13
"""Argon2 1.3, the only one in LUKS2 (cryptsetup's library knows no other)."""


class _Memory:
    """The memory of one derivation: asked for and given back by the library through two callbacks.

    The library overwrites it before it gives it back.
    """

    def __init__(self) -> None:
        self._mapped: mmap.mmap | None = None
        self._lent: Any = None

    def allocate(self, address: Any, size_bytes: int) -> int:
        try:
            self._mapped = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        except (OSError, MemoryError):
            return int(lib.ARGON2_MEMORY_ALLOCATION_ERROR)
        if hasattr(mmap, "MADV_HUGEPAGE"):
            with suppress(OSError):  # a kernel without huge pages: slower, nothing else
                self._mapped.madvise(mmap.MADV_HUGEPAGE)
        self._lent = ffi.from_buffer("uint8_t[]", self._mapped, require_writable=True)
        address[0] = self._lent
        return int(lib.ARGON2_OK)

    def free(self, _address: Any, _size_bytes: int) -> None:
        ffi.release(self._lent)
        if self._mapped is not None:
            self._mapped.close()


def argon2(
    kind: Literal["argon2i", "argon2id"],
    passphrase: memoryview,
    salt: bytes,
    time: int,
    memory_kib: int,
    lanes: int,
    length: int,
) -> bytearray:
    """Argon2, one thread for each lane. Raises MemoryError, and Unsupported when a thread cannot be had."""
    derived, memory = bytearray(length), _Memory()
    allocate = ffi.callback("int(uint8_t **, size_t)", memory.allocate)
    free = ffi.callback("void(uint8_t *, size_t)", memory.free)
    out, secret, salted = ffi.from_buffer(derived), ffi.from_buffer(passphrase), ffi.from_buffer(salt)
    context = ffi.new(
        "argon2_context *",
        {
            "out": ffi.cast("uint8_t *", out),
            "outlen": length,
            "pwd": ffi.cast("uint8_t *", secret),
            "pwdlen": len(passphrase),
            "salt": ffi.cast("uint8_t *", salted),
            "saltlen": len(salt),
            "t_cost": time,
            "m_cost": memory_kib,
            "lanes": lanes,
            "threads": lanes,
            "version": _VERSION,
            "allocate_cbk": allocate,
            "free_cbk": free,
            "flags": lib.ARGON2_DEFAULT_FLAGS,
        },
    )
    status = lib.argon2_ctx(context, lib.Argon2_i if kind == "argon2i" else lib.Argon2_id)
    if status == lib.ARGON2_MEMORY_ALLOCATION_ERROR:
        raise MemoryError
    if status != lib.ARGON2_OK:
        raise Unsupported(
            f"{kind} failed: {ffi.string(lib.argon2_error_message(status)).decode()}",
            hint="Close other programs or raise the limit of threads (ulimit -u), and run the command again.",
        )
    return derived
