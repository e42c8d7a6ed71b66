"""F2FS ("F2FS" in the kernel documentation, ``include/linux/f2fs_fs.h``): two superblocks in the first two blocks."""

from __future__ import annotations

from functools import partial

from luksafe.probe.checksums import crc32_raw
from luksafe.probe.recognised import Kind, Recognised
from luksafe.probe.structure import Structure
from luksafe.probe.volume import Volume

F2FS_MAGIC = 0xF2F52010
SUPERBLOCK_OFFSET = 1024
SUPERBLOCK_BYTES = 3072
BLOCK_BYTES = 4096


def f2fs(volume: Volume, block: int = 0) -> Recognised:
    """The superblock in the first or second block of 4096 bytes."""
    s = Structure(volume, block * BLOCK_BYTES + SUPERBLOCK_OFFSET, SUPERBLOCK_BYTES)
    s.among(0, 4, (F2FS_MAGIC,), "magic")
    s.among(4, 2, (1,), "major version")
    block_log2 = s.within(16, 4, 12, 16, "log2 of block size")
    s.among(20, 4, (9,), "log2 of blocks per segment")
    at = s.u32(32)
    if 0 < at <= SUPERBLOCK_BYTES - 4:
        s.verify("crc32 of the superblock", s.u32(at) == crc32_raw(s.data[:at], F2FS_MAGIC), 32)
    block_size = 1 << block_log2
    areas = {"cp": 76, "sit": 80, "nat": 84, "ssa": 88, "main": 92}
    return s.recognised(
        "f2fs",
        Kind.FILESYSTEM,
        copy="backup" if block else "primary",
        label=s.text(124, 1024, "utf-16-le"),
        uuid=s.uuid(108),
        version=f"1.{s.u16(6)}",
        size_bytes=s.u64(36) * block_size,
        geometry={"block_size": block_size, **{name: s.u32(at) * block_size for name, at in areas.items()}},
    )


PROBES = (f2fs, partial(f2fs, block=1))
