"""What mke2fs writes: superblocks, descriptors, bitmaps, inode tables, journal and first directories."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from luksafe.probe.footprint.ext_inodes import system_files
from luksafe.probe.footprint.model import Footprint, Ranges
from luksafe.probe.recognised import Recognised
from luksafe.probe.volume import MismatchError, Volume

BOOT_BYTES = 1024
END_BYTES = 65536
RESIZE_INODE, SPARSE_SUPER_2 = 0x0010, 0x0200
META_BG = 0x0010
SPARSE_SUPER, GDT_CSUM, METADATA_CSUM = 0x0001, 0x0010, 0x0400
INODE_UNINIT, BLOCK_UNINIT, INODE_TABLE_ZEROED = 1, 2, 4
MOST_GROUPS = 1 << 17


def ext(volume: Volume, found: Recognised) -> Footprint:
    """By block group, as the group descriptors say; without readable descriptors the superblocks only."""
    g, out = dict(found.geometry), Ranges(found.start)
    if "blocks" not in g:
        out.certain(0, 2 * BOOT_BYTES, "superblock")
        out.unknown("the journal's own blocks")
        return out.footprint(found.name, discards=True)
    size = g["block_size"]
    g["groups"] = -(-(g["blocks"] - g["first_data_block"]) // g["blocks_per_group"])
    out.certain(0, BOOT_BYTES, "boot block")
    out.possible(0, size, "first block")
    for group in _groups_with_superblock(g):
        out.certain(_superblock_block(g, group) * size + _shift(g, group), BOOT_BYTES, "superblock")
    _descriptor_tables(g, out)
    try:
        if g["descriptor_size"] > size:
            raise MismatchError("descriptors larger than a block")
        first_table = _groups(volume, found, g, out)
        system_files(volume, g, first_table, out)
    except MismatchError:
        out.unknown("bitmaps, inode tables, journal and directories: the descriptors or inodes cannot be read")
    _last_blocks(g, out)
    return out.footprint(found.name, discards=True)


def _shift(g: dict[str, int], group: int) -> int:
    """The primary superblock stands 1024 bytes into its block when blocks are larger."""
    return BOOT_BYTES if group == 0 and g["block_size"] > BOOT_BYTES else 0


def _last_blocks(g: dict[str, int], out: Ranges) -> None:
    """mke2fs zeroes the last 64 KiB block, and what follows it, where MD 0.90 would keep its superblock."""
    per = max(1, END_BYTES // g["block_size"])
    start = g["blocks"] // per * per
    if start > per:
        start -= per
        out.certain(start * g["block_size"], (g["blocks"] - start) * g["block_size"], "end of the filesystem")


def _groups_with_superblock(g: dict[str, int]) -> Iterator[int]:
    groups = min(g["groups"], MOST_GROUPS)
    if g["compatible"] & SPARSE_SUPER_2:
        yield from sorted({0, g["backup_group_0"], g["backup_group_1"]} & set(range(groups)))
    elif g["read_only_compatible"] & SPARSE_SUPER:
        powers = {base**n for base in (3, 5, 7) for n in range(1, 20)}
        yield from sorted(({0, 1} | powers) & set(range(groups)))
    else:
        yield from range(groups)


def _superblock_block(g: dict[str, int], group: int) -> int:
    block = g["first_data_block"] + group * g["blocks_per_group"]
    # Blocks of 1 KiB that are numbered from 0 (bigalloc): the first superblock is still at 1024.
    return 1 if block == 0 and g["block_size"] == BOOT_BYTES else block


def _descriptor_tables(g: dict[str, int], out: Ranges) -> None:
    size, groups = g["block_size"], min(g["groups"], MOST_GROUPS)
    per_block = max(1, size // g["descriptor_size"])
    blocks = -(-groups // per_block)
    copies = set(_groups_with_superblock(g))
    if g["incompatible"] & META_BG:
        for first in range(g["first_meta_bg"] * per_block, groups, per_block):
            for group in {first, first + 1, first + per_block - 1} & set(range(groups)):
                block = _superblock_block(g, group) + (group in copies)
                out.certain(block * size, size, "group descriptors")
        blocks = min(blocks, g["first_meta_bg"])
    for group in sorted(copies):
        first = _superblock_block(g, group) + 1
        out.certain(first * size, blocks * size, "group descriptors")
        if g["compatible"] & RESIZE_INODE:
            add = out.certain if group == 0 else out.possible
            add((first + blocks) * size, g["reserved_gdt_blocks"] * size, "blocks reserved for more group descriptors")


def _groups(volume: Volume, found: Recognised, g: dict[str, int], out: Ranges) -> int:
    """Bitmaps and inode tables of every group; gives the block of the first inode table."""
    table_blocks = -(-g["inodes_per_group"] * g["inode_size"] // g["block_size"])
    if g["groups"] > MOST_GROUPS:
        out.unknown(f"block groups from {MOST_GROUPS} on")
    first_table = 0
    for group, raw in enumerate(_descriptors(volume, found, g)):
        low, high = raw[:32], raw[32:64] if g["descriptor_size"] >= 64 else bytes(32)
        places = [
            int.from_bytes(low[at : at + 4], "little") | int.from_bytes(high[at : at + 4], "little") << 32
            for at in (0, 4, 8)
        ]
        if not all(0 < place < g["blocks"] for place in places):
            raise MismatchError("no group descriptor")
        first_table = first_table or places[2]
        _one_group(g, out, places, low, table_blocks)
        if group + 1 == MOST_GROUPS:
            break
    return first_table


def _one_group(g: dict[str, int], out: Ranges, places: list[int], low: bytes, table_blocks: int) -> None:
    size = g["block_size"]
    checked = g["read_only_compatible"] & (GDT_CSUM | METADATA_CSUM)
    flags = int.from_bytes(low[18:20], "little") if checked else INODE_TABLE_ZEROED
    for place, flag, what in ((places[0], BLOCK_UNINIT, "block bitmap"), (places[1], INODE_UNINIT, "inode bitmap")):
        (out.possible if flags & flag else out.certain)(place * size, size, what)
    unused = int.from_bytes(low[28:30], "little") if checked else 0
    used = -(-max(0, g["inodes_per_group"] - unused) * g["inode_size"] // size)
    written = table_blocks if flags & INODE_TABLE_ZEROED else 0 if flags & INODE_UNINIT else min(used, table_blocks)
    out.certain(places[2] * size, written * size, "inode table")
    out.possible((places[2] + written) * size, (table_blocks - written) * size, "inode table, zeroed after mounting")


def _descriptors(volume: Volume, found: Recognised, g: dict[str, int]) -> Iterator[bytes]:
    """The descriptors of all groups, from behind the superblock that was recognised."""
    size, width = g["block_size"], g["descriptor_size"]
    per_block = size // width
    first = (found.offset - found.start) // size + 1
    copies = set(_groups_with_superblock(g))
    starts = [*range(0, min(g["groups"], MOST_GROUPS), per_block), min(g["groups"], MOST_GROUPS)]
    for number, (group, following) in enumerate(pairwise(starts)):
        block = first + number
        if g["incompatible"] & META_BG and number >= g["first_meta_bg"]:
            block = _superblock_block(g, group) + (group in copies)
        raw = volume.read(block * size, (following - group) * width)
        yield from (raw[at : at + width] for at in range(0, len(raw), width))
