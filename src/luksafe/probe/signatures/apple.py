"""HFS, HFS+ (Apple Technical Note TN1150) and APFS (Apple File System Reference)."""

from __future__ import annotations

from functools import partial

from luksafe.probe.checksums import fletcher64
from luksafe.probe.recognised import Kind, Recognised
from luksafe.probe.structure import Structure
from luksafe.probe.volume import MismatchError, Volume

HEADER_OFFSET = 1024
HEADER_BYTES = 512
LEAF_NODE, ROOT_PARENT = 0xFF, 1
CONTAINER_SUPERBLOCK = 0x80000001


def hfsplus(volume: Volume, at_end: bool = False) -> Recognised:
    """The volume header at 1024, or the alternate one 1024 bytes before the end."""
    offset = volume.size_bytes // 512 * 512 - HEADER_OFFSET if at_end else HEADER_OFFSET
    s = Structure(volume, offset, HEADER_BYTES, "big")
    signature = s.data[:2]
    if signature not in (b"H+", b"HX"):
        raise MismatchError("no HFS+")
    s.magic(0, signature)
    s.among(2, 2, (4, 5), "version")
    block_size = s.power_of_two(40, 4, 512, 1 << 20, "allocation block size")
    blocks, free = s.u32(44), s.u32(48)
    s.check(f"{free} of {blocks} blocks free", free <= blocks, 1)
    s.check("last mounted by a known implementation", s.data[8:12] in (b"10.0", b"HFSJ", b"fsck", b"8.10", b"H+Lx"), 29)
    start = offset + HEADER_OFFSET - blocks * block_size if at_end else 0
    s.check("volume ends here", start >= 0, 0)
    extents = _fork_extents(s, block_size)
    return s.recognised(
        "hfsplus",
        Kind.FILESYSTEM,
        label=_catalog_name(volume, start + extents["catalog_offset"]),
        start=start,
        copy="backup" if at_end else "primary",
        size_bytes=blocks * block_size,
        geometry={"block_size": block_size, "size": blocks * block_size, **extents},
    )


def _catalog_name(volume: Volume, catalog: int) -> str:
    """The volume's name: the key of the first record in the first leaf of the catalog (in its first extent)."""
    try:
        head = Structure(volume, catalog, 64, "big")
        leaf = Structure(volume, catalog + head.u32(24) * head.u16(32), 14 + 2 + 6 + 2 * 255, "big")
    except MismatchError:
        return ""
    length = leaf.u16(20)
    if leaf.u8(8) != LEAF_NODE or leaf.u32(16) != ROOT_PARENT or length > 255:
        return ""
    return leaf.text(22, 2 * length, "utf-16-be")


def _fork_extents(s: Structure, block_size: int) -> dict[str, int]:
    """The first extent of each special file: allocation bitmap, extents, catalog, attributes, startup."""
    out = {}
    for name, at in (("allocation", 112), ("extents", 192), ("catalog", 272), ("attributes", 352), ("startup", 432)):
        out[f"{name}_offset"], out[f"{name}_bytes"] = s.u32(at + 16) * block_size, s.u32(at + 20) * block_size
    return out


def hfs(volume: Volume) -> Recognised:
    """The master directory block of the older HFS (not of an HFS+ volume wrapped in one)."""
    s = Structure(volume, HEADER_OFFSET, HEADER_BYTES, "big")
    s.magic(0, b"BD")
    s.check("no embedded HFS+", s.data[124:126] not in (b"H+", b"HX"), 0)
    block_size = s.u32(20)
    s.check(
        f"allocation block size {block_size}", block_size > 0 and block_size % 512 == 0 and block_size < 1 << 24, 17
    )
    s.within(36, 1, 1, 27, "length of the name")
    blocks, free = s.u16(18), s.u16(34)
    s.check(f"{free} of {blocks} blocks free", free <= blocks, 1)
    name = s.data[37 : 37 + s.u8(36)].decode("mac-roman")
    s.check(f"name {name!r}", name.isprintable(), 0)
    s.check("bitmap starts at block 3", s.u16(14) == 3, 16)
    return s.recognised(
        "hfs", Kind.FILESYSTEM, label=name, size_bytes=blocks * block_size, geometry={"size": blocks * block_size}
    )


def apfs(volume: Volume) -> Recognised:
    """The container superblock in block 0 with Fletcher's checksum."""
    s = Structure(volume, 0, 4096)
    s.magic(32, b"NXSB")
    s.among(24, 4, (CONTAINER_SUPERBLOCK,), "object type")
    s.among(8, 8, (1,), "object identifier")
    block_size = s.power_of_two(36, 4, 4096, 65536, "block size")
    s.verify("Fletcher's checksum", s.u64(0) == fletcher64(volume.read(8, block_size - 8)), 64)
    return s.recognised(
        "apfs",
        Kind.FILESYSTEM,
        uuid=s.uuid(72),
        size_bytes=s.u64(40) * block_size,
        geometry={
            "block_size": block_size,
            "descriptor_blocks": s.u32(104) & 0x7FFFFFFF,
            "descriptor_base": s.u64(112),
        },
    )


PROBES = (hfsplus, partial(hfsplus, at_end=True), hfs, apfs)
