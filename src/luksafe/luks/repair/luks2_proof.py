"""One copy of a LUKS2 header against its own checksum: as it stands, and with what cannot be otherwise set right."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from luksafe.crypto.hashes import digest_size, known_hashes
from luksafe.errors import Unsupported
from luksafe.luks.finding import Severity
from luksafe.luks.luks2 import json_area
from luksafe.luks.luks2.binary_header import (
    BINARY_BYTES,
    CHECKSUM_BYTES,
    CHECKSUM_OFFSET,
    FIELDS,
    HEADER_SIZES,
    PRIMARY_MAGIC,
    SECONDARY_MAGIC,
    BinaryHeader,
    calculate_checksum,
)
from luksafe.luks.luks2.validate import validate
from luksafe.luks.model import CopyName, Json

MOST_CHECKSUM_BITS = 12
"""A computed checksum this near to the stored one is the same with flipped bits: chance would need 2 to the 180."""
USUAL_CHECKSUM = "sha256"
_FIELD = {field.name: field for field in FIELDS}
_STORED = slice(CHECKSUM_OFFSET, CHECKSUM_OFFSET + CHECKSUM_BYTES)
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_STRIPES = re.compile(rb'("stripes":)\d{4}(?=[,}])')
_JSON_SIZE = re.compile(rb'"json_size":"(\d{5,7})"')


@dataclass(frozen=True, slots=True)
class Content:
    """What a copy says: a whole area whose checksum holds (``area``), and its JSON when that is valid.

    ``is_proven`` is false where the checksum had to be made for it: then it proves nothing.
    """

    area: bytes
    why: str
    document: Json | None
    fault: str = ""
    is_proven: bool = True

    @property
    def binary(self) -> BinaryHeader:
        """The fields of its binary header."""
        return BinaryHeader.parse(self.area)

    @property
    def meaning(self) -> tuple[object, ...]:
        """Everything that both copies of a header have in common."""
        b = self.binary
        return (b.hdr_size, b.seqid, b.label, b.checksum_algorithm, b.uuid, b.subsystem, self.area[BINARY_BYTES:])


def sealed_content(area: bytes, why: str, *, is_proven: bool = True) -> Content:
    """The content of an area, its checksum field set to what it must be."""
    out = bytearray(area)
    out[_STORED] = calculate_checksum(BinaryHeader.parse(area).checksum_algorithm, area)
    document, fault = read_json(area)
    return Content(bytes(out), why, document, fault, is_proven)


def read_json(area: bytes) -> tuple[Json | None, str]:
    """The valid document of an area, or None and what is wrong with it."""
    document, findings = json_area.decode(area[BINARY_BYTES:])
    if document is not None:
        findings = findings + validate(document, len(area) - BINARY_BYTES)
    errors = [finding.text for finding in findings if finding.severity is Severity.ERROR]
    return (None, errors[0]) if errors else (document, "")


def prove(raw: bytes, place: CopyName) -> Content | None:
    """The content of a copy whose checksum holds once all that can have one value only has it; None otherwise.

    ``raw`` is as long as a header area and stood at ``place``; it may turn out to be the other copy.
    """
    for area, why in _variants(raw, place):
        if checksum_distance(area) <= MOST_CHECKSUM_BITS:
            return sealed_content(area, why)
    return None


def checksum_distance(area: bytes) -> int:
    """In how many bits the stored checksum differs from that of the area; unknown hashes are far off."""
    binary = BinaryHeader.parse(area)
    try:
        made = calculate_checksum(binary.checksum_algorithm, area)
        size = digest_size(binary.checksum_algorithm)
    except Unsupported:
        return 8 * CHECKSUM_BYTES
    return (int.from_bytes(made[:size], "big") ^ int.from_bytes(binary.checksum[:size], "big")).bit_count()


def _variants(raw: bytes, place: CopyName) -> Iterator[tuple[bytes, str]]:
    yield raw, "its own checksum holds"
    other: CopyName = "secondary" if place == "primary" else "primary"
    for role, why in (
        (place, "with magic, sizes and zero padding put back its own checksum holds"),
        (other, "it is the other copy, by its own checksum"),
    ):
        for name in checksum_names(raw):
            yield with_fixed_fields(raw, role, name), why


def stated_uuid(raw: bytes) -> str:
    """The UUID that a copy states, in lower case, whatever else of it is damaged; empty where there is none."""
    text = BinaryHeader.parse(raw).uuid.lower()
    return text if _UUID.fullmatch(text) else ""


def checksum_names(raw: bytes) -> list[str]:
    """The hash that the header names; where that is none, every known one, the usual one first.

    A name in other letters than cryptsetup writes is a damaged one more likely than not.
    """
    stated = BinaryHeader.parse(raw).checksum_algorithm
    try:
        digest_size(stated)
    except Unsupported:
        return [USUAL_CHECKSUM, *(name for name in known_hashes() if name != USUAL_CHECKSUM)]
    return [stated] if stated == stated.lower() else [stated.lower(), stated]


def with_fixed_fields(raw: bytes, place: CopyName, algorithm: str, *, end: int | None = None) -> bytes:
    """The area with every byte set that can have one value only: magic, version, sizes, names' padding, zeros.

    ``end``: where the zeros behind the JSON text begin; by itself at the first run of them, which may be a hole.
    """
    out = bytearray(raw)
    offset = 0 if place == "primary" else len(raw)
    _set(out, "magic", PRIMARY_MAGIC if place == "primary" else SECONDARY_MAGIC)
    _set(out, "version", (2).to_bytes(2, "big"))
    _set(out, "hdr_size", len(raw).to_bytes(8, "big"))
    _set(out, "hdr_offset", offset.to_bytes(8, "big"))
    _set(out, "checksum_algorithm", algorithm.encode().ljust(32, b"\0"))
    for name in ("label", "uuid", "subsystem"):
        field = _FIELD[name]
        text = bytes(out[field.offset : field.offset + field.length]).split(b"\0", 1)[0]
        _set(out, name, text.ljust(field.length, b"\0"))
    _zero_outside_fields(out)
    end = text_end(raw) if end is None else end
    out[end:] = bytes(len(out) - end)
    return bytes(out[:BINARY_BYTES]) + with_right_stripes(bytes(out[BINARY_BYTES:]))


def with_right_stripes(text: bytes) -> bytes:
    """The JSON text with the one number of stripes that there is."""
    return _STRIPES.sub(rb"\g<1>4000", text)


def _set(out: bytearray, name: str, value: bytes) -> None:
    out[_FIELD[name].offset : _FIELD[name].offset + _FIELD[name].length] = value


def _zero_outside_fields(out: bytearray) -> None:
    at = 0
    for field in FIELDS:
        out[at : field.offset] = bytes(field.offset - at)
        at = field.offset + field.length
    out[at:BINARY_BYTES] = bytes(BINARY_BYTES - at)


def text_end(area: bytes) -> int:
    """Where in the area the JSON text ends: the first zero byte that a run of zeros follows."""
    end = area.find(bytes(_ZERO_RUN), BINARY_BYTES)
    return len(area) if end < 0 else max(end, BINARY_BYTES)


_ZERO_RUN = 8
"""A zero byte in the middle of the text is damage; so many end it."""


def possible_sizes(start: bytes) -> list[int]:
    """The sizes that a header area may have, likely ones first: as the fields and the JSON of either copy state.

    ``start`` are the first 8 MiB of the volume, or fewer when it is shorter.
    """
    votes = dict.fromkeys(HEADER_SIZES, 0)
    for offset in (0, *HEADER_SIZES):
        for size in _stated_sizes(start[offset:]):
            if size in votes and offset in (0, size):
                votes[size] += 1
    return sorted((size for size in HEADER_SIZES if votes[size]), key=lambda size: -votes[size])


def _stated_sizes(copy: bytes) -> Iterator[int]:
    if len(copy) >= BINARY_BYTES:
        yield BinaryHeader.parse(copy).hdr_size
        found = _JSON_SIZE.search(copy, BINARY_BYTES, HEADER_SIZES[-1])
        if found and b"\0" * _ZERO_RUN not in copy[BINARY_BYTES : found.start()]:
            yield int(found[1]) + BINARY_BYTES
