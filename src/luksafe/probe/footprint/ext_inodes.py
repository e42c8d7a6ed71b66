"""The blocks of the first inodes of ext2/3/4: journal, root directory, lost+found, resize inode."""

from __future__ import annotations

from collections.abc import Iterator

from luksafe.probe.footprint.model import Ranges
from luksafe.probe.volume import Volume

NAMES = {2: "root directory", 7: "resize inode", 8: "journal", 11: "lost+found"}
RESIZE = 7
LAST_INODE = 16
EXTENTS_FLAG, INLINE_DATA_FLAG = 0x00080000, 0x10000000
EXTENT_MAGIC = 0xF30A
DIRECT_BLOCKS = 12
MOST_RUNS = 100_000
MOST_DEPTH = 5

BlockRun = tuple[int, int]


def system_files(volume: Volume, g: dict[str, int], first_table: int, out: Ranges) -> None:
    """Adds the blocks of the inodes that mke2fs fills; raises :class:`MismatchError` where they cannot be read."""
    size = g["block_size"]
    for number in range(1, min(LAST_INODE, g["inodes_per_group"]) + 1):
        inode = volume.read(first_table * size + (number - 1) * g["inode_size"], 128)
        flags, kind = int.from_bytes(inode[32:36], "little"), int.from_bytes(inode[:2], "little") >> 12
        if kind not in (4, 8) or flags & INLINE_DATA_FLAG:
            continue
        what = NAMES.get(number, f"inode {number}")
        if flags & EXTENTS_FLAG:
            blocks = _extents(volume, inode[40:100], size, MOST_DEPTH)
        else:
            blocks = _block_map(volume, inode[40:100], size, data=number != RESIZE)
        for count, (first, length) in enumerate(blocks):
            if count > MOST_RUNS:
                out.unknown(f"the rest of {what}")
                break
            if 0 < first < g["blocks"]:
                out.certain(first * size, length * size, what)


def _extents(volume: Volume, node: bytes, block_size: int, depth_left: int) -> Iterator[BlockRun]:
    if int.from_bytes(node[:2], "little") != EXTENT_MAGIC:
        return
    entries, depth = int.from_bytes(node[2:4], "little"), int.from_bytes(node[6:8], "little")
    for at in range(12, min(12 + 12 * entries, len(node) - 11), 12):
        entry = node[at : at + 12]
        if depth == 0:
            first = int.from_bytes(entry[8:12], "little") | int.from_bytes(entry[6:8], "little") << 32
            length = int.from_bytes(entry[4:6], "little")
            yield first, length if length <= 32768 else length - 32768
        elif depth_left:
            block = int.from_bytes(entry[4:8], "little") | int.from_bytes(entry[8:10], "little") << 32
            yield block, 1
            yield from _extents(volume, volume.read(block * block_size, block_size), block_size, depth_left - 1)


def _block_map(volume: Volume, pointers: bytes, block_size: int, data: bool) -> Iterator[BlockRun]:
    """Direct, indirect, double and triple indirect blocks. Without ``data`` the blocks that hold pointers only."""
    words = [int.from_bytes(pointers[at : at + 4], "little") for at in range(0, 60, 4)]
    if data:
        yield from ((block, 1) for block in words[:DIRECT_BLOCKS] if block)
    for level, block in enumerate(words[DIRECT_BLOCKS:], 1):
        if block:
            yield from _indirect(volume, block, block_size, level, data)


def _indirect(volume: Volume, block: int, block_size: int, level: int, data: bool) -> Iterator[BlockRun]:
    yield block, 1
    if level == 1 and not data:
        return
    raw = volume.read(block * block_size, block_size)
    for at in range(0, block_size, 4):
        child = int.from_bytes(raw[at : at + 4], "little")
        if child and level > 1:
            yield from _indirect(volume, child, block_size, level - 1, data)
        elif child:
            yield child, 1
