"""Filesystems of other systems: minix, UFS, Reiser4, VxFS, NSS, ScoutFS, BeFS, HPFS, romfs, UBI and UBIFS."""

from __future__ import annotations

from functools import partial
from typing import Literal

from luksafe.probe.checksums import MASK32, crc32_raw, crc32c_raw, words32
from luksafe.probe.recognised import Kind, Recognised
from luksafe.probe.structure import Structure
from luksafe.probe.volume import MismatchError, Volume

Order = Literal["little", "big"]
ORDERS: tuple[Order, ...] = ("little", "big")
MINIX_OFFSET = 1024
MINIX_MAGICS = {0x137F: "1", 0x138F: "1", 0x2468: "2", 0x2478: "2"}
MINIX_3_MAGIC = 0x4D5A
UFS_PLACES = (0, 8192, 65536, 262144)
UFS2_MAGIC = 0x19540119
UFS_MAGICS = (UFS2_MAGIC, 0x00011954, 0x00195612, 0x00095014, 0x00612195, 0x05231994)
SCOUTFS_MAGIC = 0x103C428B
VXFS_MAGIC = 0xA501FCF5
BEFS_MAGICS = ((32, 0x42465331), (36, 0x42494745), (68, 0xDD121031), (112, 0x15B6830E))
UBIFS_MAGIC, UBIFS_SUPERBLOCK_NODE = 0x06101831, 6


def minix(volume: Volume, order: Order) -> Recognised:
    """Versions 1 and 2: a magic of two bytes, so the sizes of the maps must be just what the counts need."""
    s = Structure(volume, MINIX_OFFSET, 32, order)
    version = MINIX_MAGICS[s.among(16, 2, MINIX_MAGICS, "magic")]
    inodes, zones = s.u16(0), s.u16(2) if version == "1" else s.u32(20)
    _minix_maps(s, inodes, zones, (s.u16(4), s.u16(6)), s.u16(8), 1024, 32 if version == "1" else 64)
    s.zeros(10, 2, "zone size")
    return s.recognised("minix", Kind.FILESYSTEM, version=version, size_bytes=zones * 1024)


def minix3(volume: Volume, order: Order) -> Recognised:
    """Version 3 says its block size itself."""
    s = Structure(volume, MINIX_OFFSET, 32, order)
    s.among(24, 2, (MINIX_3_MAGIC,), "magic")
    block_size = s.power_of_two(28, 2, 1024, 32768, "block size")
    s.zeros(12, 2, "zone size")
    inodes, zones = s.u32(0), s.u32(20)
    _minix_maps(s, inodes, zones, (s.u16(6), s.u16(8)), s.u16(10), block_size, 64)
    return s.recognised("minix", Kind.FILESYSTEM, version="3", size_bytes=zones * block_size)


