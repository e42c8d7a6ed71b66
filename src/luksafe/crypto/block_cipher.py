"""What a block cipher is here, whichever library does it, and the buffers that it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

WritableBuffer: TypeAlias = bytearray | memoryview
Buffer: TypeAlias = bytes | WritableBuffer


class BlockCipher(Protocol):
    """One keyed block cipher on whole blocks, each for itself (ECB). Not for two threads at once."""

    @property
    def block_size(self) -> int:
        """Bytes in one block: 16, or 8 for the old ciphers."""
        ...

    def encrypt(self, data: Buffer) -> bytes:
        """Encrypt whole blocks."""
        ...

    def decrypt(self, data: Buffer) -> bytes:
        """Decrypt whole blocks."""
        ...

    def decrypt_into(self, source: memoryview, target: memoryview) -> None:
        """Decrypt many blocks into ``target``, which is as long as ``source`` and does not overlap it."""
        ...


CbcChain = Callable[[memoryview, memoryview], None]
"""Decrypts blocks from the first into the second, as long but elsewhere, in one CBC chain over all calls whose first
IV is zero."""
