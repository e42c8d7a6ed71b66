"""The judge of the searches: does a header area, changed in a few places, have the checksum that it states?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from luksafe.crypto.hashes import digest_size, new_hash
from luksafe.errors import Unsupported
from luksafe.luks.luks2.binary_header import CHECKSUM_BYTES, CHECKSUM_OFFSET
from luksafe.luks.repair.luks2_proof import MOST_CHECKSUM_BITS

_BLOCK_BYTES = 128
"""A multiple of the block of every hash that OpenSSL has (sha512: 128)."""


class ChecksumJudge:
    """Tries changes of an area cheaply: what lies before a change is hashed once and kept.

    ``text_end`` bounds where changes may be; kept states reach no further. Raises Unsupported for unknown hashes, and
    for libgcrypt's, whose states cannot be kept (no header but an experiment has those).
    """

    def __init__(self, area: bytes, algorithm: str, text_end: int) -> None:
        field = slice(CHECKSUM_OFFSET, CHECKSUM_OFFSET + CHECKSUM_BYTES)
        self.stored = bytes(area[field][: digest_size(algorithm)])
        zeroed = bytearray(area)
        zeroed[field] = bytes(CHECKSUM_BYTES)
        start: Any = new_hash(algorithm)(b"")
        if not hasattr(start, "copy"):
            raise Unsupported(f"headers with checksum {algorithm} are not searched for flipped bits")
        self._use(bytes(zeroed), [start], text_end)

    def with_flip(self, position: int, mask: int) -> ChecksumJudge:
        """The judge of the same area with one bit flipped."""
        area = bytearray(self.area)
        area[position] ^= mask
        other = object.__new__(ChecksumJudge)
        other.stored = self.stored
        other._use(bytes(area), self._states[: position // _BLOCK_BYTES + 1], self._text_end)
        return other

    def _use(self, area: bytes, states: list[Any], text_end: int) -> None:
        """Keep the state of the hash before each block."""
        self.area, self._view, self._text_end = area, memoryview(area), text_end
        self._states = list(states)
        for at in range((len(states) - 1) * _BLOCK_BYTES, text_end, _BLOCK_BYTES):
            running = self._states[-1].copy()
            running.update(self._view[at : at + _BLOCK_BYTES])
            self._states.append(running)

    def accepts(self, start: int, data: bytes) -> bool:
        """Whether the checksum holds with ``data`` at ``start``."""
        return self.digest_with(start, data) == self.stored

    def nearly_accepts(self, start: int, data: bytes) -> bool:
        """Whether it holds but for a few flipped bits of the stored checksum itself."""
        made, stored = self.digest_with(start, data), self.stored
        return (int.from_bytes(made, "big") ^ int.from_bytes(stored, "big")).bit_count() <= MOST_CHECKSUM_BITS

    def digest_with(self, start: int, data: bytes) -> bytes:
        """The checksum with ``data`` at ``start``."""
        number = min(start // _BLOCK_BYTES, len(self._states) - 1)
        hasher = self._states[number].copy()
        hasher.update(self._view[number * _BLOCK_BYTES : start])
        hasher.update(data)
        hasher.update(self._view[start + len(data) :])
        return bytes(hasher.digest())

    def right_flips(self, candidates: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        """Those of the candidates ``(position, bit mask)`` whose flip makes the checksum right."""
        for position, mask in candidates:
            if self.accepts(position, bytes((self.area[position] ^ mask,))):
                yield position, mask
