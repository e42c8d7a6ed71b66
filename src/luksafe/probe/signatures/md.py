"""Linux software RAID ("RAID superblock formats" of the Linux RAID wiki): metadata 0.90, 1.0, 1.1, 1.2."""

from __future__ import annotations

from functools import partial
from typing import Literal
from uuid import UUID

from luksafe.probe.checksums import folded_sum32, without
from luksafe.probe.recognised import Kind, Recognised
from luksafe.probe.structure import Structure
from luksafe.probe.volume import Volume

SECTOR_BYTES = 512
MAGIC = 0xA92B4EFC
ALIGNMENT_090 = 65536
SUPERBLOCK_090_BYTES = 4096
FIXED_BYTES = 256
MOST_DEVICES = 1920
LEVELS = {-1 & 0xFFFFFFFF: "linear", 0: "0", 1: "1", 4: "4", 5: "5", 6: "6", 10: "10", -4 & 0xFFFFFFFF: "multipath"}


def version_1(volume: Volume, minor: int) -> Recognised:
    """1.0 (8 to 12 KiB before the end), 1.1 (at the start) or 1.2 (at 4 KiB); it says itself where it stands."""
    sectors = volume.size_bytes // SECTOR_BYTES
    offset = {0: (sectors - 16) // 8 * 8 * SECTOR_BYTES, 1: 0, 2: 4096}[minor]
    s = Structure(volume, offset, FIXED_BYTES)
    s.among(0, 4, (MAGIC,), "magic")
    s.among(4, 4, (1,), "major version")
    s.among(72, 4, LEVELS, "level")
    s.check(f"says that it stands at {offset}", s.u64(144) == offset // SECTOR_BYTES, 64)
    devices = s.within(220, 4, 0, MOST_DEVICES, "device roles")
    whole = volume.read(offset, FIXED_BYTES + 2 * devices)
    whole += bytes(-len(whole) % 4)  # an odd last role is added as a 16-bit number: the same as padded with zeros
    s.verify("checksum of the superblock", s.u32(216) == folded_sum32(without(whole, 216, 4)), 32)
    signed_bitmap = s.u32(96) - (1 << 32) if s.u32(96) >> 31 else s.u32(96)
    return s.recognised(
        "linux_raid_member",
        Kind.RAID,
        label=s.text(32, 32),
        uuid=s.uuid(16),
        version=f"1.{minor}",
        size_bytes=(s.u64(128) + s.u64(136)) * SECTOR_BYTES,
        geometry={
            "superblock_bytes": FIXED_BYTES + 2 * devices,
            "bitmap_sectors": signed_bitmap if s.u32(8) & 1 else 0,
            "data_offset": s.u64(128) * SECTOR_BYTES,
            "data_bytes": s.u64(136) * SECTOR_BYTES,
            "bad_block_log_sectors": int.from_bytes(s.data[188:192], "little", signed=True),
            "bad_block_log_bytes": s.u16(186) * SECTOR_BYTES,
            "level": s.u32(72),
            "minor": minor,
        },
    )


def version_090(volume: Volume, order: Literal["little", "big"] = "little") -> Recognised:
    """0.90, in the 64 KiB block before the last whole one, in the byte order of the machine that wrote it."""
    offset = volume.size_bytes // ALIGNMENT_090 * ALIGNMENT_090 - ALIGNMENT_090
    s = Structure(volume, offset, SUPERBLOCK_090_BYTES, order)
    s.among(0, 4, (MAGIC,), "magic")
    s.among(4, 4, (0,), "major version")
    s.among(8, 4, (90, 91), "minor version")
    s.among(28, 4, LEVELS, "level")
    s.verify("checksum of the superblock", s.u32(152) == folded_sum32(without(s.data, 152, 4), order), 32)
    raw = b"".join(s.u32(at).to_bytes(4) for at in (20, 52, 56, 60))
    return s.recognised(
        "linux_raid_member",
        Kind.RAID,
        uuid=str(UUID(bytes=raw)),
        version=f"0.{s.u32(8)}.{s.u32(12)}",
        size_bytes=s.u32(32) * 1024,
        geometry={
            "superblock_bytes": SUPERBLOCK_090_BYTES,
            "data_bytes": s.u32(32) * 1024,
            "level": s.u32(28),
            "minor": 90,
        },
    )


PROBES = (
    partial(version_1, minor=0),
    partial(version_1, minor=1),
    partial(version_1, minor=2),
    version_090,
    partial(version_090, order="big"),
)
