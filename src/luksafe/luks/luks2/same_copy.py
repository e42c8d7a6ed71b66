"""Whether two LUKS2 header copies say the same: cryptsetup gives a copy that it mends another salt and checksum."""

from __future__ import annotations

from dataclasses import replace

from luksafe.errors import Unsupported
from luksafe.luks.luks2 import json_area
from luksafe.luks.luks2.binary_header import (
    BINARY_BYTES,
    HEADER_SIZES,
    PRIMARY_MAGIC,
    SECONDARY_MAGIC,
    BinaryHeader,
    has_good_checksum,
)


def begins_with_copy(data: bytes) -> bool:
    """Whether a header copy, primary or secondary, seems to begin here."""
    return data[:6] in (PRIMARY_MAGIC, SECONDARY_MAGIC)


def is_same_copy(seen: bytes, other: bytes) -> bool:
    """Whether ``seen`` begins with a whole header copy that says what ``other`` says, in either of the two places."""
    one, two = _parse(seen), _parse(other)
    if one is None or two is None or _without_place(one) != _without_place(two):
        return False
    documents = [json_area.decode(area[BINARY_BYTES : one.hdr_size])[0] for area in (seen, other)]
    return documents[0] is not None and documents[0] == documents[1]


def _parse(area: bytes) -> BinaryHeader | None:
    """The binary header of a copy that is there in full and whose checksum is right."""
    if not begins_with_copy(area) or len(area) < BINARY_BYTES:
        return None
    header = BinaryHeader.parse(area)
    if header.hdr_size not in HEADER_SIZES or len(area) < header.hdr_size:
        return None
    try:
        return header if has_good_checksum(header, area[: header.hdr_size]) else None
    except Unsupported:
        return None


def _without_place(header: BinaryHeader) -> BinaryHeader:
    return replace(header, magic=b"", salt=b"", checksum=b"", hdr_offset=0)
