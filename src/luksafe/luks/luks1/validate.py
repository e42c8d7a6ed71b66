"""Whether 592 bytes are a usable LUKS1 header: the checks that cryptsetup makes, each fault with its place."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from luksafe.crypto.hashes import digest_size
from luksafe.errors import Unsupported
from luksafe.luks.finding import Finding, Severity
from luksafe.luks.luks1.binary_header import (
    DISABLED,
    ENABLED,
    FIELDS,
    HEADER_BYTES,
    KEYSLOT_ENTRY_BYTES,
    KEYSLOTS_START,
    SECTOR_BYTES,
    STRIPES,
    BinaryHeader,
)

DIGEST_BYTES = 20
MAX_KEY_BYTES = 4096


def validate(header: BinaryHeader, device_bytes: int) -> list[Finding]:
    """Everything wrong with the header on a device of that size; errors are what cryptsetup refuses."""
    return [
        *_check_names(header),
        *_check_key_size(header),
        *_check_keyslots(header),
        *_check_overlaps(header),
        *_check_device_size(header, device_bytes),
    ]


def end_of_keyslots_bytes(header: BinaryHeader) -> int:
    """Where the last keyslot area ends, in bytes: what a device must at least hold."""
    return max(k.key_material_offset + header.area_sectors for k in header.keyslots) * SECTOR_BYTES


def entry_offset_bytes(slot: int, field: str = "") -> int:
    """Where a keyslot entry (or one number of it) stands in the header."""
    inside = {"": 0, "active": 0, "iterations": 4, "salt": 8, "key_material_offset": 40, "stripes": 44}
    return KEYSLOTS_START + slot * KEYSLOT_ENTRY_BYTES + inside[field]


def _error(code: str, where: str, text: str, offset: int, length: int) -> Finding:
    return Finding(code, Severity.ERROR, where, text, offset, length)


def _check_names(header: BinaryHeader) -> Iterator[Finding]:
    at = {f.name: f for f in FIELDS}["hash_spec"]
    try:
        known = digest_size(header.hash_spec) >= DIGEST_BYTES
    except Unsupported:
        known = False
    if not known:
        text = f"hash {header.hash_spec!r} is not known here, or too short for LUKS1"
        yield _error("luks1-hash", "hash_spec", text, at.offset, at.length)
    elif header.hash_spec != header.hash_spec.lower():
        text = f"hash name {header.hash_spec!r} is not in lower case; old cryptsetup cannot read it"
        yield Finding("luks1-hash-case", Severity.WARNING, "hash_spec", text, at.offset, at.length)
    for name, start in (("cipher_name", 8), ("cipher_mode", 40)):
        value = getattr(header, name)
        if not value or not value.isascii() or not value.isprintable():
            yield _error("luks1-cipher", name, f"{name.replace('_', ' ')} {value!r} is none", start, 32)
    if header.cipher_mode.startswith("ecb-"):
        text = f"mode {header.cipher_mode!r}: ecb has no IV"
        yield Finding("luks1-ecb-iv", Severity.WARNING, "cipher_mode", text, 40, 32)
    if not header.uuid.isascii() or len(header.uuid) != 36:
        yield Finding("uuid-form", Severity.WARNING, "uuid", f"{header.uuid!r} is no UUID", 168, 40)


def _check_key_size(header: BinaryHeader) -> Iterator[Finding]:
    if not 0 < header.key_bytes <= MAX_KEY_BYTES:
        yield _error("luks1-key-size", "key_bytes", f"a key of {header.key_bytes} bytes", 108, 4)


def _check_keyslots(header: BinaryHeader) -> Iterator[Finding]:
    for slot, entry in enumerate(header.keyslots):
        where = f"keyslots.{slot}"
        at = entry_offset_bytes(slot, "key_material_offset")
        start, end = entry.key_material_offset, entry.key_material_offset + header.area_sectors
        if entry.active not in (ENABLED, DISABLED):
            text = f"the active mark {entry.active:#010x} is neither on nor off"
            yield Finding("keyslot-mark", Severity.WARNING, f"{where}.active", text, entry_offset_bytes(slot), 4)
        if entry.is_active and entry.iterations == 0:
            text = "the iteration count is 0; this keyslot opens with nothing"
            at_iterations = entry_offset_bytes(slot, "iterations")
            yield Finding("keyslot-iterations", Severity.WARNING, f"{where}.iterations", text, at_iterations, 4)
        if entry.stripes != STRIPES:
            text = f"invalid stripes count {entry.stripes} in keyslot {slot}"
            yield _error("keyslot-stripes", f"{where}.stripes", text, entry_offset_bytes(slot, "stripes"), 4)
        if start * SECTOR_BYTES < HEADER_BYTES:
            yield _error("keyslot-offset", where, f"invalid offset {start} in keyslot {slot}: inside the header", at, 4)
        elif header.payload_offset and end > header.payload_offset:
            text = f"invalid offset {start} in keyslot {slot}: its area ends in the data, which begin at sector "
            yield _error("keyslot-offset", where, f"{text}{header.payload_offset}", at, 4)


def _check_overlaps(header: BinaryHeader) -> Iterator[Finding]:
    order = sorted(range(len(header.keyslots)), key=lambda slot: header.keyslots[slot].key_material_offset)
    for before, after in itertools.pairwise(order):
        end = header.keyslots[before].key_material_offset + header.area_sectors
        if header.keyslots[after].key_material_offset < end:
            at = entry_offset_bytes(after, "key_material_offset")
            text = f"the areas of keyslots {before} and {after} overlap"
            yield _error("area-overlap", f"keyslots.{after}", text, at, 4)


def _check_device_size(header: BinaryHeader, device_bytes: int) -> Iterator[Finding]:
    needed = end_of_keyslots_bytes(header)
    if device_bytes < needed:
        text = f"the device is too small: the header needs {needed} bytes, there are {device_bytes}"
        yield _error("device-too-small", "keyslots", text, device_bytes, needed - device_bytes)
