"""Parameters of a volume that nobody wrote down: which sector size, data offset and IVs make sense with a key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from luksafe.errors import LuksafeError
from luksafe.luks.model import Segment
from luksafe.probe.content import recognise_content
from luksafe.probe.statistics import SectorClass, classify_sectors
from luksafe.reader import Reader
from luksafe.secret import SecretBytes
from luksafe.view.stream import DecryptedReader

LOOKED_AT_BYTES = 512 << 10
SECTOR_SIZES = (512, 4096, 2048, 1024)
USUAL_OFFSETS = (
    16 << 20,
    2 << 20,
    0,
    1 << 20,
    4 << 20,
    1032 << 10,
    8 << 20,
)  # LUKS2, LUKS1, detached, old and odd ones


@dataclass(frozen=True, slots=True)
class Parameters:
    """Parameters with which a key decrypts to something known, ``found`` being what blkid would call it."""

    segment: Segment
    iv_large_sectors: bool
    found: str

    @property
    def text(self) -> str:
        """In words."""
        ivs = ", IVs counted in encryption sectors" if self.iv_large_sectors else ""
        return (
            f"with data at byte {self.segment.offset} and sectors of {self.segment.sector_size} bytes{ivs}"
            f" it decrypts to {self.found}"
        )


def find_parameters(ciphertext: Reader, segment: Segment, key: SecretBytes) -> Parameters | None:
    """Of all usual sector sizes, data offsets and ways to count IVs those with which most makes sense, if any does.

    ``segment`` says the cipher, the IV offset and the data offset to try first.
    """
    best: Parameters | None = None
    best_score = 0
    for candidate, large in _candidates(segment):
        try:
            reader = DecryptedReader(ciphertext, [candidate], {segment.id: key}, iv_large_sectors=large)
            content = recognise_content(reader)
            score = _plain_sectors(reader) if content.plausible and content.recognised else 0
        except (LuksafeError, OSError):
            continue
        if score > best_score:
            best, best_score = Parameters(candidate, large, content.name), score
    return best


def _candidates(segment: Segment) -> Iterator[tuple[Segment, bool]]:
    for offset in dict.fromkeys((segment.offset, *USUAL_OFFSETS)):
        for sector_size in SECTOR_SIZES:
            for large in (False, True) if sector_size > 512 else (False,):
                yield replace(segment, offset=offset, size=None, sector_size=sector_size), large


def _plain_sectors(volume: Reader) -> int:
    """How many sectors at the start do not look encrypted."""
    return sum(kind != SectorClass.RANDOM for kind in classify_sectors(volume.read_at(0, LOOKED_AT_BYTES)))
