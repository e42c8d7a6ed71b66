"""What the rest leaves: whole images, boot loaders, and filesystems of which only some places are computed."""

from __future__ import annotations

from luksafe.probe.footprint.model import Footprint, Ranges
from luksafe.probe.recognised import Recognised
from luksafe.probe.signatures.optical import ANCHOR_BLOCK, DESCRIPTORS_OFFSET, SECTOR_BYTES
from luksafe.probe.volume import MismatchError, Volume

BOOT_CODE_BYTES = 440
LAST_BLOCK_LIST_AT, BLOCK_LIST_BYTES = 500, 12
MOST_BLOCK_LISTS = 30
F2FS_SEGMENT_BYTES = 2 << 20
F2FS_FIRST_SEGMENTS = 6
HFS_HEADER_OFFSET = 1024
PADDING_BYTES = 4096


def whole_image(volume: Volume, found: Recognised) -> Footprint:
    """Read-only filesystems are made as images and copied as a whole."""
    out = Ranges(found.start)
    size = found.geometry["size"]
    out.certain(0, size, "the whole image")
    out.possible(size, -size % PADDING_BYTES, "padding of the image")
    return out.footprint(found.name)


def grub(volume: Volume, found: Recognised) -> Footprint:
    """boot.img in sector 0 and the core image, whose first sector lists the places of the rest."""
    out, core = Ranges(found.start), found.geometry["core_offset"]
    out.certain(0, BOOT_CODE_BYTES, "boot code")
    out.certain(core, 512, "core image, first sector")
    try:
        sector = volume.read(core, 512)
    except MismatchError:
        out.unknown("the core image: its first sector cannot be read")
        return out.footprint(found.name)
    for n in range(MOST_BLOCK_LISTS):
        raw = sector[LAST_BLOCK_LIST_AT - n * BLOCK_LIST_BYTES :][:BLOCK_LIST_BYTES]
        first, length = int.from_bytes(raw[:8], "little"), int.from_bytes(raw[8:10], "little")
        if not length:
            break
        out.certain(first * 512, length * 512, "core image")
    return out.footprint(found.name)


def boot_code(volume: Volume, found: Recognised) -> Footprint:
    """The code area of sector 0."""
    out = Ranges(found.start)
    out.certain(0, BOOT_CODE_BYTES, "boot code")
    out.unknown("the later stages of the boot loader")
    return out.footprint(found.name)


def udf(volume: Volume, found: Recognised) -> Footprint:
    """The recognition sequence, the anchor and the two descriptor sequences that it points to."""
    out, size = Ranges(found.start), found.geometry["block_size"]
    out.certain(DESCRIPTORS_OFFSET, 3 * max(SECTOR_BYTES, size), "recognition sequence")
    out.possible(0, DESCRIPTORS_OFFSET, "boot area")
    out.certain(ANCHOR_BLOCK * size, size, "anchor")
    anchor = volume.read(ANCHOR_BLOCK * size, 32)
    for at, what in ((16, "main descriptor sequence"), (24, "reserve descriptor sequence")):
        length, block = int.from_bytes(anchor[at : at + 4], "little"), int.from_bytes(anchor[at + 4 : at + 8], "little")
        out.certain(block * size, size, what)
        out.possible(block * size, length, what)
    out.unknown("partition space: space bitmap, file set, root directory; further anchors at the end")
    return out.footprint(found.name)


def f2fs(volume: Volume, found: Recognised) -> Footprint:
    """Both superblocks, the metadata areas, and the first segments of the main area."""
    g, out = found.geometry, Ranges(found.start)
    out.certain(0, 2 * g["block_size"], "superblocks")
    out.certain(g["cp"], g["block_size"], "checkpoint")
    out.possible(g["cp"], g["main"] - g["cp"], "checkpoints, segment and node tables")
    out.possible(g["main"], F2FS_FIRST_SEGMENTS * F2FS_SEGMENT_BYTES, "first segments of the main area")
    return out.footprint(found.name, discards=True)


def hfsplus(volume: Volume, found: Recognised) -> Footprint:
    """Both volume headers and the first extent of each special file."""
    g, out = found.geometry, Ranges(found.start)
    out.certain(0, HFS_HEADER_OFFSET + 512, "boot blocks and volume header")
    out.certain(g["size"] - HFS_HEADER_OFFSET, HFS_HEADER_OFFSET, "alternate volume header")
    for name in ("allocation", "extents", "catalog", "attributes", "startup"):
        out.possible(g[f"{name}_offset"], g[f"{name}_bytes"], f"{name} file")
    out.unknown("journal; later extents of the special files")
    return out.footprint(found.name)


def evidence_only(volume: Volume, found: Recognised) -> Footprint:
    """For formats whose further places are not computed: the recognised structure itself."""
    out = Ranges(found.start)
    out.certain(found.offset - found.start, found.length, "superblock")
    out.unknown(f"all else that {found.name} keeps")
    return out.footprint(found.name)
