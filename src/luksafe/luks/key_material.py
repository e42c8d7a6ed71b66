"""The key material of a keyslot: where in its area it lies, and whether bytes can be of it."""

from __future__ import annotations

from luksafe.luks.model import Keyslot

SECTOR_BYTES = 512
_LEAST_DISTINCT = 128
"""Of 512 random bytes about 222 values differ; 128 is twenty standard deviations away."""


def material_range(keyslot: Keyslot) -> tuple[int, int] | None:
    """The bytes of key material, ``[start, end)``: what lies behind them in the area is filling. None without any."""
    if keyslot.area is None or keyslot.af is None:
        return None
    length = min(keyslot.area.size, keyslot.key_size * keyslot.af.stripes)
    return keyslot.area.offset, keyslot.area.offset + length


def material_sectors(keyslot: Keyslot) -> range:
    """The offsets of the sectors that hold it."""
    return range(*(material_range(keyslot) or (0, 0)), SECTOR_BYTES)


def may_be_material(sector: bytes) -> bool:
    """Whether a sector is as random as key material: zeros, text and structures are not."""
    return len(set(sector)) >= _LEAST_DISTINCT
