"""A whole new header round a known volume key: for rebuilding what was lost, with all the parameters it had."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass, field, replace
from typing import Literal, Self

from luksafe.luks.af import RandomBytes
from luksafe.luks.luks1 import binary_header as luks1
from luksafe.luks.luks1.metadata import build_header as build_luks1
from luksafe.luks.luks2.binary_header import BINARY_BYTES, HEADER_SIZES, BinaryHeader
from luksafe.luks.luks2.metadata import build_header
from luksafe.luks.luks2.validate import MAX_KEYSLOTS_BYTES
from luksafe.luks.luks2.writer import write_copies
from luksafe.luks.model import Digest, Header, Json
from luksafe.luks.seal import SALT_BYTES, bind, digest_to_json, make_digest, seal_keyslot
from luksafe.secret import SecretBytes

KEYSLOT_ALIGNMENT = 4096
DIGEST_ITERATIONS = 100_000
DEFAULT_HEADER_BYTES = 16384
DETACHED_BYTES = 16 << 20
"""The size of a header that no data follow."""


@dataclass(frozen=True, slots=True)
class KdfChoice:
    """How a new keyslot derives its key. The defaults are cryptsetup's, without its benchmark."""

    type: Literal["pbkdf2", "argon2i", "argon2id"] = "argon2id"
    hash: str = "sha256"
    iterations: int = 2_000_000
    time: int = 4
    memory_kib: int = 1 << 20
    cpus: int = 4


@dataclass(frozen=True, slots=True)
class Parameters:
    """Everything a header says of its data. Sizes and offsets are bytes, ``iv_tweak`` counts 512-byte sectors.

    ``digest`` is an existing one that proves the volume key, to be kept; None makes a fresh one with ``hash``.
    """

    format: Literal["luks1", "luks2"]
    uuid: str
    encryption: str
    data_offset: int
    sector_size: int = 512
    iv_tweak: int = 0
    segment_size: int | None = None
    label: str = ""
    subsystem: str = ""
    flags: tuple[str, ...] = ()
    integrity: Json | None = None
    seqid: int = 1
    header_size: int = DEFAULT_HEADER_BYTES
    keyslots_size: int | None = None
    hash: str = "sha256"
    tokens: Json = field(default_factory=dict)
    digest: Digest | None = None

    @classmethod
    def from_header(cls, header: Header) -> Self:
        """What a header says of its default segment. Raises ValueError where it has none that is encrypted."""
        segment = header.default_segment
        if segment is None or not segment.encryption:
            raise ValueError("the header describes no encrypted data")
        digest = header.digest_of_segment(segment.id)
        is_luks2 = header.format == "luks2"
        return cls(
            format=header.format,
            uuid=header.uuid,
            encryption=segment.encryption,
            data_offset=segment.offset,
            sector_size=segment.sector_size,
            iv_tweak=segment.iv_tweak,
            segment_size=segment.size,
            label=header.label,
            subsystem=header.subsystem,
            flags=header.config.flags,
            integrity=segment.integrity,
            seqid=header.seqid,
            header_size=header.header_size if is_luks2 else DEFAULT_HEADER_BYTES,
            keyslots_size=header.config.keyslots_size if is_luks2 else None,
            hash=digest.hash if digest else "sha256",
            digest=digest,
        )


def create_header(
    parameters: Parameters,
    volume_key: SecretBytes,
    passphrase: SecretBytes,
    kdf: KdfChoice,
    random_bytes: RandomBytes,
    keyslot: int = 0,
) -> bytes:
    """The bytes from 0 to the end of the keyslots area of a new header with one keyslot; unused space is zero.

    Raises ValueError for parameters that fit no header, Unsupported for a cipher or hash that nothing here knows.
    """
    if parameters.format == "luks1":
        return _create_luks1(parameters, volume_key, passphrase, kdf, random_bytes, keyslot)
    return _create_luks2(parameters, volume_key, passphrase, kdf, random_bytes, keyslot)


def _create_luks2(
    p: Parameters,
    volume_key: SecretBytes,
    passphrase: SecretBytes,
    kdf: KdfChoice,
    random_bytes: RandomBytes,
    slot: int,
) -> bytes:
    if p.header_size not in HEADER_SIZES:
        raise ValueError(f"a header copy has no {p.header_size} bytes")
    room = min((p.data_offset or DETACHED_BYTES) - 2 * p.header_size, MAX_KEYSLOTS_BYTES)
    keyslots_size = room // 4096 * 4096 if p.keyslots_size is None else p.keyslots_size
    digest = bind(p.digest or make_digest(volume_key, p.hash, DIGEST_ITERATIONS, random_bytes), (slot,), (0,))
    document: Json = {
        "keyslots": {str(slot): keyslot_json(2 * p.header_size, len(volume_key), kdf, random_bytes)},
        "tokens": p.tokens,
        "segments": {"0": _segment_json(p)},
        "digests": {"0": digest_to_json(digest)},
        "config": {
            "json_size": str(p.header_size - BINARY_BYTES),
            "keyslots_size": str(keyslots_size),
            **({"flags": list(p.flags)} if p.flags else {}),
        },
    }
    binary = BinaryHeader(b"", 2, p.header_size, p.seqid, p.label, "sha256", b"", p.uuid, p.subsystem, 0, bytes(64))
    primary, secondary = write_copies(binary, document, random_bytes)
    made = build_header(binary, document)
    out = bytearray(made.areas_end)
    out[: 2 * p.header_size] = primary + secondary
    area = made.keyslots[slot].area
    sealed = seal_keyslot(made.keyslots[slot], passphrase, volume_key, random_bytes)
    start = area.offset if area else 0
    out[start : start + len(sealed)] = sealed
    return bytes(out)