def _minix_maps(
    s: Structure, inodes: int, zones: int, maps: tuple[int, int], first: int, block_size: int, inode_bytes: int
) -> None:
    in_block = block_size * 8
    table = -(-inodes * inode_bytes // block_size)
    s.check(f"{inodes} inodes, {zones} zones", inodes > 0 and first < zones, 1)
    s.check(f"map of the inodes {maps[0]}", maps[0] in _around(-(-(inodes + 1) // in_block)), 14)
    s.check(f"map of the zones {maps[1]}", maps[1] in _around(-(-(zones - first + 1) // in_block)), 14)
    s.check(f"first data zone {first}", first in _around(2 + sum(maps) + table), 14)


def _around(needed: int) -> tuple[int, ...]:
    return (needed, needed + 1)


def ufs(volume: Volume, offset: int, order: Order) -> Recognised:
    """UFS 1 and 2 of the BSDs and of Solaris."""
    s = Structure(volume, offset, 1376, order)
    magic = s.among(1372, 4, UFS_MAGICS, "magic")
    block = s.power_of_two(48, 4, 4096, 65536, "block size")
    fragment = s.power_of_two(52, 4, 512, 65536, "fragment size")
    s.check("fragments of a block", s.u32(56) * fragment == block, 28)
    newer = magic == UFS2_MAGIC
    serial = (s.u32(144), s.u32(148))
    return s.recognised(
        "ufs",
        Kind.FILESYSTEM,
        label=s.text(680, 32) if newer else "",
        uuid=f"{serial[0]:08x}{serial[1]:08x}" if any(serial) else "",
        version="2" if newer else "1",
    )


def reiser4(volume: Volume) -> Recognised:
    """Reiser4: the master superblock at 65536."""
    s = Structure(volume, 65536, 64)
    s.magic(0, b"ReIsEr4")
    return s.recognised("reiser4", Kind.FILESYSTEM, label=s.text(36, 16), uuid=s.uuid(20), version="4")


def vxfs(volume: Volume, offset: int, order: Order) -> Recognised:
    """VERITAS: at 1024 where it was made on a little-endian machine, at 8192 on a big-endian one."""
    s = Structure(volume, offset, 64, order)
    s.among(0, 4, (VXFS_MAGIC,), "magic")
    version = s.within(4, 4, 1, 32, "version")
    return s.recognised("vxfs", Kind.FILESYSTEM, version=str(version))


def nss(volume: Volume) -> Recognised:
    """Novell Storage Services: the super block at 4096."""
    s = Structure(volume, 4096, 512)
    s.magic(0, b"SPB5")
    for at, what in ((4, "version"), (6, "minor version"), (8, "media version"), (10, "minor media version")):
        s.within(at, 2, 0, 999, what)
    return s.recognised("nss", Kind.FILESYSTEM, uuid=s.uuid(348), version=f"{s.u16(8)}.{s.u16(10):02d}")


def scoutfs(volume: Volume) -> Recognised:
    """ScoutFS: the superblock at 65536 with its CRC; a flag tells the device of the metadata."""
    s = Structure(volume, 65536, 4096)
    s.among(4, 4, (SCOUTFS_MAGIC,), "magic")
    s.check("crc32c of the superblock", s.u32(0) == crc32c_raw(s.data[4:]), 32)
    name = "scoutfs_meta" if s.u64(48) & 1 else "scoutfs_data"
    return s.recognised(name, Kind.FILESYSTEM, uuid=s.uuid(56), version=str(s.u64(40)))


def befs(volume: Volume, offset: int, order: Order) -> Recognised:
    """The filesystem of BeOS and Haiku: three magics."""
    s = Structure(volume, offset, 512, order)
    for at, magic in BEFS_MAGICS:
        s.among(at, 4, (magic,), "magic")
    size = s.u64(48) * s.u32(40)
    return s.recognised("befs", Kind.FILESYSTEM, label=s.text(0, 32), size_bytes=size)


def hpfs(volume: Volume) -> Recognised:
    """OS/2's HPFS: superblock and spare block."""
    s = Structure(volume, 8192, 1024)
    s.magic(0, bytes.fromhex("49e895f9"))
    s.magic(512, bytes.fromhex("491891f9"), "magic of the spare block")
    return s.recognised("hpfs", Kind.FILESYSTEM, version=str(s.u8(8)))


def romfs(volume: Volume) -> Recognised:
    """romfs: its first 512 bytes add up to zero."""
    s = Structure(volume, 0, 64, "big")
    s.magic(0, b"-rom1fs-")
    size = s.u32(8)
    try:
        head = volume.read(0, min(512, size))
    except MismatchError:
        head = b""
    s.verify("sum of the start", bool(head) and sum(words32(head, "big")) & MASK32 == 0, 32)
    return s.recognised("romfs", Kind.FILESYSTEM, label=s.text(16, 16), size_bytes=size)


def ubi(volume: Volume) -> Recognised:
    """UBI: the header of the first erase block with its CRC."""
    s = Structure(volume, 0, 64, "big")
    s.magic(0, b"UBI#")
    s.check("crc32 of the header", s.u32(60) == crc32_raw(s.data[:60], MASK32), 32)
    return s.recognised("ubi", Kind.VOLUME_MANAGER, uuid=str(s.u32(24)), version=str(s.u8(4)))


def ubifs(volume: Volume) -> Recognised:
    """UBIFS: the superblock node with its CRC."""
    s = Structure(volume, 0, 4096)
    s.among(0, 4, (UBIFS_MAGIC,), "magic")
    s.among(20, 1, (UBIFS_SUPERBLOCK_NODE,), "node type")
    length = s.within(16, 4, 124, 4096, "length")
    s.verify("crc32 of the node", s.u32(4) == crc32_raw(s.data[8:length], MASK32), 32)
    return s.recognised("ubifs", Kind.FILESYSTEM, uuid=s.uuid(108), size_bytes=s.u32(36) * s.u32(40))


PROBES = (
    *(partial(minix, order=order) for order in ORDERS),
    *(partial(minix3, order=order) for order in ORDERS),
    *(partial(ufs, offset=offset, order=order) for offset in UFS_PLACES for order in ORDERS),
    reiser4,
    partial(vxfs, offset=1024, order="little"),
    partial(vxfs, offset=8192, order="big"),
    nss,
    scoutfs,
    *(partial(befs, offset=offset, order=order) for offset in (0, 512) for order in ORDERS),
    hpfs,
    romfs,
    ubi,
    ubifs,
)
