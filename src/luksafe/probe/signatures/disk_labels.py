"""Partition tables of other machines: BSD disk labels, SGI, Sun, Macintosh, Amiga and Atari.

From the published headers of those systems (``sys/disklabel.h``, Inside Macintosh: Devices, Amiga ``hardblocks.h``).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from luksafe.probe.checksums import MASK32, words32
from luksafe.probe.recognised import Kind, Partition, Recognised
from luksafe.probe.structure import Structure
from luksafe.probe.volume import MismatchError, Volume

SECTOR_BYTES = 512
BSD_PLACES = (512, 64, 128)
BSD_MAGIC = 0x82564557
BSD_HEAD_BYTES, BSD_MOST_PARTITIONS = 148, 16
SGI_MAGIC, SGI_PARTITIONS = 0x0BE5A941, 16
SUN_MAGIC, SUN_SANITY, SUN_WHOLE_DISK = 0xDABE, 0x600DDEEE, 5
MAC_MOST_PARTITIONS = 64
AMIGA_MOST_BLOCKS, AMIGA_MOST_PARTITIONS, AMIGA_END = 16, 32, MASK32
ATARI_IDS = (b"GEM", b"BGM", b"XGM", b"LNX", b"SWP", b"RAW", b"MIX", b"MNX", b"UNX", b"F32")


def bsd(volume: Volume, offset: int) -> Recognised:
    """The disk label of the BSDs: two magics and the exclusive or of all its 16-bit words."""
    s = Structure(volume, offset, BSD_HEAD_BYTES + 16 * BSD_MOST_PARTITIONS)
    s.among(0, 4, (BSD_MAGIC,), "magic")
    s.among(132, 4, (BSD_MAGIC,), "second magic")
    count = s.within(138, 2, 1, BSD_MOST_PARTITIONS, "partitions")
    s.verify("checksum of the label", _xor16(s.data[: BSD_HEAD_BYTES + 16 * count]) == 0, 16)
    entries = ((n + 1, BSD_HEAD_BYTES + 16 * n) for n in range(count))
    found = [(n, s.u32(at + 4), s.u32(at), s.u8(at + 12)) for n, at in entries]
    return _table(s, "bsd", [(n, start, size, f"0x{kind:02x}") for n, start, size, kind in found if kind and size])


def sgi(volume: Volume) -> Recognised:
    """The volume header of IRIX: its 32-bit words add up to zero."""
    s = Structure(volume, 0, SECTOR_BYTES, "big")
    s.among(0, 4, (SGI_MAGIC,), "magic")
    s.check("sum of the label", sum(words32(s.data, "big")) & MASK32 == 0, 32)
    rows = [(n + 1, 312 + 12 * n) for n in range(SGI_PARTITIONS)]
    return _table(s, "sgi", [(n, s.u32(at + 4), s.u32(at), f"0x{s.u32(at + 8):02x}") for n, at in rows if s.u32(at)])


def sun(volume: Volume) -> Recognised:
    """The disk label of SunOS and Solaris on SPARC; partitions begin at whole cylinders."""
    s = Structure(volume, 0, SECTOR_BYTES, "big")
    s.among(508, 2, (SUN_MAGIC,), "magic")
    s.check("checksum of the label", _xor16(s.data) == 0, 16)
    s.among(188, 4, (SUN_SANITY, 0), "sanity")
    cylinder = s.within(436, 2, 1, 4096, "heads") * s.within(438, 2, 1, 4096, "sectors of a track")
    rows = [(n + 1, 444 + 8 * n, s.u16(142 + 4 * n)) for n in range(8)]
    listed = [(n, s.u32(at) * cylinder, s.u32(at + 4), f"0x{kind:02x}") for n, at, kind in rows]
    return _table(s, "sun", [row for row, (*_, kind) in zip(listed, rows) if row[2] and kind != SUN_WHOLE_DISK])


def mac(volume: Volume) -> Recognised:
    """The Apple partition map: the driver descriptor in block 0, one entry a block from block 1 on."""
    s = Structure(volume, 0, SECTOR_BYTES, "big")
    s.magic(0, b"ER")
    block = s.among(2, 2, (512, 1024, 2048, 4096), "block size")
    first = Structure(volume, block, SECTOR_BYTES, "big")
    first.check("entry in block 1", first.data[:2] in (b"PM", b"TS"), 0)
    s.check("signature of its first entry", True, 15)
    s.check("reserved bytes of its first entry", first.u16(2) == 0, 16)
    count = first.u32(4)
    s.check(f"{count} entries", 1 <= count <= 256, 24)
    rows = []
    for number in range(1, min(count, MAC_MOST_PARTITIONS) + 1):
        try:
            e = Structure(volume, number * block, SECTOR_BYTES, "big")
        except MismatchError:
            break
        scale = block // SECTOR_BYTES
        rows.append((number, e.u32(8) * scale, e.u32(12) * scale, e.text(48, 32, "mac-roman")))
    return _table(s, "mac", [row for row in rows if row[2]])


def amiga(volume: Volume) -> Recognised:
    """The rigid disk block in one of the first sixteen, and the chain of its partitions."""
    for number in range(AMIGA_MOST_BLOCKS):
        s = Structure(volume, number * SECTOR_BYTES, SECTOR_BYTES, "big")
        if s.data[:4] == b"RDSK":
            break
    else:
        raise MismatchError("no rigid disk block")
    s.magic(0, b"RDSK")
    _amiga_sum(s)
    block = s.among(16, 4, (512, 1024, 2048, 4096), "block size")
    return _table(s, "amiga", list(_amiga_partitions(volume, s.u32(28), block)))


def _amiga_sum(s: Structure) -> None:
    longs = s.within(4, 4, 16, SECTOR_BYTES // 4, "summed longs")
    s.check("sum of the block", sum(words32(s.data[: 4 * longs], "big")) & MASK32 == 0, 32)


def _amiga_partitions(volume: Volume, at: int, block: int) -> Iterator[tuple[int, int, int, str]]:
    for number in range(1, AMIGA_MOST_PARTITIONS + 1):
        if at == AMIGA_END:
            return
        try:
            p = Structure(volume, at * block, SECTOR_BYTES, "big")
            p.magic(0, b"PART")
            _amiga_sum(p)
        except MismatchError:
            return
        cylinder = p.u32(140) * p.u32(148) * block // SECTOR_BYTES
        low, high = p.u32(164), p.u32(168)
        if high >= low:
            yield number, low * cylinder, (high - low + 1) * cylinder, p.text(192, 4, "latin-1")
        at = p.u32(16)


def atari(volume: Volume) -> Recognised:
    """The root sector of AHDI. It has no magic: its entries must make sense, so on large disks it is not seen."""
    s = Structure(volume, 0, SECTOR_BYTES, "big")
    s.check("no boot signature of a PC", s.data[510:] != b"\x55\xaa", 0)
    sectors = volume.size_bytes // SECTOR_BYTES
    total = s.u32(450)
    s.check(f"{total} sectors", 2 <= total <= sectors, max(0, 32 - sectors.bit_length()))
    rows = []
    for number in range(4):
        at = 454 + 12 * number
        if not s.u8(at) & 1:
            s.check(f"entry {number + 1} not in use", s.u8(at) == 0, 1)
            continue
        name, start, size = s.data[at + 1 : at + 4], s.u32(at + 4), s.u32(at + 8)
        s.check(f"entry {number + 1} {name!r}", name in ATARI_IDS, 20)
        s.check("lies on the disk", 0 < start < start + size <= total, 2 * max(0, 32 - sectors.bit_length()))
        rows.append((number + 1, start, size, name.decode()))
    s.check("an entry in use", bool(rows), 0)
    return _table(s, "atari", rows)


def _xor16(data: bytes) -> int:
    folded = 0
    for at in range(0, len(data) - 1, 2):
        folded ^= data[at] | data[at + 1] << 8
    return folded


def _table(s: Structure, name: str, rows: list[tuple[int, int, int, str]]) -> Recognised:
    base, end = s.volume.offset_bytes, s.volume.size_bytes
    entries = (
        Partition(number, base + start * SECTOR_BYTES, size * SECTOR_BYTES, kind)
        for number, start, size, kind in rows
        if start * SECTOR_BYTES < end
    )
    return s.recognised(name, Kind.PARTITION_TABLE, partitions=tuple(entries))


PROBES = (*(partial(bsd, offset=offset) for offset in BSD_PLACES), sgi, sun, mac, amiga, atari)
