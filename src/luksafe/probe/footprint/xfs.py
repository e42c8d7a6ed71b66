"""What mkfs.xfs writes: both ends of the device, the head of each allocation group, the log, the root inodes."""

from __future__ import annotations

from collections.abc import Mapping

from luksafe.probe.footprint.model import Footprint, Ranges
from luksafe.probe.recognised import Recognised
from luksafe.probe.volume import Volume

ERASED_BYTES = 128 << 10
HEADER_SECTORS = 4
ROOT_BLOCKS, MORE_ROOT_BLOCKS = 3, 3
INODE_CHUNK = 64
MOST_GROUPS = 1 << 16


def xfs(volume: Volume, found: Recognised) -> Footprint:
    """mkfs.xfs 3.0 and later. Group headers are four sectors, then three to six blocks with the roots of trees."""
    g, out = found.geometry, Ranges(found.start)
    block, size = g["block_size"], g["blocks"] * g["block_size"]
    out.certain(0, ERASED_BYTES, "start of the device")
    headers = HEADER_SECTORS * g["sector_size"]
    roots = -(-headers // block) * block
    for number in range(min(g["groups"], MOST_GROUPS)):
        start = number * g["group_blocks"] * block
        out.certain(start, headers, "allocation group headers")
        out.certain(start + roots, ROOT_BLOCKS * block, "roots of the allocation group's trees")
        out.possible(start + roots + ROOT_BLOCKS * block, MORE_ROOT_BLOCKS * block, "roots of more trees")
        out.possible(start + headers, roots - headers, "rest of the header block")
    if g["groups"] > MOST_GROUPS:
        out.unknown(f"allocation groups from {MOST_GROUPS} on")
    if g["log_start"]:
        out.certain(_place(g, g["log_start"]), g["log_blocks"] * block, "log")
    else:
        out.unknown("the log, which is on another device")
    inode_block = g["root_inode"] >> g["inodes_per_block_log2"]
    out.certain(_place(g, inode_block), INODE_CHUNK * g["inode_size"], "root inodes")
    out.certain(size - ERASED_BYTES, ERASED_BYTES, "end of the device")
    return out.footprint("xfs", discards=True)


def _place(g: Mapping[str, int], block: int) -> int:
    """The byte of a filesystem block, whose number holds the group above ``group_blocks_log2`` bits."""
    bits = g["group_blocks_log2"]
    group, inside = block >> bits, block & ((1 << bits) - 1)
    return (group * g["group_blocks"] + inside) * g["block_size"]
