"""One on-disk structure being checked field by field, with a running count of the bits that had to agree."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import log2
from typing import Literal
from uuid import UUID

from luksafe.probe.recognised import Kind, Partition, Recognised
from luksafe.probe.volume import MismatchError, Volume

Width = Literal[1, 2, 4, 8]


class Structure:
    """``length`` bytes at ``offset`` of a volume (both bytes), with integers of one byte order.

    Every check either holds and adds its bits to the evidence, or raises :class:`MismatchError`. The bits of a check
    are minus the binary logarithm of the chance that random bytes pass it, so their sum bounds the false alarms.
    """

    def __init__(
        self, volume: Volume, offset: int, length: int, byteorder: Literal["little", "big"] = "little"
    ) -> None:
        self.volume = volume
        self.offset = offset
        self.data = volume.read(offset, length)
        self.byteorder: Literal["little", "big"] = byteorder
        self.bits = 0.0
        self.checksum: bool | None = None
        self._seen: list[str] = []

    def integer(self, at: int, width: Width) -> int:
        """The unsigned integer of ``width`` bytes at byte ``at``."""
        return int.from_bytes(self.data[at : at + width], self.byteorder)

    def u8(self, at: int) -> int:
        """One byte."""
        return self.data[at]

    def u16(self, at: int) -> int:
        """Two bytes."""
        return self.integer(at, 2)

    def u32(self, at: int) -> int:
        """Four bytes."""
        return self.integer(at, 4)

    def u64(self, at: int) -> int:
        """Eight bytes."""
        return self.integer(at, 8)

    def text(self, at: int, length: int, encoding: str = "utf-8") -> str:
        """Characters up to the first NUL, trailing spaces cut; bytes that are no ``encoding`` become U+FFFD."""
        return self.data[at : at + length].decode(encoding, "replace").split("\0", 1)[0].rstrip()

    def uuid(self, at: int) -> str:
        """Sixteen bytes as a UUID in their order; empty when all zero."""
        raw = self.data[at : at + 16]
        return str(UUID(bytes=raw)) if any(raw) else ""

    def guid(self, at: int) -> str:
        """Sixteen bytes as a Microsoft GUID (the first three fields little-endian)."""
        return str(UUID(bytes_le=self.data[at : at + 16]))

    def check(self, what: str, holds: bool, bits: float) -> None:
        """A condition that random bytes meet with a chance of 2 to the minus ``bits``."""
        if not holds:
            raise MismatchError(what)
        self.bits += bits
        self._seen.append(what)

    def magic(self, at: int, expected: bytes, what: str = "magic") -> None:
        """Fixed bytes."""
        shown = expected.decode("ascii") if expected.isascii() and expected.decode().isprintable() else expected.hex()
        self.check(
            f"{what} {shown} at {self.offset + at}", self.data[at : at + len(expected)] == expected, 8 * len(expected)
        )

    def within(self, at: int, width: Width, low: int, high: int, what: str) -> int:
        """An integer between ``low`` and ``high``, both included."""
        value = self.integer(at, width)
        self.check(f"{what} {value}", low <= value <= high, 8 * width - log2(max(1, high - low + 1)))
        return value

    def among(self, at: int, width: Width, allowed: Collection[int], what: str) -> int:
        """An integer that is one of ``allowed``."""
        value = self.integer(at, width)
        self.check(f"{what} {value}", value in allowed, 8 * width - log2(len(allowed)))
        return value

    def power_of_two(self, at: int, width: Width, low: int, high: int, what: str) -> int:
        """An integer that is a power of two between ``low`` and ``high``, both powers of two and included."""
        powers = [1 << n for n in range(low.bit_length() - 1, high.bit_length())]
        return self.among(at, width, powers, what)

    def zeros(self, at: int, length: int, what: str) -> None:
        """Bytes that have to be zero."""
        self.check(f"{what} zero", not any(self.data[at : at + length]), 8 * length)

    def verify(self, what: str, holds: bool, bits: float) -> None:
        """The structure's own checksum. A wrong one is no mismatch: the structure may have been damaged later."""
        self.checksum = holds and self.checksum is not False
        self._seen.append(f"{what} {'matches' if holds else 'does NOT match'}")
        if holds:
            self.bits += bits

    def note(self, what: str) -> None:
        """Something worth saying that is no check."""
        self._seen.append(what)

    def recognised(
        self,
        name: str,
        kind: Kind,
        *,
        start: int = 0,
        copy: Literal["primary", "backup"] = "primary",
        label: str = "",
        uuid: str = "",
        version: str = "",
        size_bytes: int | None = None,
        partitions: tuple[Partition, ...] = (),
        geometry: Mapping[str, int] | None = None,
    ) -> Recognised:
        """The result. ``start`` is where the thing begins in the volume; offsets become those of the reader."""
        base = self.volume.offset_bytes
        return Recognised(
            name=name,
            kind=kind,
            offset=base + self.offset,
            length=len(self.data),
            start=base + start,
            copy=copy,
            bits=self.bits,
            checksum=self.checksum,
            evidence="; ".join(self._seen),
            label=label,
            uuid=uuid,
            version=version,
            size_bytes=size_bytes,
            partitions=partitions,
            geometry=geometry or {},
        )
