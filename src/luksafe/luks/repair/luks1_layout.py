"""Where LUKS1 keyslots lie: eight areas of one size in a row, from which damaged offsets and key size follow."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass

from luksafe.luks.luks1.binary_header import KEYSLOT_COUNT, SECTOR_BYTES, STRIPES, BinaryHeader

_ALIGNMENT_SECTORS = 8
_DATA_ALIGNMENT_SECTORS = 2048
_KEY_SIZES = (16, 24, 32, 48, 64, 8, 20, 28, 40, 56)
"""Key sizes in bytes, the usual ones first; several may give areas of one size."""
_LEAST_AGREEING = 4


@dataclass(frozen=True, slots=True)
class Layout:
    """The row that most keyslots agree on; ``first`` and ``step`` in 512-byte sectors."""

    first: int
    step: int
    agreeing: int

    def offset_of(self, slot: int) -> int:
        """Where the area of a keyslot begins."""
        return self.first + slot * self.step


def find_layout(header: BinaryHeader) -> Layout | None:
    """The row on which most of the eight offsets lie; None when fewer than four do."""
    offsets = [entry.key_material_offset for entry in header.keyslots]
    rows: Counter[tuple[int, int]] = Counter()
    for (i, a), (j, b) in itertools.combinations(enumerate(offsets), 2):
        step, rest = divmod(b - a, j - i)
        if rest == 0 and step > 0 and a - i * step > 0:
            rows[(a - i * step, step)] += 1
    if not rows:
        return None
    (first, step), _ = rows.most_common(1)[0]
    agreeing = sum(offsets[slot] == first + slot * step for slot in range(KEYSLOT_COUNT))
    return Layout(first, step, agreeing) if agreeing >= _LEAST_AGREEING else None


def key_bytes_of(layout: Layout, mode: str) -> int | None:
    """The only key size whose areas have the layout's distance; None when it is not a usual distance."""
    sizes = [size for size in _KEY_SIZES if layout.step in (_area(size), _aligned(_area(size)))]
    if mode.startswith("xts"):
        sizes = [size for size in sizes if size in (32, 48, 64)]
    return sizes[0] if sizes else None


def default_payload_offset(layout: Layout) -> int:
    """Where cryptsetup puts the data when it is told nothing: the next full MiB, in sectors."""
    end = layout.offset_of(KEYSLOT_COUNT)
    return -(-end // _DATA_ALIGNMENT_SECTORS) * _DATA_ALIGNMENT_SECTORS


def _area(key_bytes: int) -> int:
    return -(-key_bytes * STRIPES // SECTOR_BYTES)


def _aligned(sectors: int) -> int:
    return -(-sectors // _ALIGNMENT_SECTORS) * _ALIGNMENT_SECTORS
