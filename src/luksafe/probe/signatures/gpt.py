"""GUID partition table (UEFI Specification, section 5.3): primary and backup header, their entries."""

from __future__ import annotations

import zlib
from functools import partial
from itertools import count
from uuid import UUID

from luksafe.probe.checksums import without
from luksafe.probe.recognised import Kind, Partition, Recognised
from luksafe.probe.structure import Structure
from luksafe.probe.volume import MismatchError, Volume

HEADER_BYTES = 92
MOST_ENTRIES = 1024
SECTOR_SIZES = (512, 4096)


def header(volume: Volume, sector_size: int, backup: bool = False) -> Recognised:
    """The header in the second (primary) or the last (backup) sector of ``sector_size`` bytes."""
    sectors = volume.size_bytes // sector_size
    here = sectors - 1 if backup else 1
    s = Structure(volume, here * sector_size, HEADER_BYTES)
    s.magic(0, b"EFI PART")
    s.magic(8, b"\0\0\1\0", "revision")
    length = s.within(12, 4, HEADER_BYTES, sector_size, "header size")
    s.zeros(20, 4, "reserved")
    s.check(f"says that it is sector {here}", s.u64(24) == here, 64)
    whole = volume.read(s.offset, length)
    s.verify("crc32 of the header", s.u32(16) == zlib.crc32(without(whole, 16, 4)), 32)
    entries, entry_size = s.within(80, 4, 1, MOST_ENTRIES, "entries"), s.power_of_two(84, 4, 128, 4096, "entry size")
    geometry = {
        "sector_size": sector_size,
        "entries_offset": s.u64(72) * sector_size,
        "entries_bytes": entries * entry_size,
        "alternate_offset": s.u64(32) * sector_size,
        "last_usable": s.u64(48),
    }
    return s.recognised(
        "gpt",
        Kind.PARTITION_TABLE,
        copy="backup" if backup else "primary",
        uuid=s.guid(56),
        version="1.0",
        size_bytes=(max(s.u64(24), s.u64(32)) + 1) * sector_size,
        partitions=_partitions(s, geometry, entry_size),
        geometry=geometry,
    )


def _partitions(s: Structure, geometry: dict[str, int], entry_size: int) -> tuple[Partition, ...]:
    try:
        raw = s.volume.read(geometry["entries_offset"], geometry["entries_bytes"])
    except MismatchError:
        s.note("entries not readable")
        return ()
    s.verify("crc32 of the entries", s.u32(88) == zlib.crc32(raw), 0)
    found = []
    for number, at in zip(count(1), range(0, len(raw), entry_size)):
        entry = raw[at : at + entry_size]
        if any(entry[:16]):
            found.append(_partition(number, entry, geometry["sector_size"], s.volume.offset_bytes))
    return tuple(found)


def _partition(number: int, entry: bytes, sector_size: int, base: int) -> Partition:
    first, last = int.from_bytes(entry[32:40], "little"), int.from_bytes(entry[40:48], "little")
    return Partition(
        number=number,
        offset=base + first * sector_size,
        size=max(0, last - first + 1) * sector_size,
        type=str(UUID(bytes_le=entry[:16])),
        name=entry[56:128].decode("utf-16-le", "replace").split("\0", 1)[0],
        uuid=str(UUID(bytes_le=entry[16:32])),
    )


PROBES = tuple(partial(header, sector_size=size, backup=backup) for size in SECTOR_SIZES for backup in (False, True))
