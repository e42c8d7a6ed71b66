"""Every parameter of a volume that is needed to put a header round its key again (spec/escrow-packet.md section 4)."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Literal, Self

from luksafe.errors import DamagedInput
from luksafe.escrow.json_members import Json, Members
from luksafe.luks.model import Header

VolumeFormat = Literal["luks1", "luks2", "unknown"]
FORMATS: tuple[VolumeFormat, ...] = ("luks1", "luks2", "unknown")
CRYPT_TYPES = ("crypt", "hw-opal-crypt")


@dataclass(frozen=True, slots=True)
class VolumeParameters:
    """What a header says besides keyslots and tokens. ``segments``, ``digests`` and ``config`` are LUKS2 JSON.

    LUKS1 is written in LUKS2 terms, as ``Header.document`` has it. ``header_size`` is bytes of one header copy.
    Where a secret came from another tool and no header was at hand, the format is ``unknown``, and members lack.
    """

    format: VolumeFormat
    uuid: str
    label: str
    subsystem: str
    header_size: int
    key_bits: int
    segments: Json = field(default_factory=dict)
    digests: Json = field(default_factory=dict)
    config: Json = field(default_factory=dict)

    @classmethod
    def from_header(cls, header: Header, key_bytes: int) -> Self:
        """The parameters of a volume whose volume key has ``key_bytes`` bytes."""
        document = copy.deepcopy(header.document)
        return cls(
            format=header.format,
            uuid=header.uuid,
            label=header.label,
            subsystem=header.subsystem,
            header_size=header.header_size,
            key_bits=key_bytes * 8,
            segments=document["segments"],
            digests=document["digests"],
            config=document["config"],
        )

    @property
    def segment(self) -> Json:
        """The segment whose key is the volume key, as ``Header.default_segment`` chooses it."""
        return self.segments[self._segment_id] if self._segment_id else {}

    @property
    def digest_id(self) -> str:
        """The name of the digest that proves the volume key; empty when there is none."""
        ids = (k for k, d in sorted(self.digests.items()) if self._segment_id in d.get("segments", ()))
        return next(ids, "")

    @property
    def cipher(self) -> str:
        """The cipher in dm-crypt's spelling; empty when the data is not encrypted."""
        return str(self.segment.get("encryption", ""))

    @property
    def sector_size(self) -> int:
        """The encryption sector size in bytes."""
        return int(self.segment.get("sector_size", 512))

    @property
    def data_offset(self) -> int:
        """Where the encrypted data begins, in bytes of the data device."""
        return int(self.segment.get("offset", 0))

    @property
    def iv_tweak(self) -> int:
        """What is added to the IV number, in 512-byte sectors."""
        return int(self.segment.get("iv_tweak", 0))

    @property
    def hash(self) -> str:
        """The hash of the digest (LUKS1: also of the keyslots)."""
        return str(self.digests.get(self.digest_id, {}).get("hash", ""))

    @property
    def is_complete(self) -> bool:
        """Whether a header can be put round the volume key with these parameters."""
        needed = ("encryption", "offset", "sector_size", "iv_tweak")
        return self.format != "unknown" and bool(self.digest_id) and all(name in self.segment for name in needed)

    @property
    def _segment_id(self) -> str:
        ids = [i for i in sorted(self.segments, key=int) if self.segments[i].get("type") in CRYPT_TYPES]
        final = (i for i in ids if "backup-final" in self.segments[i].get("flags", ()))
        data = (
            i for i in ids if not any(str(flag).startswith("backup-") for flag in self.segments[i].get("flags", ()))
        )
        return next(final, next(data, ""))

    def to_json(self) -> Json:
        """The member ``volume``."""
        names = {"label": self.label, "subsystem": self.subsystem}
        return {
            "format": self.format,
            "uuid": self.uuid,
            **{name: value for name, value in names.items() if value},
            "key_bits": self.key_bits,
            "header_size": self.header_size,
            "segments": self.segments,
            "digests": self.digests,
            "config": self.config,
        }

    @classmethod
    def from_json(cls, document: object) -> Self:
        """Read what ``to_json`` wrote; raises DamagedInput."""
        members = Members(document, "the volume's parameters")
        volume = cls(
            format=_format(members.text("format")),
            uuid=members.text("uuid"),
            label=members.text("label", ""),
            subsystem=members.text("subsystem", ""),
            header_size=members.integer("header_size", 0),
            key_bits=members.integer("key_bits", most=8192),
            segments=members.object("segments"),
            digests=members.object("digests"),
            config=members.object("config"),
        )
        _check(volume)
        return volume


def _format(text: str) -> VolumeFormat:
    for known in FORMATS:
        if text == known:
            return known
    raise DamagedInput(f"the volume's format is {text[:40]!r}, not luks1 or luks2")


def _check(volume: VolumeParameters) -> None:
    """Refuse segments and digests that the properties could not read."""
    try:
        for section in (volume.segments, volume.digests):
            for name, item in section.items():
                int(name)
                list(item.get("flags", ())), list(item.get("segments", ()))
        whole = (volume.cipher, volume.sector_size, volume.data_offset, volume.iv_tweak, volume.hash)
    except (ValueError, TypeError, AttributeError):
        raise DamagedInput("the volume's segments or digests are not as LUKS2 has them") from None
    if min(whole[1:4]) < 0:
        raise DamagedInput("a size or an offset in the volume's segments is negative")
