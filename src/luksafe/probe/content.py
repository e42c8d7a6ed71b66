"""What decrypted data holds, and whether it is data at all: the last proof of the key and of its parameters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from luksafe.probe.recognise import recognise
from luksafe.probe.recognised import Confidence, Kind, Recognised
from luksafe.probe.sector_starts import have_noisy_starts, have_whole_runs
from luksafe.probe.statistics import SectorClass, classify_sectors
from luksafe.reader import Reader
from luksafe.wall import walled

SECTOR_BYTES = 512
START_BYTES = 1 << 20
SAMPLES, SAMPLE_BYTES = 16, 65536
SAMPLE_ALIGNMENT_BYTES = 4096  # of the largest encryption sector
UNKNOWN = "unknown-structured"
"""What looks like data, and is nothing known."""
STRIDES = (8, 4, 2)  # encryption sectors of 4096, 2048, 1024 bytes

# What lies outermost comes first, as blkid has it: a RAID member that holds a filesystem is a RAID member.
RANKS = (
    Kind.RAID,
    Kind.VOLUME_MANAGER,
    Kind.CACHE,
    Kind.CRYPTO,
    Kind.FILESYSTEM,
    Kind.SWAP,
    Kind.PARTITION_TABLE,
    Kind.BOOT_CODE,
)
TABLES = ("gpt", "dos", "PMBR")
# Of these nothing but the first sector need differ from random bytes: what follows may be compressed or never written.
ONE_SECTOR_MAY_DO = frozenset(("dos", "squashfs", "squashfs3", "erofs", "cramfs", "BitLocker"))


@dataclass(frozen=True, slots=True)
class Content:
    """What a decrypted volume holds.

    ``name`` is blkid's, or ``zeros``, ``ff``, ``pattern``, ``random``, ``unknown-structured``, ``empty``. ``plausible``
    tells sense (True) from noise (False); None where that cannot be told: too little, or nothing known. ``sure`` is
    how firm ``name`` is.
    """

    name: str
    why: str
    sure: Confidence
    plausible: bool | None
    recognised: tuple[Recognised, ...] = ()


@walled("decrypted data")
def recognise_content(reader: Reader) -> Content:
    """Names what begins at byte 0 of decrypted data. Raises ``OSError`` where its first MiB cannot be read."""
    start = reader.read_at(0, min(START_BYTES, reader.size_bytes))
    if len(start) < SECTOR_BYTES:
        return Content("empty", f"only {len(start)} bytes: too few to tell", Confidence.LIKELY, None)
    classes = [SectorClass(n) for n in classify_sectors(start).tolist()]
    found = tuple(sorted(recognise(reader), key=_rank))
    stride = _stride(classes)
    if stride is None and have_noisy_starts(start):
        return _noisy(found)
    if found:
        return _known(found, stride)
    return _unknown(reader, start, classes, stride)


def _rank(match: Recognised) -> tuple[bool, int, int, bool, int]:
    table = TABLES.index(match.name) if match.name in TABLES else 0
    return match.copy == "backup", RANKS.index(match.kind), table, match.checksum is False, match.offset


def _stride(classes: list[SectorClass]) -> int | None:
    """Eight when only every eighth sector is not random (four, two likewise); None when there is no such pattern.

    A volume read with another encryption sector size than it was written with decrypts just so: the first 512 bytes
    of each larger sector have the right initialisation vector, the others have not.
    """
    sensible = [number for number, kind in enumerate(classes) if kind is not SectorClass.RANDOM]
    if not sensible or len(classes) < STRIDES[0]:
        return None
    return next((stride for stride in STRIDES if all(number % stride == 0 for number in sensible)), None)


def _known(found: tuple[Recognised, ...], stride: int | None) -> Content:
    best = found[0]
    why = f"{best.name} at byte {best.offset}: {best.evidence}"
    others = sorted({match.name for match in found} - {best.name, "PMBR"})
    if others:
        why += f"; also {', '.join(others)}"
    if stride is not None:
        may_do = best.name in ONE_SECTOR_MAY_DO
        text = "all behind the first sector looks random" if may_do else _stride_text(stride)
        return Content(best.name, f"{text}; {why}", Confidence.LIKELY, None if may_do else False, found)
    if best.copy == "backup":
        return Content(best.name, f"only a backup is left: {why}", Confidence.LIKELY, True, found)
    return Content(best.name, why, best.confidence, True, found)


def _noisy(found: tuple[Recognised, ...]) -> Content:
    text = "the first 16 bytes of its sectors are noise: the IV of the cipher or the sector size is not the right one"
    name = found[0].name if found else UNKNOWN
    return Content(name, text, Confidence.LIKELY, False, found)


def _stride_text(stride: int) -> str:
    size = stride * SECTOR_BYTES
    return (
        f"only the first 512 of each {size} bytes make sense, the rest is noise: the sector size is not the right one"
    )


def _unknown(reader: Reader, start: bytes, classes: list[SectorClass], stride: int | None) -> Content:
    counts = Counter(classes)
    if len(counts) == 1 and classes[0] in (SectorClass.ZEROS, SectorClass.FF, SectorClass.PATTERN):
        name = classes[0].label
        return Content(name, f"the first {len(classes)} sectors hold nothing but {name}", Confidence.CERTAIN, True)
    if stride is not None:
        return Content(UNKNOWN, _stride_text(stride), Confidence.LIKELY, False)
    total, noise = len(classes), counts[SectorClass.RANDOM]
    if noise < total:
        return _unnamed(reader, start, f"{_shown(counts)} of {total} sectors", Confidence.STRONG)
    elsewhere = _classes(_samples(reader))
    if sum(elsewhere.values()) > elsewhere[SectorClass.RANDOM]:
        why = f"the start looks random, further on there are {_shown(elsewhere)} sectors"
        return _unnamed(reader, start, why, Confidence.LIKELY)
    why = (
        f"all {total} sectors at the start and {sum(elsewhere.values())} further on look random: the wrong key or "
        "wrong parameters (sector size, offset, cipher), a volume never written to, or encryption without a header"
    )
    return Content("random", why, Confidence.STRONG, False)


def _unnamed(reader: Reader, start: bytes, why: str, sure: Confidence) -> Content:
    """Sectors that are no noise, of nothing known. That a chained mode reads at a wrong place too, but for the starts.

    So it is no proof of the place, but for runs of one byte: they tell by how they begin.
    """
    data = start + b"".join(_samples(reader))
    if have_noisy_starts(data):
        return _noisy(())
    return Content(UNKNOWN, why, sure, True if have_whole_runs(data) else None)


def _shown(counts: Counter[SectorClass]) -> str:
    return ", ".join(f"{count} {kind.label}" for kind, count in sorted(counts.items()))


def _classes(samples: Iterable[bytes]) -> Counter[SectorClass]:
    return Counter(SectorClass(n) for sample in samples for n in classify_sectors(sample).tolist())


def _samples(reader: Reader) -> Iterator[bytes]:
    """Places spread over the volume behind its start, each at a whole 4 KiB; unreadable ones are left out."""
    room = reader.size_bytes - START_BYTES - SAMPLE_BYTES
    for number in range(SAMPLES if room > 0 else 0):
        at = START_BYTES + room * number // SAMPLES // SAMPLE_ALIGNMENT_BYTES * SAMPLE_ALIGNMENT_BYTES
        try:
            yield reader.read_at(at, SAMPLE_BYTES)
        except OSError:
            continue
