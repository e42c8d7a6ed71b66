"""The LUKS1 header: 592 bytes, eight keyslot entries (specification 1.2.3, figures 1 to 3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from luksafe.luks.layout import Field, FieldValue, pack_into, unpack

MAGIC = b"LUKS\xba\xbe"
REENCRYPTION_MAGIC = b"LUKS\xde\xad"
"""What cryptsetup puts in its place while it reencrypts a LUKS1 volume, so that nobody opens it meanwhile."""
HEADER_BYTES = 592
KEYSLOT_COUNT = 8
ENABLED = 0x00AC71F3
DISABLED = 0x0000DEAD
STRIPES = 4000
SECTOR_BYTES = 512

FIELDS = (
    Field("magic", 0, 6, "bytes"),
    Field("version", 6, 2, "u16"),
    Field("cipher_name", 8, 32, "text"),
    Field("cipher_mode", 40, 32, "text"),
    Field("hash_spec", 72, 32, "text"),
    Field("payload_offset", 104, 4, "u32"),
    Field("key_bytes", 108, 4, "u32"),
    Field("mk_digest", 112, 20, "bytes"),
    Field("mk_digest_salt", 132, 32, "bytes"),
    Field("mk_digest_iterations", 164, 4, "u32"),
    Field("uuid", 168, 40, "text"),
)
KEYSLOT_FIELDS = (
    Field("active", 0, 4, "u32"),
    Field("iterations", 4, 4, "u32"),
    Field("salt", 8, 32, "bytes"),
    Field("key_material_offset", 40, 4, "u32"),
    Field("stripes", 44, 4, "u32"),
)
KEYSLOTS_START = 208
KEYSLOT_ENTRY_BYTES = 48


@dataclass(frozen=True, slots=True)
class KeyslotEntry:
    """One keyslot entry; ``key_material_offset`` counts 512-byte sectors."""

    active: int
    iterations: int
    salt: bytes
    key_material_offset: int
    stripes: int

    @property
    def is_active(self) -> bool:
        """Whether the entry holds a key."""
        return self.active == ENABLED


@dataclass(frozen=True, slots=True)
class BinaryHeader:
    """The LUKS1 header with the names of the specification; ``payload_offset`` counts 512-byte sectors."""

    magic: bytes
    version: int
    cipher_name: str
    cipher_mode: str
    hash_spec: str
    payload_offset: int
    key_bytes: int
    mk_digest: bytes
    mk_digest_salt: bytes
    mk_digest_iterations: int
    uuid: str
    keyslots: tuple[KeyslotEntry, ...]

    @classmethod
    def parse(cls, data: bytes | memoryview) -> Self:
        """Read 592 bytes. Any content parses; raises DamagedInput only when there are fewer bytes."""
        values = unpack(FIELDS, data)
        entries = tuple(
            KeyslotEntry(**unpack(KEYSLOT_FIELDS, data[start : start + KEYSLOT_ENTRY_BYTES]))  # type: ignore[arg-type]
            for start in _entry_starts()
        )
        return cls(**values, keyslots=entries)  # type: ignore[arg-type]

    def serialize(self, base: bytes = bytes(HEADER_BYTES)) -> bytes:
        """The 592 bytes; text padding that differs from ``base`` only after a NUL is kept as in ``base``."""
        out = bytearray(base[:HEADER_BYTES])
        before = type(self).parse(bytes(out))
        _pack_changed(FIELDS, _values(self, FIELDS), _values(before, FIELDS), out, 0)
        for start, entry, old in zip(_entry_starts(), self.keyslots, before.keyslots, strict=True):
            _pack_changed(KEYSLOT_FIELDS, _values(entry, KEYSLOT_FIELDS), _values(old, KEYSLOT_FIELDS), out, start)
        return bytes(out)

    @property
    def encryption(self) -> str:
        """The cipher in dm-crypt's spelling."""
        return f"{self.cipher_name}-{self.cipher_mode}"

    @property
    def area_sectors(self) -> int:
        """Sectors of one keyslot area: key bytes times 4000 stripes, rounded up."""
        return -(-self.key_bytes * STRIPES // SECTOR_BYTES)

    def with_keyslot(self, slot: int, entry: KeyslotEntry) -> Self:
        """A copy with one keyslot entry replaced."""
        entries = list(self.keyslots)
        entries[slot] = entry
        return replace(self, keyslots=tuple(entries))


def _entry_starts() -> range:
    return range(KEYSLOTS_START, HEADER_BYTES, KEYSLOT_ENTRY_BYTES)


def _values(source: object, fields: tuple[Field, ...]) -> dict[str, FieldValue]:
    return {f.name: getattr(source, f.name) for f in fields}


def _pack_changed(
    fields: tuple[Field, ...],
    new: dict[str, FieldValue],
    old: dict[str, FieldValue],
    out: bytearray,
    start: int,
) -> None:
    """Write only the fields that changed, so that a header nobody changed is given back byte for byte."""
    length = max(f.offset + f.length for f in fields)
    part = out[start : start + length]
    pack_into([f for f in fields if new[f.name] != old[f.name]], new, part)
    out[start : start + length] = part
