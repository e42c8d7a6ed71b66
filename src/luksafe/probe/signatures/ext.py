"""ext2, ext3, ext4 and their external journal (kernel documentation, "ext4 Data Structures and Algorithms")."""

from __future__ import annotations

from functools import partial

from luksafe.probe.checksums import crc32c_raw
from luksafe.probe.recognised import Kind, Recognised
from luksafe.probe.structure import Structure
from luksafe.probe.volume import MismatchError, Volume

SUPERBLOCK_BYTES = 1024
PRIMARY_OFFSET = 1024
HAS_JOURNAL = 0x0004
JOURNAL_DEVICE = 0x0008
SIXTY_FOUR_BIT = 0x0080
METADATA_CSUM = 0x0400
# Features that ext2 and ext3 know; any other makes it ext4. The journal's "needs recovery" (4) is ext3's.
EXT2_INCOMPATIBLE = 0x0012
EXT3_INCOMPATIBLE = EXT2_INCOMPATIBLE | 0x0004
EXT3_READ_ONLY_COMPATIBLE = 0x0007
KNOWN_INCOMPATIBLE = 0x0003F7DF
GROUP_LIMIT_BITS = 8  # blocks per group is at most 8 * block size


def superblock(volume: Volume, offset: int, copy_block_size: int | None = None) -> Recognised:
    """The superblock at ``offset``. For a copy in block group 1, ``copy_block_size`` is the size its place implies."""
    s = Structure(volume, offset, SUPERBLOCK_BYTES)
    s.magic(56, b"\x53\xef")
    block_size = 1024 << s.within(24, 4, 0, 6, "log2 of block size - 10")
    s.among(76, 4, (0, 1), "revision")
    s.among(72, 4, range(5), "creator OS")
    features = s.u32(96)
    s.check("known incompatible features", features & ~KNOWN_INCOMPATIBLE == 0, 32 - KNOWN_INCOMPATIBLE.bit_count())
    if features & JOURNAL_DEVICE:
        return s.recognised("jbd", Kind.FILESYSTEM, label=s.text(120, 16), uuid=s.uuid(104), version="1.0")
    s.within(20, 4, 0, 1, "first data block")
    per_group = s.within(32, 4, 8, block_size << GROUP_LIMIT_BITS, "blocks per group")
    s.within(40, 4, 1, block_size * 8, "inodes per group")
    blocks = s.u32(4) | (s.u32(336) << 32 if features & SIXTY_FOUR_BIT else 0)
    s.check(f"{blocks} blocks", blocks > s.u32(20), 0)
    group = s.u16(90)
    if copy_block_size is None:
        s.check("block group 0", group == 0, 16)
    else:
        s.check("block group 1", group == 1 and block_size == copy_block_size, 16)
    if s.u32(100) & METADATA_CSUM:
        s.verify("crc32c of the superblock", s.u32(1020) == crc32c_raw(s.data[:1020]), 32)
    return s.recognised(
        _name(s),
        Kind.FILESYSTEM,
        copy="primary" if copy_block_size is None else "backup",
        label=s.text(120, 16),
        uuid=s.uuid(104),
        version="1.0",
        size_bytes=blocks * block_size,
        geometry=_geometry(s, block_size, blocks, per_group),
    )


def _name(s: Structure) -> str:
    compatible, incompatible, read_only = s.u32(92), s.u32(96), s.u32(100)
    if read_only & ~EXT3_READ_ONLY_COMPATIBLE or incompatible & ~EXT3_INCOMPATIBLE:
        return "ext4"
    if compatible & HAS_JOURNAL:
        return "ext3"
    if incompatible & ~EXT2_INCOMPATIBLE:
        return "ext4"
    return "ext2"


def _geometry(s: Structure, block_size: int, blocks: int, per_group: int) -> dict[str, int]:
    wide = bool(s.u32(96) & SIXTY_FOUR_BIT)
    return {
        "block_size": block_size,
        "blocks": blocks,
        "first_data_block": s.u32(20),
        "blocks_per_group": per_group,
        "inodes_per_group": s.u32(40),
        "inode_size": s.u16(88) if s.u32(76) else 128,
        "descriptor_size": max(32, s.u16(254)) if wide else 32,
        "reserved_gdt_blocks": s.u16(206),
        "compatible": s.u32(92),
        "incompatible": s.u32(96),
        "read_only_compatible": s.u32(100),
        "first_meta_bg": s.u32(260),
        "backup_group_0": s.u32(588),
        "backup_group_1": s.u32(592),
        "first_inode": s.u32(84) if s.u32(76) else 11,
    }


def _in_group_1(volume: Volume, block_size: int) -> Recognised:
    # mkfs gives a group as many blocks as one bitmap block has bits; groups begin at block 1 when blocks are 1 KiB.
    first = 1 if block_size == SUPERBLOCK_BYTES else 0
    found = superblock(volume, (first + 8 * block_size) * block_size, block_size)
    if found.geometry.get("blocks_per_group") != 8 * block_size:
        raise MismatchError("another group size")
    return found


PROBES = (
    partial(superblock, offset=PRIMARY_OFFSET),
    partial(_in_group_1, block_size=1024),
    partial(_in_group_1, block_size=2048),
    partial(_in_group_1, block_size=4096),
)
