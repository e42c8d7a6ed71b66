"""How random the bytes are, place by place: for a picture that shows what statistics see and no byte itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from luksafe.ops.diagnosis.facts import Facts
from luksafe.probe.statistics import SectorClass, classify_sectors, entropy

FINE_BYTES, COARSE_BYTES = 512, 4096


@dataclass(frozen=True, slots=True)
class HeatCell:
    """``length`` bytes from ``offset``: mean entropy in bits per byte of its sectors, and what most of them look like.

    ``mixed``: not all of them look the same.
    """

    offset: int
    length: int
    entropy: float
    kind: str
    mixed: bool


def heat_cells(facts: Facts, end: int, most_cells: int) -> list[HeatCell]:
    """At most ``most_cells`` cells of equal size from byte 0 to ``end`` of the header area."""
    end = min(end, len(facts.start))
    grain = FINE_BYTES if end <= most_cells * FINE_BYTES else COARSE_BYTES
    per_cell = max(1, -(-end // (most_cells * grain)))
    data = facts.start[: end // grain * grain]
    entropies = entropy(data, grain).tolist()
    kinds = classify_sectors(data, grain).tolist()
    size = per_cell * grain
    return [
        _cell(at * grain, size, entropies[at : at + per_cell], kinds[at : at + per_cell])
        for at in range(0, len(kinds), per_cell)
    ]


def _cell(offset: int, length: int, entropies: Sequence[float], kinds: Sequence[int]) -> HeatCell:
    most = max(set(kinds), key=kinds.count)
    mean = sum(entropies) / len(entropies)
    return HeatCell(offset, length, round(mean, 2), SectorClass(most).label, len(set(kinds)) > 1)
