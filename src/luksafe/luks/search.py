"""Where on a disk may a LUKS header begin? Marks of headers at every multiple of 512 bytes, at the speed of reading.

Tables of the first two bytes, then of the next two, throw out nearly every sector; what is left is compared in full.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from luksafe.luks.luks2.binary_header import PRIMARY_MAGIC, SECONDARY_MAGIC

MarkKind = Literal["luks1", "primary", "secondary", "json", "gzip", "key-material"]

SECTOR_BYTES = 512
FINGERPRINT_BYTES = 8
_TWO_BYTES = 1 << 16

_STARTS: tuple[tuple[bytes, MarkKind], ...] = (
    (PRIMARY_MAGIC + b"\0\1", "luks1"),
    (PRIMARY_MAGIC + b"\0\2", "primary"),
    (SECONDARY_MAGIC + b"\0\2", "secondary"),
    *((b'{"' + name, "json") for name in (b"keyslo", b"tokens", b"segmen", b"digest", b"config")),
    (b"\x1f\x8b\x08", "gzip"),
)
"""How each thing begins. Of the JSON any member may come first, though cryptsetup always writes ``keyslots`` first."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place where a header, or a part of one, may begin; ``offset`` in bytes of what was searched."""

    offset: int
    kind: MarkKind


class MarkSearch:
    """Finds marks in a buffer. ``fingerprints``: first eight bytes of sectors of key material to be found as well."""

    def __init__(self, buffer: bytearray | memoryview, fingerprints: Collection[bytes] = ()) -> None:
        import numpy as np  # costs start-up time, and only bulk work needs it

        self._np = np
        self._buffer = memoryview(buffer)
        self._fingerprints = frozenset(fingerprints)
        pairs = np.frombuffer(buffer, "<u2").reshape(-1, SECTOR_BYTES // 2)
        self._first, self._second = pairs[:, 0], pairs[:, 1]
        self._wanted_first, self._wanted_second = np.zeros((2, _TWO_BYTES), np.bool_)
        for start in (*(start for start, _ in _STARTS), *self._fingerprints):
            self._wanted_first[int.from_bytes(start[:2], "little")] = True
            self._wanted_second[_any_of(start[2:4])] = True

    def marks(self, length_bytes: int) -> list[Mark]:
        """The marks in the first ``length_bytes`` of the buffer; a cut last sector counts."""
        sectors = -(-length_bytes // SECTOR_BYTES)
        passed = self._np.flatnonzero(self._wanted_first[self._first[:sectors]])
        if len(passed):
            passed = passed[self._wanted_second[self._second[passed]]]
        return [mark for sector in passed.tolist() if (mark := self._mark(sector * SECTOR_BYTES))]

    def _mark(self, offset: int) -> Mark | None:
        start = bytes(self._buffer[offset : offset + FINGERPRINT_BYTES])
        for wanted, kind in _STARTS:
            if start.startswith(wanted):
                return Mark(offset, kind)
        return Mark(offset, "key-material") if start in self._fingerprints else None


def _any_of(two: bytes) -> slice:
    """The table entries for the third and fourth byte of a start; any fourth byte when it has only three."""
    low = two[0]
    return slice(low, None, 256) if len(two) == 1 else slice(value := int.from_bytes(two, "little"), value + 1)
