"""Which bits of a header area may be the flipped ones: the grammar of JSON and the form of the fields narrow them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from luksafe.luks.luks2.binary_header import BINARY_BYTES, FIELDS

Flip = tuple[int, int]
"""Position in the area, and the mask of the bit."""

_PRINTABLE = frozenset(range(0x20, 0x7F))
_TEXT_OR_END = _PRINTABLE | {0}
_UUID = frozenset(b"0123456789abcdefABCDEF-")
_TEXT_FIELDS = {"label": _PRINTABLE, "subsystem": _PRINTABLE, "uuid": _UUID}
_BINARY = {field.name: field for field in FIELDS}
_LIKELY_SEQID_BITS = 32
_WORDS = (
    *("keyslots", "tokens", "segments", "digests", "config", "type", "key_size", "af", "stripes", "hash", "area"),
    *("offset", "size", "encryption", "kdf", "time", "memory", "cpus", "salt", "iterations", "iv_tweak", "digest"),
    *("sector_size", "json_size", "keyslots_size", "flags", "requirements", "mandatory", "priority", "integrity"),
    *("luks1", "luks2", "raw", "crypt", "pbkdf2", "argon2i", "argon2id", "dynamic", "sha1", "sha256", "sha512"),
    "aes-xts-plain64",
)
_KNOWN_TEXT = re.compile(rb'[{}\[\],:]*"(?:' + "|".join(map(re.escape, _WORDS)).encode() + rb')"[{}\[\],:]*')
_BITS = tuple(1 << bit for bit in range(8))


@dataclass(frozen=True, slots=True)
class FlipCandidates:
    """``likely`` leaves out what reads as intact words of the format. ``must`` are positions that cannot be right."""

    likely: list[Flip]
    every: list[Flip]
    must: frozenset[int]


def flip_candidates(area: bytes, text_end: int) -> FlipCandidates:
    """All bits of the fields and of the JSON text (up to ``text_end``, a position in the area) that may be flipped."""
    text = range(BINARY_BYTES, text_end)
    is_foreign = [p for p in range(BINARY_BYTES, len(area[:text_end].rstrip(b"\0"))) if area[p] not in _PRINTABLE]
    # JSON that holds UTF-8, or was written with line breaks, has many such bytes that are right
    must = frozenset(is_foreign) if len(is_foreign) <= _MOST_FOREIGN else frozenset()
    allowed = _TEXT_OR_END if must or not is_foreign else frozenset(range(256))
    in_text = [(p, mask) for p in text for mask in _BITS if area[p] ^ mask in allowed]
    fields = list(_field_flips(area))
    known = _known_positions(area[BINARY_BYTES:text_end])
    return FlipCandidates([f for f in in_text if f[0] not in known] + fields, in_text + fields, must)


_MOST_FOREIGN = 2
_NO_UTF8 = "\N{REPLACEMENT CHARACTER}"


def has_more_than_flips(area: bytes, text_end: int) -> bool:
    """Whether the JSON text holds more bytes that cannot be right than two flipped bits explain."""
    text = area[BINARY_BYTES:text_end].rstrip(b"\0")
    foreign = sum(byte not in _PRINTABLE for byte in text)
    if foreign <= _MOST_FOREIGN:
        return False
    wrong = (c == _NO_UTF8 or not (c.isprintable() or c.isspace()) for c in text.decode("utf-8", "replace"))
    return sum(wrong) > _MOST_FOREIGN


def _known_positions(text: bytes) -> frozenset[int]:
    return frozenset(
        BINARY_BYTES + position
        for found in _KNOWN_TEXT.finditer(text)
        for position in range(found.start(), found.end())
    )


def _field_flips(area: bytes) -> list[Flip]:
    flips = []
    for name, allowed in _TEXT_FIELDS.items():
        field = _BINARY[name]
        used = len(area[field.offset : field.offset + field.length].rstrip(b"\0"))
        for position in range(field.offset, field.offset + used):
            flips += [
                (position, mask) for mask in _BITS if area[position] ^ mask in allowed or not area[position] ^ mask
            ]
    salt, seqid = _BINARY["salt"], _BINARY["seqid"]
    flips += [(p, mask) for p in range(salt.offset, salt.offset + salt.length) for mask in _BITS]
    likely_from = seqid.offset + seqid.length - _LIKELY_SEQID_BITS // 8
    flips += [
        (p, mask)
        for p in range(seqid.offset, seqid.offset + seqid.length)
        for mask in _BITS
        if p >= likely_from or area[p] & mask
    ]
    return flips
