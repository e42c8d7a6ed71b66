"""Members of the RAID of disk controllers and mainboards: all keep their mark near the end of the disk."""

from __future__ import annotations

import zlib
from functools import partial

from luksafe.probe.recognised import Kind, Recognised
from luksafe.probe.structure import Structure
from luksafe.probe.volume import MismatchError, Volume

SECTOR_BYTES = 512
ISW_SIGNATURE = b"Intel Raid ISM Cfg Sig. "
DDF_MAGIC, DDF_FROM_END = 0xDE11DE11, (1, 257)
ADAPTEC_MAGIC = 0x37FC4D1E
NVIDIA_BYTES = 120
PROMISE_SIGNATURE = b"Promise Technology, Inc."
PROMISE_FROM_END = (63, 255, 256, 16, 399, 591, 675, 735, 911, 974, 991, 951, 3087)
SILICON_MAGIC = 0x2F000000


def _sector(volume: Volume, from_end: int, order: str = "little") -> Structure:
    """The sector so many before the end of the disk."""
    at = (volume.size_bytes // SECTOR_BYTES - from_end) * SECTOR_BYTES
    return Structure(volume, at, SECTOR_BYTES, "big" if order == "big" else "little")


def isw(volume: Volume) -> Recognised:
    """Intel Matrix Storage."""
    s = _sector(volume, 2)
    s.magic(0, ISW_SIGNATURE, "signature")
    return s.recognised("isw_raid_member", Kind.RAID, version=s.text(24, 6, "ascii"))


def ddf(volume: Volume, from_end: int) -> Recognised:
    """SNIA's Disk Data Format: the anchor header with its CRC."""
    s = _sector(volume, from_end, "big")
    s.among(0, 4, (DDF_MAGIC,), "magic")
    filled = s.data[:4] + b"\xff" * 4 + s.data[8:]
    s.verify("crc of the header", s.u32(4) == zlib.crc32(filled), 32)
    s.magic(32, b"01.", "revision")
    text = s.text(8, 24, "latin-1")
    guid = text if text.isascii() and text.isprintable() else s.data[8:32].hex()
    return s.recognised("ddf_raid_member", Kind.RAID, uuid=guid, version=s.text(32, 8, "ascii"))


def adaptec(volume: Volume) -> Recognised:
    """Adaptec HostRAID."""
    s = _sector(volume, 1, "big")
    s.among(0, 4, (ADAPTEC_MAGIC,), "magic")
    s.check("signature DPTM", b"DPTM" in s.data, 25)
    return s.recognised("adaptec_raid_member", Kind.RAID)


def lsi(volume: Volume) -> Recognised:
    """LSI MegaRAID IDE."""
    s = _sector(volume, 1)
    s.magic(0, b"$XIDE$", "signature")
    return s.recognised("lsi_mega_raid_member", Kind.RAID)


def nvidia(volume: Volume) -> Recognised:
    """NVIDIA MediaShield."""
    s = _sector(volume, 2)
    s.magic(0, b"NVIDIA  ", "signature")
    s.among(8, 4, (NVIDIA_BYTES // 4,), "size")
    return s.recognised("nvidia_raid_member", Kind.RAID, version=str(s.u16(16)))


def promise(volume: Volume) -> Recognised:
    """Promise FastTrak, at one of many distances from the end."""
    for from_end in PROMISE_FROM_END:
        try:
            s = _sector(volume, from_end)
        except MismatchError:
            continue
        if s.data.startswith(PROMISE_SIGNATURE):
            s.magic(0, PROMISE_SIGNATURE, "signature")
            return s.recognised("promise_fasttrack_raid_member", Kind.RAID)
    raise MismatchError("no Promise")


def silicon(volume: Volume) -> Recognised:
    """Silicon Image Medley: the 16-bit words up to the checksum and that add up to zero."""
    s = _sector(volume, 1)
    s.among(0x60, 4, (SILICON_MAGIC,), "magic")
    s.within(0x116, 1, 0, 7, "disk number")
    total = sum(s.u16(at) for at in range(0, 0x140, 2))
    s.check("checksum", total & 0xFFFF == 0, 16)
    return s.recognised("silicon_medley_raid_member", Kind.RAID, version=f"{s.u16(0x10A)}.{s.u16(0x108)}")


PROBES = (isw, *(partial(ddf, from_end=n) for n in DDF_FROM_END), adaptec, lsi, nvidia, promise, silicon)
