"""What a header that is written back would leave of others: second headers, signatures, a backup partition table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from luksafe.luks.areas import header_area_bytes
from luksafe.luks.inspection import Inspection
from luksafe.luks.luks2.binary_header import HEADER_SIZES, PRIMARY_MAGIC, SECONDARY_MAGIC
from luksafe.luks.repair.proposal import Patch, PatchedReader
from luksafe.ops.write.plan import Phase, read_old
from luksafe.probe.recognise import recognise
from luksafe.probe.recognised import Kind, Recognised
from luksafe.probe.statistics import SectorClass, classify_sectors
from luksafe.reader import Reader, read_with_holes

LUKS = "crypto_LUKS"
SECTOR_BYTES = 512
MAGIC_BYTES = 4096
"""A stale binary header is taken out whole: its magic alone could be put back by a repair."""
HARMLESS = (SectorClass.RANDOM, SectorClass.ZEROS)
"""What the unused space of a header holds: as formatted, or old key material."""
_MOST_GAP_BYTES = 64 << 20
GPT_ENTRIES_BYTES = 16 << 10
"""So much is reserved for the entries of a table, however few they are."""

Range = tuple[int, int]


def leftover_phase(
    reader: Reader, phases: Sequence[Phase], inspection: Inspection, signatures: Sequence[Recognised]
) -> Iterator[Phase]:
    """Zeros over what others wrote into space that the new header does not use: to be written when it stands.

    ``phases`` write the new header, which ``inspection`` describes. No byte of the data is touched.
    """
    written = sorted((write.offset, write.end) for phase in phases for write in phase.writes)
    ranges = find_leftovers(reader, inspection, written, signatures)
    writes = tuple(read_old(reader, start, bytes(end - start), "remains of others") for start, end in ranges)
    if writes:
        yield Phase("unused space", writes)


def find_leftovers(
    reader: Reader, inspection: Inspection, written: Sequence[Range], signatures: Sequence[Recognised]
) -> list[Range]:
    """Where foreign bytes stand in the header area outside ``written`` (in order): whole sectors, joined."""
    areas_end, limit = _limits(reader, inspection)
    found: set[int] = set()
    for start, end in _gaps(written, limit):
        data = read_with_holes(reader, start, end - start)
        inside = data[: max(0, areas_end - start)]
        found.update(
            start + n * SECTOR_BYTES
            for n, kind in enumerate(classify_sectors(inside).tolist() if inside else ())
            if kind not in HARMLESS
        )
        for first, last in (*_magics(data, start), *((s.offset, s.offset + s.length) for s in signatures)):
            first, last = max(first, start), min(last, end)
            found.update(start + (at - start) // SECTOR_BYTES * SECTOR_BYTES for at in range(first, last, SECTOR_BYTES))
            if first < last:
                found.add(start + (last - 1 - start) // SECTOR_BYTES * SECTOR_BYTES)
    return _joined(sorted(found), _gaps(written, limit))


def find_stale_headers(reader: Reader, inspection: Inspection, unused: Sequence[Range]) -> list[Range]:
    """Binary headers of other LUKS generations in unused ranges."""
    return [found for start, end in unused for found in _magics(read_with_holes(reader, start, end - start), start)]


def _limits(reader: Reader, inspection: Inspection) -> Range:
    """Where the keyslots end, and where the data begin: between the two only what is known to be foreign is taken."""
    header = inspection.require_header()
    areas_end = header_area_bytes(inspection)
    limit = areas_end if header.is_detached else max(areas_end, min(header.data_offset, areas_end + _MOST_GAP_BYTES))
    return min(areas_end, reader.size_bytes), min(limit, reader.size_bytes)


def _gaps(written: Sequence[Range], limit: int) -> list[Range]:
    gaps, at = [], 0
    for start, end in [*written, (limit, limit)]:
        if at < min(start, limit):
            gaps.append((at, min(start, limit)))
        at = max(at, end)
    return gaps


def _magics(data: bytes, start: int) -> Iterator[Range]:
    """LUKS magics at the places where a second header may be, and of a first one at any of these."""
    for offset in HEADER_SIZES:
        at = offset - start
        if at >= 0 and data[at : at + 6] in (PRIMARY_MAGIC, SECONDARY_MAGIC):
            yield offset, offset + MAGIC_BYTES


def _joined(sectors: Sequence[int], gaps: Sequence[Range]) -> list[Range]:
    ranges: list[Range] = []
    for at in sectors:
        end = min(at + SECTOR_BYTES, next(last for first, last in gaps if first <= at < last))
        if ranges and ranges[-1][1] == at:
            ranges[-1] = (ranges[-1][0], end)
        else:
            ranges.append((at, end))
    return ranges


def live_backup_gpt(signatures: Sequence[Recognised]) -> Recognised | None:
    """The backup partition table at the end of a disk, if it is whole: tools make the main one of it again."""
    return next((s for s in signatures if s.name == "gpt" and s.copy == "backup" and s.checksum is not False), None)


def backup_gpt_patches(found: Recognised) -> tuple[Patch, ...]:
    """Zeros over a backup partition table: its header, and its entries where they stand right before that.

    A header may say that they are anywhere, also where the data are; without it they are nothing.
    """
    entries, length = found.geometry["entries_offset"], found.geometry["entries_bytes"]
    patches = [Patch(found.offset, bytes(found.geometry["sector_size"]), "backup GPT")]
    room = found.offset - entries
    if 0 < length <= room <= max(length, GPT_ENTRIES_BYTES):
        patches.insert(0, Patch(entries, bytes(length), "backup GPT"))
    return tuple(patches)


def remaining(reader: Reader, phases: Sequence[Phase]) -> list[Recognised]:
    """The foreign structures that are still recognised when the phases are written."""
    patches = [Patch(write.offset, write.new, write.what) for phase in phases for write in phase.writes]
    found = recognise(PatchedReader(reader, patches))
    return [r for r in found if r.name != LUKS and r.kind is not Kind.BOOT_CODE]


def gpt_phase(reader: Reader, found: Recognised) -> Phase:
    """The write that takes a backup partition table out."""
    return Phase("backup GPT", tuple(read_old(reader, p.offset, p.data, p.what) for p in backup_gpt_patches(found)))


def leftover_notes(path: str, left: Sequence[Recognised], before: Sequence[Recognised]) -> Iterator[str]:
    """What stays on a device of others, and what the kernel has to be told of it."""
    if gpt := live_backup_gpt(left):
        yield gpt_words(path, gpt)
    others = sorted({found.name for found in left if found.copy != "backup" or found.name != "gpt"})
    if others:
        yield f"remains of {', '.join(others)} stay where the data lie; they are not taken out"
    if path.startswith("/dev/") and any(found.kind is Kind.PARTITION_TABLE for found in before):
        yield f"afterwards the kernel has to forget the partitions: partprobe {path}; udevadm settle"


def gpt_words(path: str, found: Recognised) -> str:
    """Why a backup partition table may not stay behind a LUKS header."""
    return (
        f"a live backup GPT stands at byte {found.offset}, at the end of {path}: partitioning tools make the main table"
        f" of it again, over the header; restore and repair take it out with {REMOVE_GPT}"
    )


REMOVE_GPT = "--remove-backup-gpt"