def keyslot_json(area_offset: int, key_size: int, kdf: KdfChoice, random_bytes: RandomBytes) -> Json:
    """A keyslot (specification section 3.2) for a volume key of ``key_size`` bytes, its area at ``area_offset``."""
    salt = base64.b64encode(random_bytes(SALT_BYTES)).decode()
    if kdf.type == "pbkdf2":
        kdf_json: Json = {"type": "pbkdf2", "hash": kdf.hash, "iterations": kdf.iterations, "salt": salt}
    else:
        kdf_json = {"type": kdf.type, "time": kdf.time, "memory": kdf.memory_kib, "cpus": kdf.cpus, "salt": salt}
    return {
        "type": "luks2",
        "key_size": key_size,
        "af": {"type": "luks1", "stripes": luks1.STRIPES, "hash": "sha256"},
        "area": {
            "type": "raw",
            "offset": str(area_offset),
            "size": str(keyslot_area_bytes(key_size)),
            "encryption": "aes-xts-plain64",
            "key_size": 64,
        },
        "kdf": kdf_json,
    }


def keyslot_area_bytes(key_size: int) -> int:
    """The size of the area that keeps a key of ``key_size`` bytes."""
    return math.ceil(key_size * luks1.STRIPES / KEYSLOT_ALIGNMENT) * KEYSLOT_ALIGNMENT


def _segment_json(p: Parameters) -> Json:
    return {
        "type": "crypt",
        "offset": str(p.data_offset),
        "size": "dynamic" if p.segment_size is None else str(p.segment_size),
        "iv_tweak": str(p.iv_tweak),
        "encryption": p.encryption,
        "sector_size": p.sector_size,
        **({"integrity": p.integrity} if p.integrity else {}),
    }


def _create_luks1(
    p: Parameters,
    volume_key: SecretBytes,
    passphrase: SecretBytes,
    kdf: KdfChoice,
    random_bytes: RandomBytes,
    slot: int,
) -> bytes:
    if (p.sector_size, p.iv_tweak, p.segment_size, p.integrity) != (512, 0, None, None):
        raise ValueError("LUKS1 has sectors of 512 bytes, no IV offset, no fixed size and no integrity")
    cipher, _, mode = p.encryption.partition("-")
    digest = p.digest or make_digest(volume_key, p.hash, DIGEST_ITERATIONS, random_bytes, size_bytes=20)
    area_sectors = math.ceil(len(volume_key) * luks1.STRIPES / luks1.SECTOR_BYTES)
    step = math.ceil(area_sectors * luks1.SECTOR_BYTES / KEYSLOT_ALIGNMENT) * KEYSLOT_ALIGNMENT // luks1.SECTOR_BYTES
    first = KEYSLOT_ALIGNMENT // luks1.SECTOR_BYTES
    entries = [
        luks1.KeyslotEntry(luks1.DISABLED, 0, bytes(SALT_BYTES), first + number * step, luks1.STRIPES)
        for number in range(luks1.KEYSLOT_COUNT)
    ]
    entries[slot] = replace(
        entries[slot], active=luks1.ENABLED, iterations=kdf.iterations, salt=random_bytes(SALT_BYTES)
    )
    binary = luks1.BinaryHeader(
        magic=luks1.MAGIC,
        version=1,
        cipher_name=cipher,
        cipher_mode=mode,
        hash_spec=p.hash,
        payload_offset=p.data_offset // luks1.SECTOR_BYTES,
        key_bytes=len(volume_key),
        mk_digest=digest.digest,
        mk_digest_salt=digest.salt,
        mk_digest_iterations=digest.iterations,
        uuid=p.uuid,
        keyslots=tuple(entries),
    )
    header = build_luks1(binary)
    sealed = seal_keyslot(header.keyslots[slot], passphrase, volume_key, random_bytes)
    if p.data_offset and header.areas_end > p.data_offset:
        raise ValueError(f"a LUKS1 header needs {header.areas_end} bytes; the data begin at {p.data_offset}")
    out = bytearray(header.areas_end)
    out[: luks1.HEADER_BYTES] = binary.serialize()
    start = entries[slot].key_material_offset * luks1.SECTOR_BYTES
    out[start : start + len(sealed)] = sealed
    return bytes(out)
