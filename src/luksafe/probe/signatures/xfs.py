"""XFS ("XFS Algorithms & Data Structures", chapter on the superblock). All integers are big-endian but the checksum."""

from __future__ import annotations

from luksafe.probe.checksums import crc32c, without
from luksafe.probe.recognised import Kind, Recognised
from luksafe.probe.structure import Structure
from luksafe.probe.volume import Volume

VERSION_MASK = 0x000F
VERSION_5 = 5


def superblock(volume: Volume) -> Recognised:
    """The superblock of allocation group 0, in the first sector."""
    s = Structure(volume, 0, 512, "big")
    s.magic(0, b"XFSB")
    block_size = s.power_of_two(4, 4, 512, 65536, "block size")
    sector_size = s.power_of_two(102, 2, 512, 32768, "sector size")
    s.power_of_two(104, 2, 256, 2048, "inode size")
    s.check("log2 of block size", 1 << min(s.u8(120), 63) == block_size, 8)
    s.check("log2 of sector size", 1 << min(s.u8(121), 63) == sector_size, 8)
    version = s.u16(100) & VERSION_MASK
    s.check(f"version {version}", 1 <= version <= VERSION_5, 1)
    blocks, group_blocks, groups = s.u64(8), s.u32(84), s.within(88, 4, 1, 1 << 24, "allocation groups")
    fits = group_blocks * (groups - 1) < blocks <= group_blocks * groups
    s.check(f"{groups} groups of {group_blocks} hold {blocks} blocks", fits, 8)
    if version == VERSION_5:
        whole = volume.read(0, sector_size)
        stored = int.from_bytes(whole[224:228], "little")
        s.verify("crc32c of the superblock sector", stored == crc32c(without(whole, 224, 4)), 32)
    return s.recognised(
        "xfs",
        Kind.FILESYSTEM,
        label=s.text(108, 12),
        uuid=s.uuid(32),
        version=str(version),
        size_bytes=blocks * block_size,
        geometry={
            "block_size": block_size,
            "sector_size": sector_size,
            "blocks": blocks,
            "group_blocks": group_blocks,
            "groups": groups,
            "group_blocks_log2": s.u8(124),
            "blocks_log2": s.u8(120),
            "inodes_per_block_log2": s.u8(123),
            "inode_size": s.u16(104),
            "log_start": s.u64(48),
            "log_blocks": s.u32(96),
            "root_inode": s.u64(56),
            "version": version,
        },
    )


PROBES = (superblock,)
