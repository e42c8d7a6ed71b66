"""A LUKS2 header as bytes: both copies, each with its own salt, magic, offset and checksum (specification 2.1)."""

from __future__ import annotations

from dataclasses import replace

from luksafe.luks.af import RandomBytes
from luksafe.luks.finding import Severity
from luksafe.luks.luks2.binary_header import BINARY_BYTES, PRIMARY_MAGIC, SECONDARY_MAGIC, BinaryHeader, seal
from luksafe.luks.luks2.json_area import encode
from luksafe.luks.luks2.validate import validate
from luksafe.luks.model import CopyName, Json

HEADER_SALT_BYTES = 64


def write_copies(binary: BinaryHeader, document: Json, random_bytes: RandomBytes) -> tuple[bytes, bytes]:
    """Primary and secondary header area of a document. Raises ValueError for one that cryptsetup would refuse.

    ``binary`` gives uuid, label, subsystem, seqid, size and checksum algorithm; the rest is filled in.
    """
    json_bytes = binary.hdr_size - BINARY_BYTES
    errors = [f for f in validate(document, json_bytes) if f.severity is Severity.ERROR]
    if errors:
        raise ValueError(f"{errors[0].where}: {errors[0].text}")
    area = encode(document, json_bytes)
    primary = replace(binary, magic=PRIMARY_MAGIC, version=2, hdr_offset=0, salt=random_bytes(HEADER_SALT_BYTES))
    secondary = replace(
        primary, magic=SECONDARY_MAGIC, hdr_offset=binary.hdr_size, salt=random_bytes(HEADER_SALT_BYTES)
    )
    return seal(primary, area), seal(secondary, area)


def copy_from_other(area: bytes, to: CopyName, random_bytes: RandomBytes) -> bytes:
    """The header area of one copy, made from the bytes of the other: as cryptsetup recovers it, with a fresh salt."""
    source = BinaryHeader.parse(area)
    made = replace(
        source,
        magic=PRIMARY_MAGIC if to == "primary" else SECONDARY_MAGIC,
        hdr_offset=0 if to == "primary" else source.hdr_size,
        salt=random_bytes(HEADER_SALT_BYTES),
    )
    return seal(made, area[BINARY_BYTES:])
