"""Read-only compressed filesystems: SquashFS, EROFS, cramfs, romfs. They come as whole images."""

from __future__ import annotations

from typing import Literal

from luksafe.probe.checksums import crc32c_raw, without
from luksafe.probe.recognised import Kind, Recognised
from luksafe.probe.structure import Structure
from luksafe.probe.volume import MismatchError, Volume

SQUASHFS_BYTES = 96
EROFS_OFFSET = 1024
EROFS_BYTES = 128
EROFS_HAS_CHECKSUM = 1


def squashfs(volume: Volume) -> Recognised:
    """SquashFS 4 (kernel documentation and "squashfs.txt"): little-endian, sizes that confirm each other."""
    s = Structure(volume, 0, SQUASHFS_BYTES)
    s.magic(0, b"hsqs")
    s.magic(28, b"\4\0\0\0", "version")
    block_size = s.power_of_two(12, 4, 4096, 1 << 20, "block size")
    s.check("log2 of block size", 1 << min(s.u16(22), 63) == block_size, 16)
    s.within(20, 2, 1, 6, "compression")
    used = s.u64(40)
    tables = [s.u64(at) for at in (48, 64, 72)]
    s.check("tables inside", all(SQUASHFS_BYTES <= at < used for at in tables), 0)
    return s.recognised("squashfs", Kind.FILESYSTEM, version="4.0", size_bytes=used, geometry={"size": used})


def squashfs3(volume: Volume) -> Recognised:
    """SquashFS 2 and 3, in either byte order."""
    order: Literal["little", "big"] = "little" if volume.read(0, 4) == b"hsqs" else "big"
    s = Structure(volume, 0, 119, order)
    s.magic(0, b"hsqs" if order == "little" else b"sqsh")
    major = s.within(28, 2, 1, 3, "major version")
    s.within(30, 2, 0, 1, "minor version")
    s.power_of_two(51, 4, 4096, 1 << 20, "block size")
    size = s.u64(63)
    version = f"{major}.{s.u16(30)}"
    return s.recognised("squashfs3", Kind.FILESYSTEM, version=version, size_bytes=size, geometry={"size": size})


def erofs(volume: Volume) -> Recognised:
    """EROFS (kernel documentation): superblock at 1024 with a CRC-32C over the rest of its block."""
    s = Structure(volume, EROFS_OFFSET, EROFS_BYTES)
    s.magic(0, b"\xe2\xe1\xf5\xe0")
    block_bits = s.within(12, 1, 9, 16, "log2 of block size")
    s.check("incompatible features", s.u32(80) < 1 << 16, 16)
    if s.u32(8) & EROFS_HAS_CHECKSUM:
        whole = volume.read(EROFS_OFFSET, max(EROFS_BYTES, (1 << block_bits) - EROFS_OFFSET))
        s.verify("crc32c of the superblock", s.u32(4) == crc32c_raw(without(whole, 4, 4)), 32)
    size = s.u32(36) << block_bits
    return s.recognised(
        "erofs", Kind.FILESYSTEM, label=s.text(64, 16), uuid=s.uuid(48), size_bytes=size, geometry={"size": size}
    )


def cramfs(volume: Volume) -> Recognised:
    """cramfs in either byte order, at the start or behind 512 bytes of boot code."""
    for offset in (0, 512):
        for order, magic in (("little", b"\x45\x3d\xcd\x28"), ("big", b"\x28\xcd\x3d\x45")):
            if volume.read(offset, 4) == magic:
                s = Structure(volume, offset, 76, order)  # type: ignore[arg-type]
                s.magic(0, magic)
                s.magic(16, b"Compressed ROMFS", "signature")
                size = s.u32(4)
                return s.recognised(
                    "cramfs", Kind.FILESYSTEM, label=s.text(48, 16), size_bytes=size, geometry={"size": size}
                )
    raise MismatchError("no cramfs")


def romfs(volume: Volume) -> Recognised:
    """romfs (kernel documentation): size and label follow the magic."""
    s = Structure(volume, 0, 512, "big")
    s.magic(0, b"-rom1fs-")
    size = s.u32(8)
    return s.recognised("romfs", Kind.FILESYSTEM, label=s.text(16, 16), size_bytes=size, geometry={"size": size})


PROBES = (squashfs, squashfs3, erofs, cramfs, romfs)
