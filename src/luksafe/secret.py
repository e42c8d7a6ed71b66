"""Secrets in buffers that can be wiped and that never show themselves."""

from __future__ import annotations

import hmac
from types import TracebackType
from typing import NoReturn, Self


class SecretBytes:
    """A secret in one wipeable buffer. ``view`` lends it without a copy; ``wipe`` or leaving ``with`` zeroes it.

    ``repr`` and ``str`` show the length only; comparing takes the same time whatever differs; it cannot be pickled.
    """

    __slots__ = ("_buffer",)

    def __init__(self, data: bytes | bytearray | memoryview = b"") -> None:
        self._buffer = bytearray(data)

    @classmethod
    def take(cls, buffer: bytearray) -> Self:
        """Own ``buffer`` itself, so that no second copy of the secret stays behind."""
        secret = cls()
        secret._buffer = buffer
        return secret

    @property
    def view(self) -> memoryview:
        """The bytes, read-only, without a copy."""
        return memoryview(self._buffer).toreadonly()

    def reveal(self) -> bytes:
        """A copy that cannot be wiped; only for libraries that insist on ``bytes``."""
        return bytes(self._buffer)

    def wipe(self) -> None:
        """Overwrite the buffer with zeros."""
        self._buffer[:] = bytes(len(self._buffer))

    def __len__(self) -> int:
        return len(self._buffer)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretBytes):
            return NotImplemented
        return hmac.compare_digest(self._buffer, other._buffer)

    __hash__ = None  # type: ignore[assignment]  # a hash would be a fingerprint of the secret

    def __repr__(self) -> str:
        return f"<secret, {len(self._buffer)} bytes>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.wipe()
