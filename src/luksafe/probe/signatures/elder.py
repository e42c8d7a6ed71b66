"""Filesystems seldom met today: JFS, ReiserFS, NILFS2, OCFS2, GFS2."""

from __future__ import annotations

from functools import partial

from luksafe.probe.checksums import crc32_raw, without
from luksafe.probe.recognised import Kind, Recognised
from luksafe.probe.structure import Structure
from luksafe.probe.volume import MismatchError, Volume

JFS_OFFSET = 32768
REISERFS_OFFSETS = (65536, 8192)
REISERFS_MAGICS = {b"ReIsErFs\0\0": "3.5", b"ReIsEr2Fs\0": "3.6", b"ReIsEr3Fs\0": "JR"}
NILFS_OFFSET = 1024
GFS2_OFFSET = 65536
OCFS2_BLOCK = 2
OCFS2_BLOCK_SIZES = (512, 1024, 2048, 4096)


def jfs(volume: Volume) -> Recognised:
    """IBM's JFS: sizes and their logarithms must agree."""
    s = Structure(volume, JFS_OFFSET, 512)
    s.magic(0, b"JFS1")
    s.within(4, 4, 1, 2, "version")
    block_size = s.power_of_two(16, 4, 512, 4096, "block size")
    s.check("log2 of block size", 1 << min(s.u16(20), 63) == block_size, 16)
    # The size counts hardware sectors, whose size stands beside.
    sector_size = s.power_of_two(24, 4, 512, 4096, "sector size")
    return s.recognised(
        "jfs", Kind.FILESYSTEM, label=s.text(152, 16), uuid=s.uuid(136), size_bytes=s.u64(8) * sector_size
    )


def reiserfs(volume: Volume, offset: int) -> Recognised:
    """ReiserFS 3."""
    s = Structure(volume, offset, 204)
    magic = s.data[52:62]
    if magic not in REISERFS_MAGICS:
        raise MismatchError("no ReiserFS")
    s.magic(52, magic)
    block_size = s.power_of_two(44, 2, 512, 8192, "block size")
    return s.recognised(
        "reiserfs",
        Kind.FILESYSTEM,
        label=s.text(100, 16),
        uuid=s.uuid(84),
        version=REISERFS_MAGICS[magic],
        size_bytes=s.u32(0) * block_size,
    )


def nilfs2(volume: Volume) -> Recognised:
    """NILFS2 with its CRC."""
    s = Structure(volume, NILFS_OFFSET, 1024)
    s.magic(6, b"\x34\x34")
    s.among(0, 4, (2,), "revision")
    s.within(20, 4, 0, 6, "log2 of block size - 10")
    length = s.within(8, 2, 96, 1024, "superblock size")
    computed = crc32_raw(without(s.data[:length], 16, 4), s.u32(12))
    s.verify("crc32 of the superblock", s.u32(16) == computed, 32)
    return s.recognised(
        "nilfs2",
        Kind.FILESYSTEM,
        label=s.text(168, 80),
        uuid=s.uuid(152),
        version="2",
        size_bytes=s.u64(32),
    )


def ocfs2(volume: Volume, block_size: int) -> Recognised:
    """OCFS2: the superblock inode in block 2."""
    s = Structure(volume, OCFS2_BLOCK * block_size, 512)
    s.magic(0, b"OCFSV2")
    s.check(f"block size {block_size}", 1 << min(s.u32(192 + 56), 63) == block_size, 32)
    return s.recognised("ocfs2", Kind.FILESYSTEM, label=s.text(192 + 80, 64), uuid=s.uuid(192 + 144))


def gfs2(volume: Volume) -> Recognised:
    """GFS2: a metadata header of type 1, then the lock protocol's name."""
    s = Structure(volume, GFS2_OFFSET, 512, "big")
    s.magic(0, b"\x01\x16\x19\x70")
    s.among(4, 4, (1,), "metadata type superblock")
    s.power_of_two(36, 4, 512, 65536, "block size")
    return s.recognised("gfs2", Kind.FILESYSTEM, label=s.text(160, 64), uuid=s.uuid(256))


PROBES = (
    jfs,
    *(partial(reiserfs, offset=offset) for offset in REISERFS_OFFSETS),
    nilfs2,
    *(partial(ocfs2, block_size=size) for size in OCFS2_BLOCK_SIZES),
    gfs2,
)
