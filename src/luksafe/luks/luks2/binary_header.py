"""The LUKS2 binary header: 4096 bytes before each JSON area (specification section 2.1)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from luksafe.crypto.hashes import digest_size, new_hash
from luksafe.errors import Unsupported
from luksafe.luks.layout import Field, pack_into, unpack

PRIMARY_MAGIC = b"LUKS\xba\xbe"
SECONDARY_MAGIC = b"SKUL\xba\xbe"
BINARY_BYTES = 4096
CHECKSUM_OFFSET = 448
CHECKSUM_BYTES = 64
HEADER_SIZES = tuple(0x4000 << n for n in range(9))
"""The nine legal sizes of one header area: 16 KiB to 4 MiB (section 2.1); also where a secondary may begin."""

FIELDS = (
    Field("magic", 0, 6, "bytes"),
    Field("version", 6, 2, "u16"),
    Field("hdr_size", 8, 8, "u64"),
    Field("seqid", 16, 8, "u64"),
    Field("label", 24, 48, "text"),
    Field("checksum_algorithm", 72, 32, "text"),
    Field("salt", 104, 64, "bytes"),
    Field("uuid", 168, 40, "text"),
    Field("subsystem", 208, 48, "text"),
    Field("hdr_offset", 256, 8, "u64"),
    Field("checksum", CHECKSUM_OFFSET, CHECKSUM_BYTES, "bytes"),
)


@dataclass(frozen=True, slots=True)
class BinaryHeader:
    """The fields of a binary header; sizes and ``hdr_offset`` are bytes."""

    magic: bytes
    version: int
    hdr_size: int
    seqid: int
    label: str
    checksum_algorithm: str
    salt: bytes
    uuid: str
    subsystem: str
    hdr_offset: int
    checksum: bytes

    @classmethod
    def parse(cls, data: bytes | memoryview) -> Self:
        """Read the first 512 bytes. Any content parses; raises DamagedInput only when there are fewer bytes."""
        return cls(**unpack(FIELDS, data))  # type: ignore[arg-type]

    def serialize(self) -> bytes:
        """4096 bytes, padding zero. Raises ValueError when a text does not fit."""
        out = bytearray(BINARY_BYTES)
        pack_into(FIELDS, {f.name: getattr(self, f.name) for f in FIELDS}, out)
        return bytes(out)


def calculate_checksum(algorithm: str, area: bytes | bytearray | memoryview) -> bytes:
    """The checksum field for a whole header area (binary header and JSON area): the hash of the area with that field
    zeroed, padded to 64 bytes (section 2.1). Raises Unsupported when nothing here knows the hash.
    """
    size = digest_size(algorithm)
    if size > CHECKSUM_BYTES:
        raise Unsupported(f"checksum algorithm {algorithm!r} gives more than {CHECKSUM_BYTES} bytes")
    hasher = new_hash(algorithm)(b"")
    view = memoryview(area)
    hasher.update(view[:CHECKSUM_OFFSET])
    hasher.update(bytes(CHECKSUM_BYTES))
    hasher.update(view[CHECKSUM_OFFSET + CHECKSUM_BYTES :])
    return bytes(hasher.digest()).ljust(CHECKSUM_BYTES, b"\0")


def has_good_checksum(header: BinaryHeader, area: bytes | memoryview) -> bool:
    """Whether the stored checksum fits; only as many bytes as the hash has are compared. Raises Unsupported."""
    size = digest_size(header.checksum_algorithm)
    return calculate_checksum(header.checksum_algorithm, area)[:size] == header.checksum[:size]


def seal(header: BinaryHeader, json_area: bytes) -> bytes:
    """A whole header area with a fresh checksum; ``json_area`` fills it exactly. Raises ValueError on a misfit."""
    if BINARY_BYTES + len(json_area) != header.hdr_size:
        raise ValueError(f"the JSON area has {len(json_area)} bytes, the header says {header.hdr_size - BINARY_BYTES}")
    unsealed = replace(header, checksum=bytes(CHECKSUM_BYTES)).serialize() + json_area
    checksum = calculate_checksum(header.checksum_algorithm, unsealed)
    return replace(header, checksum=checksum).serialize() + json_area
