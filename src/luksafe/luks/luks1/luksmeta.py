"""luksmeta: where clevis keeps, for a LUKS1 volume, what unlocks it, between the keyslots and the data.

After the magic, a version and a checksum come eight entries of 32 bytes: the UUID of the owner, offset (from the magic)
and length, a checksum, four bytes that are reserved; all big-endian. The data follow.
"""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass

MAGIC = b"LUKSMETA"
CLEVIS = "cb6e8904-81ff-40da-a84a-07ab9ab5715e"
SLOTS = 8
_ALIGNMENT_BYTES = 4096
_ENTRY = struct.Struct(">16sIIII")
_FIRST_ENTRY = 16


@dataclass(frozen=True, slots=True)
class Note:
    """What is kept with one keyslot: whose it is, and the bytes."""

    slot: int
    owner: str
    content: bytes

    @property
    def words(self) -> str:
        """Whose it is, for people."""
        return f"{'clevis' if self.owner == CLEVIS else self.owner} for keyslot {self.slot}"


def read_luksmeta(gap: bytes, gap_start: int) -> dict[int, Note]:
    """The notes by keyslot in the bytes from ``gap_start`` to the data; empty where there are none."""
    for at in range(-gap_start % _ALIGNMENT_BYTES, len(gap), _ALIGNMENT_BYTES):
        if gap[at : at + len(MAGIC)] == MAGIC:
            return dict(_notes(gap[at:]))
    return {}


def _notes(area: bytes) -> list[tuple[int, Note]]:
    found = []
    for slot in range(SLOTS):
        entry = area[_FIRST_ENTRY + slot * _ENTRY.size :][: _ENTRY.size]
        if len(entry) < _ENTRY.size:
            break
        owner, offset, length, _, _ = _ENTRY.unpack(entry)
        if any(owner):
            content = area[offset : offset + length]
            found.append((slot, Note(slot, str(uuid.UUID(bytes=owner)), content)))
    return found
