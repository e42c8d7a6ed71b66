"""The objects of a LUKS header, named as in the LUKS2 specification (section 3); LUKS1 is read into the same ones.

Every object keeps the JSON it came from in ``raw`` (unknown members included), so that nothing of others is lost.
Sizes and offsets are bytes; ``key_size`` is bytes too, as in the specification.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Json = dict[str, Any]
CopyName = Literal["primary", "secondary"]
LUKS1_HEADER_AREA = 4096
"""LUKS1 has no keyslots area size; for the common model its keyslots area begins here."""


@dataclass(frozen=True, slots=True)
class Kdf:
    """How a passphrase becomes the key of a keyslot area: ``pbkdf2`` (hash, iterations) or ``argon2i``/``argon2id``."""

    type: str
    salt: bytes
    hash: str | None = None
    iterations: int | None = None
    time: int | None = None
    memory_kib: int | None = None
    cpus: int | None = None
    raw: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Af:
    """The anti-forensic splitter: always type ``luks1``."""

    type: str
    stripes: int
    hash: str
    raw: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Area:
    """Where a keyslot keeps its bytes and how they are encrypted. ``encryption`` is empty for areas in the clear."""

    type: str
    offset: int
    size: int
    encryption: str = ""
    key_size: int = 0
    raw: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Keyslot:
    """One keyslot. Types other than ``luks2`` (``reencrypt``, or unknown) may lack ``kdf``, ``af``, even ``area``."""

    id: int
    type: str
    key_size: int
    priority: int = 1
    kdf: Kdf | None = None
    af: Af | None = None
    area: Area | None = None
    raw: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of the data. ``size`` is None for ``dynamic``; ``iv_tweak`` counts 512-byte sectors."""

    id: int
    type: str
    offset: int
    size: int | None
    iv_tweak: int = 0
    encryption: str = ""
    sector_size: int = 512
    integrity: Json | None = None
    flags: tuple[str, ...] = ()
    raw: Json = field(default_factory=dict)

    @property
    def is_backup(self) -> bool:
        """Whether reencryption keeps it as a note only (flags ``backup-…``): not part of the data's layout."""
        return any(flag.startswith("backup-") for flag in self.flags)


@dataclass(frozen=True, slots=True)
class Digest:
    """Proves a volume key: PBKDF2 of the key. Says which keyslots hold that key and which segments it decrypts."""

    id: int
    type: str
    keyslots: tuple[int, ...]
    segments: tuple[int, ...]
    hash: str
    iterations: int
    salt: bytes
    digest: bytes
    raw: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Token:
    """Somebody's note on how to get the passphrase of some keyslots; the content is theirs."""

    id: int
    type: str
    keyslots: tuple[int, ...]
    raw: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Config:
    """Sizes of the JSON area and of the keyslots area, persistent flags, requirements."""

    json_size: int
    keyslots_size: int
    flags: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    raw: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Header:
    """A LUKS header, of either format, as one valid copy of it says.

    ``header_size`` is the size of one copy (LUKS1: 592 bytes of binary header). ``document`` is the JSON area of
    LUKS2; for LUKS1 the same written in LUKS2 terms. ``offset`` is where the volume begins in the Reader it came from.
    ``stated_key_size``: LUKS1 keeps the size of the volume key, in bytes, even when no keyslot is left.
    """

    format: Literal["luks1", "luks2"]
    uuid: str
    label: str
    subsystem: str
    seqid: int
    header_size: int
    checksum_algorithm: str
    keyslots: Mapping[int, Keyslot]
    segments: Mapping[int, Segment]
    digests: Mapping[int, Digest]
    tokens: Mapping[int, Token]
    config: Config
    document: Json
    offset: int = 0
    stated_key_size: int = 0

    def digest_of_keyslot(self, keyslot_id: int) -> Digest | None:
        """The digest that proves the key in this keyslot; None when it has none."""
        return next((d for d in self.digests.values() if keyslot_id in d.keyslots), None)

    def digest_of_segment(self, segment_id: int) -> Digest | None:
        """The digest of the volume key that decrypts this segment."""
        return next((d for d in self.digests.values() if segment_id in d.segments), None)

    @property
    def digests_in_use(self) -> tuple[Digest, ...]:
        """The digests of the keys that data need, or will need when a reencryption goes on: of any segment at all."""
        return tuple(d for d in self.digests.values() if any(s in self.segments for s in d.segments))

    @property
    def data_segments(self) -> list[Segment]:
        """The segments that make up the data, in order (without reencryption's backup segments)."""
        return [s for _, s in sorted(self.segments.items()) if not s.is_backup]

    @property
    def default_segment(self) -> Segment | None:
        """The segment whose key is "the" volume key: during reencryption the one that will remain, else the first."""
        final = next((s for s in self.segments.values() if "backup-final" in s.flags), None)
        return final or next(iter(self.data_segments), None)

    @property
    def data_offset(self) -> int:
        """Where the data begin, in bytes of the data device; during reencryption, where they will begin."""
        segment = self.default_segment
        if segment is not None and segment.is_backup:
            return segment.offset
        return min((s.offset for s in self.data_segments), default=0)

    @property
    def encryption(self) -> str:
        """The cipher of the default segment in dm-crypt's spelling; empty when it is not encrypted."""
        return self.default_segment.encryption if self.default_segment else ""

    @property
    def sector_size(self) -> int:
        """The encryption sector size of the default segment."""
        return self.default_segment.sector_size if self.default_segment else 512

    @property
    def areas_end(self) -> int:
        """Where header copies and keyslots area end, in bytes: the least that a device must hold."""
        copies = 2 * self.header_size if self.format == "luks2" else LUKS1_HEADER_AREA
        return copies + self.config.keyslots_size

    @property
    def is_detached(self) -> bool:
        """Whether the data begin within what header and keyslots take: then these cannot lie on the same device."""
        return bool(self.data_segments) and self.data_offset < self.areas_end

    @property
    def is_erased(self) -> bool:
        """Whether the data are encrypted and no keyslot is left that could open them (``luksErase``)."""
        return bool(self.digests) and not any(keyslot.type == "luks2" for keyslot in self.keyslots.values())

    @property
    def is_decrypted(self) -> bool:
        """Whether a volume was decrypted on purpose: its data lie in the clear, and no key is needed or kept."""
        if self.is_in_reencryption or self.keyslots or self.digests:
            return False
        return bool(self.data_segments) and all(segment.type == "linear" for segment in self.data_segments)

    @property
    def is_in_reencryption(self) -> bool:
        """Whether a reencryption has begun and not ended."""
        return any(name.startswith(("online-reencrypt", "offline-reencrypt")) for name in self.config.requirements)

    @property
    def volume_key_size(self) -> int:
        """The size in bytes of the default segment's volume key; 0 when no keyslot is left to tell."""
        segment = self.default_segment
        digest = self.digest_of_segment(segment.id) if segment else None
        bound = digest.keyslots if digest else ()
        return next((self.keyslots[k].key_size for k in bound if k in self.keyslots), self.stated_key_size)
