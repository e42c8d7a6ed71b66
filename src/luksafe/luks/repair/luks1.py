"""Repair of a LUKS1 header. It has no checksum: what is mended can have one value only, or is said to be a guess.

Where the data begin is not mended here: any offset may be right, whatever is usual, and only the data tell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from luksafe.luks.finding import Severity
from luksafe.luks.luks1.binary_header import (
    DISABLED,
    ENABLED,
    FIELDS,
    HEADER_BYTES,
    KEYSLOT_ENTRY_BYTES,
    KEYSLOT_FIELDS,
    KEYSLOTS_START,
    MAGIC,
    REENCRYPTION_MAGIC,
    STRIPES,
    BinaryHeader,
    KeyslotEntry,
)
from luksafe.luks.luks1.validate import validate
from luksafe.luks.repair.luks1_layout import Layout, find_layout, key_bytes_of
from luksafe.luks.repair.luks1_names import CIPHERS, MODES, is_uuid, mend_cipher, mend_hash, mend_mode, possible_uuids
from luksafe.luks.repair.proposal import Evidence, Ground, Outcome, Patch, Proposal

HELPS = (
    "a header backup brings it back: luksafe list, luksafe restore BACKUP DEVICE",
    "while the volume is still mapped, do not close it: luksafe rebuild DEVICE --from-mapping NAME",
)
HELPS_REENCRYPTION = (
    "in the folder with the files LUKS-<UUID>.log, .org and .new it goes on: cryptsetup reencrypt DEVICE",
    "without those files part of the data has a key that is nowhere: copy the whole disk before anything else",
)
_MOST_MARK_BITS = 4
"""The two marks differ in 15 bits: what is so near to one is not the other."""
_LEAST_MARKS, _LEAST_NAMES = 3, 2
_LEAST_SALT_VALUES = 24
"""So many different bytes are in 32 random ones, and seldom in what overwrote them."""
_USUAL_ITERATIONS = range(1000, 1 << 27)
"""What cryptsetup makes. Chance would have it of one number in thirty."""
_FIELD = {field.name: field for field in FIELDS}
_ENTRY_FIELD = {field.name: field for field in KEYSLOT_FIELDS}


def is_luks1_like(start: bytes) -> bool:
    """Whether so much of a LUKS1 header is left that it is one, whatever its magic and version say.

    Keyslot entries are enough: a LUKS2 header has zeros there, and one from before must not be put over them.
    """
    if len(start) < HEADER_BYTES:
        return False
    header = BinaryHeader.parse(start)
    if header.magic == MAGIC and header.version == 1:
        return True
    return (
        sum(entry.stripes == STRIPES and _mark(entry.active) is not None for entry in header.keyslots) >= _LEAST_MARKS
    )


def propose(start: bytes, device_bytes: int, uuid: str = "") -> Outcome:
    """What brings the 592 bytes of a LUKS1 header in order. ``uuid``: the one to write where it is lost."""
    header = BinaryHeader.parse(start)
    if header.magic == REENCRYPTION_MAGIC:
        # with the magic back the volume would open with the old key, and half of it be noise
        words = "a reencryption of this LUKS1 volume was interrupted: with the old header half of it would be noise"
        return Outcome(left=(words,), helps=HELPS_REENCRYPTION)
    proposals: list[Proposal] = []
    for step in (_mend_start, _mend_names, _mend_layout, _mend_entries):
        for proposal in step(header, device_bytes):
            proposals.append(proposal)
            header = BinaryHeader.parse(_patched(start, proposals))
    proposals += _mend_uuid(header, uuid)
    header = BinaryHeader.parse(_patched(start, proposals))
    faults = [f for f in validate(header, device_bytes) if f.severity is not Severity.INFO]
    left = [f.text for f in faults if f.code != "uuid-form"] + [w for w in (_uuid_words(header),) if w]
    return Outcome(tuple(proposals), left=tuple(left), helps=HELPS if left else ())


def _patched(start: bytes, proposals: list[Proposal]) -> bytes:
    out = bytearray(start)
    for proposal in proposals:
        for patch in proposal.patches:
            out[patch.offset : patch.offset + len(patch.data)] = patch.data
    return bytes(out)


def _mend_start(header: BinaryHeader, device_bytes: int) -> Iterator[Proposal]:
    names = (header.cipher_name in CIPHERS) + (header.cipher_mode in MODES) + is_uuid(header.uuid)
    if names < _LEAST_NAMES:
        return
    why = "cipher, UUID and keyslot entries are those of a LUKS1 header, which has one magic and one version"
    if header.magic != MAGIC:
        yield _field("magic-restored", "put the magic back", why, "magic", MAGIC)
    if header.version != 1:
        text = f"set the version to 1 (it says {header.version})"
        yield _field("version-restored", text, why, "version", (1).to_bytes(2, "big"))


def _mend_names(header: BinaryHeader, device_bytes: int) -> Iterator[Proposal]:
    for name, mend in (("cipher_name", mend_cipher), ("cipher_mode", mend_mode), ("hash_spec", mend_hash)):
        stated = getattr(header, name)
        if right := mend(stated):
            text = f"set {name.replace('_', ' ')} to {right!r} (it says {stated!r})"
            why = "no other name that LUKS1 uses is so near"
            yield _field(f"{name.replace('_', '-')}-mended", text, why, name, right.encode().ljust(32, b"\0"))


def _mend_layout(header: BinaryHeader, device_bytes: int) -> Iterator[Proposal]:
    layout = find_layout(header)
    if layout is None:
        return
    key_bytes = key_bytes_of(layout, header.cipher_mode)
    row = f"{layout.agreeing} of 8 keyslots lie {layout.step} sectors apart"
    if key_bytes and _has_area_faults(header) and key_bytes != header.key_bytes:
        text = f"set the key size to {key_bytes} bytes (it says {header.key_bytes})"
        yield _field("key-bytes-derived", text, f"{row}: no other key size gives that", "key_bytes", _u32(key_bytes))
        header = replace(header, key_bytes=key_bytes)
    if _has_area_faults(header):
        for slot, entry in enumerate(header.keyslots):
            if entry.key_material_offset != layout.offset_of(slot):
                yield _offset_proposal(slot, entry, layout, row)


def _offset_proposal(slot: int, entry: KeyslotEntry, layout: Layout, row: str) -> Proposal:
    right = layout.offset_of(slot)
    text = f"set the offset of keyslot {slot} to sector {right} (it says {entry.key_material_offset})"
    data = _u32(right)
    return _entry("keyslot-offset-derived", text, row, slot, "key_material_offset", data)


def _has_area_faults(header: BinaryHeader) -> bool:
    faults = {"keyslot-offset", "area-overlap", "luks1-key-size"}
    # the size of the device is judged elsewhere: here it is no limit
    return any(f.code in faults for f in validate(header, 1 << 62))


def _mend_entries(header: BinaryHeader, device_bytes: int) -> Iterator[Proposal]:
    layout = find_layout(header)
    if not any(_mark(entry.active) for entry in header.keyslots):
        return  # the table is gone: nothing in it would be more than form
    for slot, entry in enumerate(header.keyslots):
        mark = _mark(entry.active)
        if mark is None:
            yield _active_again(slot, entry) if _is_in_use(entry) else _reset_entry(slot, entry, layout)
            continue
        if mark != entry.active:
            word = "active" if mark == ENABLED else "inactive"
            text = f"mark keyslot {slot} as {word} again (the mark is {entry.active:#010x})"
            why = (
                f"the mark differs in {(mark ^ entry.active).bit_count()} bits from that, in 11 or more from the other"
            )
            yield _entry("keyslot-mark-mended", text, why, slot, "active", _u32(mark))
        if entry.stripes != STRIPES:
            text = f"set the stripes of keyslot {slot} to {STRIPES} (they say {entry.stripes})"
            yield _entry("keyslot-stripes-restored", text, "LUKS1 has no other number", slot, "stripes", _u32(STRIPES))


def _has_salt(entry: KeyslotEntry) -> bool:
    return len(set(entry.salt)) >= _LEAST_SALT_VALUES


def _is_in_use(entry: KeyslotEntry) -> bool:
    """Whether all but the mark is what a keyslot in use has."""
    return _has_salt(entry) and entry.stripes == STRIPES and entry.iterations in _USUAL_ITERATIONS


def _active_again(slot: int, entry: KeyslotEntry) -> Proposal:
    text = f"mark keyslot {slot} as active again (the mark is {entry.active:#010x})"
    why = "it has iterations and a salt, and an inactive keyslot has neither"
    return _entry("keyslot-mark-mended", text, why, slot, "active", _u32(ENABLED))


def _reset_entry(slot: int, entry: KeyslotEntry, layout: Layout | None) -> Proposal:
    """An entry of which not even the mark is left: empty, as cryptsetup makes it."""
    offset = layout.offset_of(slot) if layout else entry.key_material_offset
    data = _u32(DISABLED) + _u32(0) + bytes(32) + _u32(offset) + _u32(STRIPES)
    text = f"make keyslot {slot} an empty one: its entry is overwritten (the mark is {entry.active:#010x})"
    why = "the row of the other keyslots gives its offset; a key in it could not be had without its salt"
    evidence = Evidence.ONLY_VALUE
    if _has_salt(entry):
        evidence, why = Evidence.STRUCTURE, "what is left may be its salt, but its mark and its iterations are gone"
    at = KEYSLOTS_START + slot * KEYSLOT_ENTRY_BYTES
    return Proposal("keyslot-entry-reset", text, why, evidence, (Patch(at, data, "LUKS1 header"),), Ground.NOTHING)


def _mend_uuid(header: BinaryHeader, uuid: str) -> Iterator[Proposal]:
    possible = [] if is_uuid(header.uuid) else possible_uuids(header.uuid)
    if uuid and uuid != header.uuid:
        text = f"set the UUID to {uuid} (it says {header.uuid!r})"
        yield _field("uuid-set", text, "given with --uuid", "uuid", uuid.encode().ljust(40, b"\0"))
    elif len(possible) == 1:
        text = f"set the UUID to {possible[0]} (it says {header.uuid!r})"
        data = possible[0].encode().ljust(40, b"\0")
        # one character lost a bit; of several neighbours it is likelier that they were overwritten
        is_one = sum(one != other for one, other in zip(possible[0], header.uuid.lower(), strict=True)) == 1
        evidence = Evidence.ONLY_VALUE if is_one else Evidence.STRUCTURE
        why = "no other character is one bit away"
        yield _field("uuid-mended", text, why, "uuid", data, evidence, Ground.NOTHING)


def _uuid_words(header: BinaryHeader) -> str:
    """What is wrong with a UUID that could not be mended; empty when it is one."""
    if is_uuid(header.uuid):
        return ""
    possible = " or ".join(possible_uuids(header.uuid))
    advice = f"it was {possible}, if one bit flipped; " if possible else ""
    return f"{header.uuid!r} is no UUID: {advice}give the right one with --uuid"


def _mark(value: int) -> int | None:
    """The mark that the value is, or was before a few bits flipped; None when it is neither."""
    return next((mark for mark in (ENABLED, DISABLED) if (mark ^ value).bit_count() <= _MOST_MARK_BITS), None)


def _field(
    code: str,
    text: str,
    why: str,
    name: str,
    data: bytes,
    evidence: Evidence = Evidence.ONLY_VALUE,
    ground: Ground = Ground.KEYSLOT,
) -> Proposal:
    return Proposal(code, text, why, evidence, (Patch(_FIELD[name].offset, data, "LUKS1 header"),), ground)


def _entry(code: str, text: str, why: str, slot: int, name: str, data: bytes) -> Proposal:
    at = KEYSLOTS_START + slot * KEYSLOT_ENTRY_BYTES + _ENTRY_FIELD[name].offset
    return Proposal(code, text, why, Evidence.ONLY_VALUE, (Patch(at, data, "LUKS1 header"),))


def _u32(value: int) -> bytes:
    return value.to_bytes(4, "big")
