"""What a signature probe found: one structure on the disk, what it says of itself, and how far to believe it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal


class Kind(StrEnum):
    """What sort of thing a signature stands for."""

    FILESYSTEM = "filesystem"
    SWAP = "swap"
    VOLUME_MANAGER = "volume-manager"
    RAID = "raid"
    CRYPTO = "crypto"
    CACHE = "cache"
    PARTITION_TABLE = "partition-table"
    BOOT_CODE = "boot-code"


class Confidence(StrEnum):
    """``certain``: its checksum holds; ``strong``: 64 bits or more agree; ``likely``: fewer, or its checksum fails."""

    CERTAIN = "certain"
    STRONG = "strong"
    LIKELY = "likely"


@dataclass(frozen=True, slots=True)
class Partition:
    """One entry of a partition table. ``offset`` and ``size`` are bytes of the reader that was probed."""

    number: int
    offset: int
    size: int
    type: str
    name: str = ""
    uuid: str = ""


@dataclass(frozen=True, slots=True)
class Recognised:
    """One structure that was recognised. All offsets are bytes of the reader that was probed.

    ``name`` is spelled as blkid spells TYPE or PTTYPE. ``offset`` and ``length`` say where the evidence stands,
    ``start`` where the thing that it describes begins, ``size_bytes`` how big it says that is.
    ``bits`` counts the bits that had to be as they are: random bytes match with a chance of 2 to the minus ``bits``.
    ``checksum`` tells whether the structure's own checksum holds; None where it has none or it was not computed.
    ``geometry`` holds the fields from which :mod:`luksafe.probe.footprint` computes what else was written.
    """

    name: str
    kind: Kind
    offset: int
    length: int
    start: int
    copy: Literal["primary", "backup"]
    bits: float
    checksum: bool | None
    evidence: str
    label: str = ""
    uuid: str = ""
    version: str = ""
    size_bytes: int | None = None
    partitions: tuple[Partition, ...] = ()
    geometry: Mapping[str, int] = field(default_factory=dict)

    @property
    def confidence(self) -> Confidence:
        """How far to believe it."""
        if self.checksum is False or self.bits < 64:
            return Confidence.LIKELY
        return Confidence.CERTAIN if self.checksum else Confidence.STRONG
