"""Does what is decrypted make sense? A wrong key, sector size or offset gives noise, and is told instead of written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from luksafe.errors import LuksafeError
from luksafe.luks.model import Segment
from luksafe.probe.recognise import recognise
from luksafe.probe.recognised import Kind
from luksafe.probe.statistics import SectorClass, classify_sectors
from luksafe.reader import Reader
from luksafe.secret import SecretBytes
from luksafe.view.stream import DecryptedReader

START_BYTES = 512 << 10
SAMPLES = 64
SAMPLE_BYTES = 16 << 10
SECTOR_BYTES = 512
SECTORS_PER_BLOCK = 8
BLOCK_BYTES = SECTOR_BYTES * SECTORS_PER_BLOCK
PATCHY_LEAST = 8  # a FAT on a disk full of noise has a few such blocks
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
class Sense:
    """What samples of a volume look like.

    ``found``: what is recognised, as blkid names it. ``is_noise``: nothing is, and every sample looks encrypted.
    ``is_patchy``: where the first 512 bytes of 4096 make sense the last ones do not, as with a wrong sector size: the
    IVs of the first ones are then right by chance. ``plain_sectors`` counts those that do not look encrypted.
    """

    found: tuple[str, ...]
    is_noise: bool
    is_patchy: bool
    plain_sectors: int

    @property
    def is_good(self) -> bool:
        """Whether something is recognised and nothing speaks against it."""
        return bool(self.found) and not self.is_patchy

    @property
    def text(self) -> str:
        """In words."""
        if self.is_patchy:
            return "only parts of what decrypts make sense: the sector size is wrong"
        if self.found:
            return f"decrypts to {', '.join(self.found)}"
        if self.is_noise:
            return (
                "what decrypts is noise: a wrong key, sector size or data offset; or a volume that nothing was ever"
                " written to"
            )
        return "decrypts to nothing known, but not to noise"


@dataclass(frozen=True, slots=True)
class Better:
    """Parameters with which the same key decrypts to something known."""

    segment: Segment
    iv_large_sectors: bool
    found: tuple[str, ...]

    @property
    def text(self) -> str:
        """In words."""
        ivs = ", IVs counted in large sectors" if self.iv_large_sectors else ""
        return (
            f"with data at byte {self.segment.offset} and sectors of {self.segment.sector_size} bytes{ivs}"
            f" it decrypts to {', '.join(self.found)}"
        )


def make_sense(volume: Reader) -> Sense:
    """Look at the structures that stand at known places, and at samples of the start and of the whole."""
    blocks = [block for data in _samples(volume) for block in _blocks(data)]
    plain = sum(sum(block) for block in blocks)
    begun = [block for block in blocks if len(block) == SECTORS_PER_BLOCK and block[0]]
    is_patchy = len(begun) >= PATCHY_LEAST and not any(block[-1] for block in begun)
    found = _structures(volume)
    return Sense(found, bool(blocks) and not plain and not found, is_patchy, plain)


def find_better(ciphertext: Reader, segment: Segment, key: SecretBytes) -> Better | None:
    """Of all usual sector sizes, data offsets and ways to count IVs those with which most is recognised, if any."""
    best: Better | None = None
    best_plain = 0
    for candidate, large in _candidates(segment):
        try:
            reader = DecryptedReader(ciphertext, [candidate], {segment.id: key}, iv_large_sectors=large)
        except LuksafeError:
            continue
        if not _structures(reader):
            continue
        sense = make_sense(reader)
        if sense.is_good and sense.plain_sectors > best_plain:
            best, best_plain = Better(candidate, large, sense.found), sense.plain_sectors
    return best


def _candidates(segment: Segment) -> Iterator[tuple[Segment, bool]]:
    for offset in dict.fromkeys((segment.offset, *USUAL_OFFSETS)):
        for sector_size in SECTOR_SIZES:
            for large in (False, True) if sector_size > SECTOR_BYTES else (False,):
                yield replace(segment, offset=offset, size=None, sector_size=sector_size), large


def _structures(volume: Reader) -> tuple[str, ...]:
    found = [match for match in recognise(volume) if match.copy == "primary" and match.kind is not Kind.BOOT_CODE]
    return tuple(dict.fromkeys(match.name for match in found))


def _samples(volume: Reader) -> Iterator[bytes]:
    """The start, and places evenly spread over the rest."""
    step = max(SAMPLE_BYTES, volume.size_bytes // SAMPLES // BLOCK_BYTES * BLOCK_BYTES)
    start = range(0, min(START_BYTES, volume.size_bytes), SAMPLE_BYTES)
    for offset in (*start, *range(START_BYTES, volume.size_bytes, step)):
        try:
            yield volume.read_at(offset, SAMPLE_BYTES)
        except OSError:
            continue


def _blocks(data: bytes) -> list[list[bool]]:
    """For each 4096 bytes, which sectors do not look encrypted."""
    plain = [kind != SectorClass.RANDOM for kind in classify_sectors(data)]
    return [plain[at : at + SECTORS_PER_BLOCK] for at in range(0, len(plain), SECTORS_PER_BLOCK)]
