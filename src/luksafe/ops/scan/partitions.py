"""Guesses where lost partitions lie: from a header, or from key material without one, to the next thing on the disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from luksafe.luks.model import Header
from luksafe.ops.record import lineage_of
from luksafe.ops.scan.model import FoundVolume, LostPartition, Remains
from luksafe.ops.scan.surroundings import Surroundings
from luksafe.probe.recognised import Recognised

_SECTOR_BYTES = 512
_LEAST_MATCHED = 3


def guess_partitions(
    volumes: Sequence[FoundVolume], remains: Sequence[Remains], around: Surroundings, size_bytes: int
) -> list[LostPartition]:
    """One guess for each volume of one disk that may hold data, and for each place with key material of a header."""
    live = [v for v in volumes if v.may_hold_data and not _is_older_twin(v, volumes)]
    known = {*around.partition_starts(), *around.filesystem_starts()}
    starts = sorted({*(v.offset for v in live), *(r.start for r in remains), *known})
    guesses = [_of_volume(v, starts, around, size_bytes) for v in live]
    guesses += [_of_remains(r, starts, around, size_bytes) for r in remains]
    return sorted(guesses, key=lambda guess: guess.start)


def _is_older_twin(volume: FoundVolume, volumes: Sequence[FoundVolume]) -> bool:
    """Whether it is an old state of a volume that was found as well: its data are there, not here."""
    if not volume.stale or volume.header is None:
        return False
    lineage = lineage_of(volume.header)
    others = (v for v in volumes if v is not volume and v.header and v.kind == "volume" and not v.stale)
    return any(v.header is not None and lineage_of(v.header) == lineage for v in others)


def _of_volume(volume: FoundVolume, starts: Sequence[int], around: Surroundings, size: int) -> LostPartition:
    header = volume.header
    if header is None:
        raise ValueError("a guess needs a header")
    listed = volume.offset in around.partition_starts()
    sure, start_why = _start_of_volume(volume, listed)
    length, length_why = _length(volume.offset, header, starts, around, size)
    inside = _is_inside(volume.offset, length, around)
    return LostPartition(
        volume.file, volume.offset, length, volume.uuid, sure, listed, start_why, length_why, is_inside=inside
    )


def _start_of_volume(volume: FoundVolume, listed: bool) -> tuple[bool, str]:
    if listed:
        return True, "the partition table has a partition here"
    if not any(state == "intact" for _, state in volume.keyslots):
        return False, "the header says so, but its key material is not there"
    if len(volume.copies) == 2 and not volume.only:
        return True, "both header copies and the key material stand where the header says"
    if volume.format == "luks1":
        return True, "the key material stands where the header says"
    copy = volume.copies[0] if len(volume.copies) == 1 else volume.copy_named(volume.only)
    name = copy.copy if copy else "only"
    return True, f"the {name} header says that it belongs at this place, and the key material stands where it says"


def _of_remains(remains: Remains, starts: Sequence[int], around: Surroundings, size: int) -> LostPartition:
    listed = remains.start in around.partition_starts()
    length, length_why = _length(remains.start, remains.known.header, starts, around, size)
    why = f"{remains.matched} of {remains.sampled} sampled sectors of key material of {remains.known.name} stand here"
    sure = listed or remains.matched >= _LEAST_MATCHED
    inside = _is_inside(remains.start, length, around)
    why = f"{why}; the header itself is gone"
    return LostPartition(
        remains.file, remains.start, length, remains.uuid, sure, listed, why, length_why, is_inside=inside
    )


def _is_inside(start: int, length: int, around: Surroundings) -> bool:
    """Whether a partition of the table covers a part of it and is not just it."""
    parts = around.partition_starts().items()
    return any(at < start + length and start < at + size for at, size in parts if at != start)


def _length(start: int, header: Header, starts: Sequence[int], around: Surroundings, size: int) -> tuple[int, str]:
    """How long the partition may be: what the table or the header says, else as far as nothing else begins."""
    listed = around.partition_starts().get(start)
    if listed:
        return listed, "as the partition table says"
    ends = [s.offset + s.size if s.size is not None else None for s in header.data_segments]
    fixed = [end for end in ends if end is not None]
    if ends and len(fixed) == len(ends):
        return max(fixed), "as the header says"
    least = start + max(header.areas_end, header.data_offset)
    following = next((other for other in starts if other >= least), None)
    bounds = [(size // _SECTOR_BYTES * _SECTOR_BYTES, "to the end of the disk")]
    bounds += [(end, "to the end of what the partition table may use") for end in _table_ends(around.tables)]
    bounds += [
        (at + length, "to the end of the partition that it lies in")
        for at, length in around.partition_starts().items()
        if at < start < at + length
    ]
    if following is not None:
        bounds.append((following, "at most: the next volume, partition or filesystem begins behind it"))
    end, what = min((bound for bound in bounds if bound[0] >= least), default=bounds[0])
    return end - start, what


def _table_ends(tables: Sequence[Recognised]) -> Iterator[int]:
    """Where the backup of a GPT begins, which no partition reaches."""
    for table in tables:
        if "last_usable" in table.geometry:
            yield (table.geometry["last_usable"] + 1) * table.geometry["sector_size"]
