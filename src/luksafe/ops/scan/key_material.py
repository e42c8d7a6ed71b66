"""Key material of known headers, recognised wherever it lies: where the header is gone, it shows the volume.

Key material is random: one equal sector of 512 bytes is proof.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from luksafe.luks.key_material import material_sectors, may_be_material
from luksafe.luks.search import FINGERPRINT_BYTES, SECTOR_BYTES
from luksafe.ops.scan.model import KnownHeader, Remains
from luksafe.reader import Reader

SAMPLES_PER_KEYSLOT = 16
MOST_SAMPLES = 20_000


@dataclass(frozen=True, slots=True)
class _Sample:
    owner: int
    offset: int
    sector: bytes


class KeyMaterial:
    """Samples of the key material of known headers, and the count of those met again, by volume start."""

    def __init__(self, known: Iterable[KnownHeader] = ()) -> None:
        self._known = list(known)
        self._samples: dict[bytes, list[_Sample]] = {}
        self._sampled: Counter[int] = Counter()
        self.seen: Counter[tuple[int, int]] = Counter()
        for owner, item in enumerate(self._known):
            for offset, sector in _samples(item):
                if self._sampled.total() >= MOST_SAMPLES:
                    return
                self._samples.setdefault(sector[:FINGERPRINT_BYTES], []).append(_Sample(owner, offset, sector))
                self._sampled[owner] += 1

    @property
    def fingerprints(self) -> frozenset[bytes]:
        """What to search for."""
        return frozenset(self._samples)

    def note(self, reader: Reader, offset: int) -> None:
        """Count the sector at ``offset`` for every header that has it; the volume then begins so much before."""
        sector = reader.read_at(offset, SECTOR_BYTES)
        for sample in self._samples.get(sector[:FINGERPRINT_BYTES], ()):
            if sample.sector == sector and offset >= sample.offset:
                self.seen[sample.owner, offset - sample.offset] += 1

    def remains(self, file: str) -> list[Remains]:
        """Every volume start that the sectors met point to; of headers with the same key material the best."""
        best: dict[int, Remains] = {}
        for (owner, start), matched in sorted(self.seen.items()):
            found = Remains(file, start, self._known[owner], matched, self._sampled[owner])
            if start not in best or matched > best[start].matched:
                best[start] = found
        return list(best.values())


def _samples(known: KnownHeader) -> Iterator[tuple[int, bytes]]:
    """Sectors of every keyslot, spread over its key material, with their offsets in the volume."""
    for keyslot in known.header.keyslots.values():
        sectors = material_sectors(keyslot)
        for offset in sectors[:: max(1, len(sectors) // SAMPLES_PER_KEYSLOT)]:
            try:
                sector = known.reader.read_at(known.header.offset + offset, SECTOR_BYTES)
            except OSError:
                continue
            if len(sector) == SECTOR_BYTES and may_be_material(sector):
                yield offset, sector
