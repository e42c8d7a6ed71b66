"""A LUKS1 header in the terms of LUKS2, so that everything above has one model."""

from __future__ import annotations

import base64
from dataclasses import replace

from luksafe.luks.luks1.binary_header import HEADER_BYTES, MAGIC, SECTOR_BYTES, STRIPES, BinaryHeader, KeyslotEntry
from luksafe.luks.luks1.validate import end_of_keyslots_bytes
from luksafe.luks.luks2.binary_header import BinaryHeader as Luks2BinaryHeader
from luksafe.luks.luks2.metadata import build_header as build_luks2
from luksafe.luks.model import LUKS1_HEADER_AREA, Header, Json


def build_header(binary: BinaryHeader, offset: int = 0) -> Header:
    """The header in the common model; ``document`` is LUKS2 JSON that says the same."""
    as_luks2 = Luks2BinaryHeader(MAGIC, 1, HEADER_BYTES, 0, "", "", b"", binary.uuid, "", 0, b"")
    header = build_luks2(as_luks2, to_document(binary), offset)
    return replace(header, format="luks1", stated_key_size=binary.key_bytes)


def to_document(binary: BinaryHeader) -> Json:
    """LUKS2 JSON that describes the LUKS1 header: active keyslots, one segment, one digest."""
    active = {str(slot): entry for slot, entry in enumerate(binary.keyslots) if entry.is_active}
    return {
        "keyslots": {slot: _keyslot(binary, entry) for slot, entry in active.items()},
        "tokens": {},
        "segments": {
            "0": {
                "type": "crypt",
                "offset": str(binary.payload_offset * SECTOR_BYTES),
                "size": "dynamic",
                "iv_tweak": "0",
                "encryption": binary.encryption,
                "sector_size": SECTOR_BYTES,
            }
        },
        "digests": {
            "0": {
                "type": "pbkdf2",
                "keyslots": list(active),
                "segments": ["0"],
                "hash": binary.hash_spec,
                "iterations": binary.mk_digest_iterations,
                "salt": base64.b64encode(binary.mk_digest_salt).decode(),
                "digest": base64.b64encode(binary.mk_digest).decode(),
            }
        },
        "config": {
            "json_size": str(0),
            "keyslots_size": str(max(0, end_of_keyslots_bytes(binary) - LUKS1_HEADER_AREA)),
        },
    }


def _keyslot(binary: BinaryHeader, entry: KeyslotEntry) -> Json:
    return {
        "type": "luks2",
        "key_size": binary.key_bytes,
        "af": {"type": "luks1", "stripes": STRIPES, "hash": binary.hash_spec},
        "area": {
            "type": "raw",
            "offset": str(entry.key_material_offset * SECTOR_BYTES),
            "size": str(binary.area_sectors * SECTOR_BYTES),
            "encryption": binary.encryption,
            "key_size": binary.key_bytes,
        },
        "kdf": {
            "type": "pbkdf2",
            "salt": base64.b64encode(entry.salt).decode(),
            "hash": binary.hash_spec,
            "iterations": entry.iterations,
        },
    }
