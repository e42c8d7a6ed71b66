"""The data: where they begin, what was written over them, whether they look encrypted."""

from __future__ import annotations

from collections.abc import Sequence

from luksafe.ops.diagnosis.bytes_compare import join
from luksafe.ops.diagnosis.facts import Facts
from luksafe.ops.diagnosis.layout import VolumeLayout
from luksafe.ops.diagnosis.model import Culprit, Damage, Part, State
from luksafe.probe.statistics import SectorClass, classify_sectors


def judge_data(facts: Facts, layout: VolumeLayout, structures: Sequence[Culprit]) -> list[Part]:
    """One part for the data; none where only the header is at hand."""
    start, end = layout.data_offset, facts.data_size_bytes
    if end <= start:
        return []
    damage = [
        Damage(max(a, start), min(b, end) - max(a, start), name, f"written by the maker of {name}")
        for name, a, b in _hits(structures)
        if a < end and b > start
    ]
    if damage:
        total = sum(b - a for a, b in join([(d.offset, d.end) for d in damage], 0))
        why = f"{total} bytes of data are overwritten; no header brings those back"
        return [Part("data", "data", start, end, State.DESTROYED, why, None, tuple(damage))]
    return [Part("data", "data", start, end, *_by_statistics(facts))]


def _hits(structures: Sequence[Culprit]) -> list[tuple[str, int, int]]:
    return [(c.name, hit.offset, hit.offset + hit.length) for c in structures for hit in c.hits if hit.certain]


def _by_statistics(facts: Facts) -> tuple[State, str]:
    samples = [sample for sample in facts.data_samples if len(sample) >= 512]
    kinds = [kind for sample in samples for kind in classify_sectors(sample).tolist()]
    if not kinds:
        return State.UNKNOWN, "cannot be read"
    random = 100 * kinds.count(SectorClass.RANDOM) // len(kinds)
    blank = 100 * kinds.count(SectorClass.ZEROS) // len(kinds)
    words = f"{random} % of the samples look encrypted, {blank} % are zeros (never written, or discarded)"
    return State.INTACT if random + blank >= 90 else State.UNKNOWN, words
