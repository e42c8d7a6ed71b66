"""Other layers between disk and filesystem: bcache, bcachefs, DRBD, VMFS."""

from __future__ import annotations

from luksafe.probe.recognised import Kind, Recognised
from luksafe.probe.structure import Structure
from luksafe.probe.volume import MismatchError, Volume

SECTOR_BYTES = 512
BCACHE_OFFSET = 4096
BCACHE_MAGIC = bytes.fromhex("c68573f64e1a45ca8265f57f48ba6d81")
BCACHEFS_MAGIC = bytes.fromhex("c68573f666ce90a9d96a60cf803df7ef")
DRBD_MAGICS = {0x8374026B: "v08", 0x8374026C: "v08", 0x8374026D: "v09"}
DRBD_BYTES = 4096
VMFS_VOLUME_OFFSET, VMFS_OFFSET = 1 << 20, 2 << 20


def bcache(volume: Volume) -> Recognised:
    """The superblock of a backing or cache device, at 4096."""
    s = Structure(volume, BCACHE_OFFSET, 256)
    s.magic(24, BCACHE_MAGIC)
    s.check("says that it is sector 8", s.u64(8) == BCACHE_OFFSET // SECTOR_BYTES, 64)
    s.within(16, 8, 0, 6, "version")
    return s.recognised("bcache", Kind.CACHE, label=s.text(72, 32), uuid=s.uuid(40), geometry={"version": s.u64(16)})


def bcachefs(volume: Volume) -> Recognised:
    """The superblock of bcachefs, at 4096; the first versions carried the magic of bcache."""
    s = Structure(volume, BCACHE_OFFSET, 1024)
    s.magic(24, BCACHE_MAGIC if s.data[24:40] == BCACHE_MAGIC else BCACHEFS_MAGIC)
    s.check("says that it is sector 8", s.u64(104) == BCACHE_OFFSET // SECTOR_BYTES, 64)
    return s.recognised("bcachefs", Kind.FILESYSTEM, label=s.text(72, 32), uuid=s.uuid(56))


def drbd(volume: Volume) -> Recognised:
    """Internal metadata: the superblock in the last 4096 bytes."""
    s = Structure(volume, volume.size_bytes - DRBD_BYTES, DRBD_BYTES, "big")
    magic = s.among(60, 4, DRBD_MAGICS, "magic")
    newer = DRBD_MAGICS[magic] == "v09"
    s.among(80, 4, (4096,), "bytes per bit")
    return s.recognised(
        "drbd",
        Kind.RAID,
        uuid=f"{s.u64(48 if newer else 40):x}",
        version=DRBD_MAGICS[magic],
        size_bytes=s.u64(0) * SECTOR_BYTES,
        geometry={"metadata_bytes": s.u32(64) * SECTOR_BYTES},
    )


def vmfs_volume(volume: Volume) -> Recognised:
    """The LVM layer of VMware's VMFS, at 1 MiB."""
    s = Structure(volume, VMFS_VOLUME_OFFSET, 512)
    s.magic(0, b"\x0d\xd0\x01\xc0")
    s.within(4, 4, 1, 10, "version")
    return s.recognised("VMFS_volume_member", Kind.RAID, uuid=_lvm_uuid(volume), version=str(s.u32(4)))


def _lvm_uuid(volume: Volume) -> str:
    """The UUID as text, in the sector behind."""
    try:
        text = volume.read(VMFS_VOLUME_OFFSET + SECTOR_BYTES + 20, 35)
    except MismatchError:
        return ""
    return text.decode() if text.isascii() and text.decode().isprintable() else ""


def vmfs(volume: Volume) -> Recognised:
    """VMware's VMFS itself, at 2 MiB."""
    s = Structure(volume, VMFS_OFFSET, 512)
    s.magic(0, b"\x5e\xf1\xab\x2f")
    s.within(4, 4, 1, 100, "version")
    return s.recognised("VMFS", Kind.FILESYSTEM, label=s.text(29, 128), uuid=_vmfs_uuid(s), version=str(s.u8(8)))


def _vmfs_uuid(s: Structure) -> str:
    """Two little-endian words, a half word, and six bytes in their order."""
    return f"{s.u32(9):08x}-{s.u32(13):08x}-{s.u16(17):04x}-{s.data[19:25].hex()}"


PROBES = (bcache, bcachefs, drbd, vmfs_volume, vmfs)
