"""DOS partition table (master boot record), its logical partitions, and the protective one that guards a GPT."""

from __future__ import annotations

from itertools import pairwise

from luksafe.probe.recognised import Kind, Partition, Recognised
from luksafe.probe.structure import Structure
from luksafe.probe.volume import MismatchError, Volume

SECTOR_BYTES = 512
TABLE_OFFSET = 446
ENTRY_BYTES = 16
EXTENDED_TYPES = (0x05, 0x0F, 0x85)
PROTECTIVE_TYPE = 0xEE
MOST_LOGICAL = 128
EMPTY = bytes(ENTRY_BYTES)

Entry = tuple[int, int, int]  # type, first sector, sectors


def partition_table(volume: Volume) -> Recognised:
    """The four entries in sector 0. Two fixed bytes are no proof: flags, order, overlap and size must fit as well."""
    s = Structure(volume, 0, SECTOR_BYTES)
    s.check("boot signature 55aa", s.data[510:] == b"\x55\xaa", 16)
    raw = [s.data[at : at + ENTRY_BYTES] for at in range(TABLE_OFFSET, 510, ENTRY_BYTES)]
    s.check("boot flags 00 or 80", all(entry[0] in (0, 0x80) for entry in raw), 28)
    s.check("at most one active", sum(entry[0] == 0x80 for entry in raw) <= 1, 1)
    used = [entry for entry in raw if entry != EMPTY]
    s.check(f"{len(raw) - len(used)} entries empty", bool(used), 120 * (len(raw) - len(used)))
    table = [_entry(entry) for entry in used]
    s.check("types, starts and lengths not zero", all(all(entry) for entry in table), 0)
    ranges = sorted((first, first + length) for _, first, length in table)
    s.check("no two overlap", all(a[1] <= b[0] for a, b in pairwise(ranges)), 1.5 * (len(used) - 1))
    if table[0][0] == PROTECTIVE_TYPE:
        s.check("protective entry from sector 1", table[0][1] == 1, 32)
        return s.recognised("PMBR", Kind.PARTITION_TABLE, size_bytes=SECTOR_BYTES * (1 + table[0][2]))
    _check_size(s, ranges[-1][1], len(used))
    logical, records = _logical(s, table)
    return s.recognised(
        "dos",
        Kind.PARTITION_TABLE,
        uuid=f"{s.u32(440):08x}" if s.u32(440) else "",
        partitions=(*_primary(s, raw), *logical),
        geometry={f"record_{number}": offset for number, offset in enumerate(records)},
    )


def _check_size(s: Structure, end: int, used: int) -> None:
    """A table that needs a bigger disk is noted, not refused: the reader may hold the start of a disk only."""
    sectors = max(s.volume.size_bytes // SECTOR_BYTES, 1)
    if end > sectors:
        s.note(f"reaches to sector {end}, there are {sectors}")
        return
    # Two 32-bit numbers must add up to at most the size: under random bytes n*n/2 of 2**64 pairs do.
    s.check(f"all end within {sectors} sectors", True, max(0, 2 * (32 - (sectors - 1).bit_length()) + 1) * used)


def _entry(raw: bytes) -> Entry:
    return raw[4], int.from_bytes(raw[8:12], "little"), int.from_bytes(raw[12:16], "little")


def _primary(s: Structure, raw: list[bytes]) -> list[Partition]:
    base = s.volume.offset_bytes
    return [_partition(n, base, *_entry(entry)) for n, entry in enumerate(raw, 1) if entry != EMPTY]


def _partition(number: int, base: int, kind: int, first: int, length: int) -> Partition:
    return Partition(number, base + first * SECTOR_BYTES, length * SECTOR_BYTES, f"0x{kind:02x}")


def _logical(s: Structure, table: list[Entry]) -> tuple[list[Partition], list[int]]:
    """The logical partitions and the places of the chained records that hold one of them each and the next's place."""
    extended = next((first for kind, first, _ in table if kind in EXTENDED_TYPES), None)
    found: list[Partition] = []
    records: list[int] = []
    here = extended
    while extended is not None and here is not None and len(records) < MOST_LOGICAL:
        try:
            sector = s.volume.read(here * SECTOR_BYTES, SECTOR_BYTES)
        except MismatchError:
            break
        if sector[510:] != b"\x55\xaa":
            break
        records.append(here * SECTOR_BYTES)
        kind, first, length = _entry(sector[TABLE_OFFSET : TABLE_OFFSET + ENTRY_BYTES])
        if kind and length:
            found.append(_partition(5 + len(found), s.volume.offset_bytes, kind, here + first, length))
        link_kind, link, _ = _entry(sector[TABLE_OFFSET + ENTRY_BYTES : TABLE_OFFSET + 2 * ENTRY_BYTES])
        following = extended + link if link_kind in EXTENDED_TYPES and link else None
        here = following if following is not None and following > here else None
    return found, records


PROBES = (partition_table,)
