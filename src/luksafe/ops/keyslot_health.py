"""Whether the key material of a keyslot can still be whole, judged by statistics: it must look like random bytes."""

from __future__ import annotations

from luksafe.luks.model import Header
from luksafe.reader import Reader

_BLOCK_BYTES = 512
_LEAST_DISTINCT = 128
"""Of 512 random bytes about 222 values differ; 128 is twenty standard deviations away."""


def destroyed_keyslots(reader: Reader, header: Header) -> tuple[int, ...]:
    """The keyslots with a sector that cannot be key material (zeros, text, structures), or that lie beyond the end."""
    return tuple(k.id for k in header.keyslots.values() if k.af and _is_destroyed(reader, header, k.id))


def _is_destroyed(reader: Reader, header: Header, keyslot_id: int) -> bool:
    keyslot = header.keyslots[keyslot_id]
    if keyslot.area is None or keyslot.af is None:
        return False
    length = min(keyslot.area.size, keyslot.key_size * keyslot.af.stripes) // _BLOCK_BYTES * _BLOCK_BYTES
    try:
        material = reader.read_at(header.offset + keyslot.area.offset, length)
    except OSError:
        return True
    if len(material) < length:
        return True
    if keyslot.area.encryption.startswith("cipher_null"):
        return False
    blocks = (material[at : at + _BLOCK_BYTES] for at in range(0, length, _BLOCK_BYTES))
    return any(len(set(block)) < _LEAST_DISTINCT for block in blocks)
