"""What the makers of swap, LVM2, MD RAID, LUKS, BitLocker, bcache, ZFS and partition tables write."""

from __future__ import annotations

import re

from luksafe.probe.footprint.model import Footprint, Ranges
from luksafe.probe.recognised import Recognised
from luksafe.probe.volume import MismatchError, Volume

SECTOR_BYTES = 512
SWAP_HEADER_OFFSET = 1024
LVM_ERASED_BYTES = 4 * SECTOR_BYTES
BITMAP_MAGIC = b"bitm"
MD_090_BITMAP_BYTES = 60 << 10
DEFAULT_LUKS2_BYTES = 16 << 20
LUKS2_BINARY_HEADER_BYTES = 4096
KEYSLOTS_SIZE = re.compile(rb'"keyslots_size"\s*:\s*"(\d{1,12})"')
ZFS_LABEL_BYTES, ZFS_NVLIST_AT, ZFS_NVLIST_BYTES = 256 << 10, 16 << 10, 112 << 10
BITLOCKER_METADATA_BYTES = 64 << 10
DOS_TABLE_AT = 440


def swap(volume: Volume, found: Recognised) -> Footprint:
    """One page; mkswap clears the first 1024 bytes unless it sees a partition table there."""
    out, page = Ranges(found.start), found.geometry["page_size"]
    out.possible(0, SWAP_HEADER_OFFSET, "boot sectors")
    out.certain(SWAP_HEADER_OFFSET, page - SWAP_HEADER_OFFSET, "swap header")
    out.unknown("pages swapped out, if the swap space was used")
    out.erased_signatures()
    return out.footprint(found.name)


def lvm(volume: Volume, found: Recognised) -> Footprint:
    """The first four sectors, and each metadata area: its header for sure, its ring as volume groups change."""
    g, out = found.geometry, Ranges(found.start)
    out.certain(0, LVM_ERASED_BYTES, "label sectors")
    for number in range(g["metadata_areas"]):
        offset, size = g[f"metadata_{number}_offset"], g[f"metadata_{number}_size"]
        out.certain(offset, SECTOR_BYTES, "metadata area header")
        out.possible(offset + SECTOR_BYTES, size - SECTOR_BYTES, "metadata of the volume group")
    out.unknown(f"logical volumes from byte {g['data_offset']} on, if any were made")
    out.erased_signatures()
    return out.footprint(found.name)


def md(volume: Volume, found: Recognised) -> Footprint:
    """The superblock, the write-intent bitmap, the bad block log; the data area when the array was synchronised."""
    g, out = found.geometry, Ranges(found.start)
    here = found.offset - found.start
    if g["minor"] == 90:
        out.certain(here, g["superblock_bytes"], "superblock")
        out.possible(here + g["superblock_bytes"], MD_090_BITMAP_BYTES, "bitmap")
        out.possible(0, g["data_bytes"], "array data, if it was synchronised or used")
        return out.footprint(found.name)
    out.certain(here, -(-g["superblock_bytes"] // SECTOR_BYTES) * SECTOR_BYTES, "superblock")
    out.possible(here, 4096, "superblock block")
    if g["bitmap_sectors"]:
        _md_bitmap(volume, here + g["bitmap_sectors"] * SECTOR_BYTES, out)
    if g["bad_block_log_sectors"]:
        log = here + g["bad_block_log_sectors"] * SECTOR_BYTES
        out.possible(log, g["bad_block_log_bytes"], "bad block log")
    out.possible(g["data_offset"], g["data_bytes"], "array data, if it was synchronised or used")
    return out.footprint(found.name)


def _md_bitmap(volume: Volume, offset: int, out: Ranges) -> None:
    out.certain(offset, 256, "bitmap superblock")
    try:
        head = volume.read(offset, 68)
    except MismatchError:
        head = b""
    if head[:4] != BITMAP_MAGIC:
        out.unknown("the size of the bitmap: its superblock cannot be read")
        return
    synced, chunk = int.from_bytes(head[40:48], "little"), int.from_bytes(head[52:56], "little")
    bits = -(-synced * SECTOR_BYTES // chunk) if chunk else 0
    out.certain(offset + 256, -(-bits // 8), "bitmap")
    out.possible(offset, int.from_bytes(head[64:68], "little") * SECTOR_BYTES, "room for the bitmap")


def luks(volume: Volume, found: Recognised) -> Footprint:
    """luksFormat writes both headers and fills all that lies between them and the data."""
    g, out = found.geometry, Ranges(found.start)
    if found.version == "1":
        out.certain(0, g["header_bytes"], "header")
        out.certain(g["header_bytes"], g["payload_offset"] - g["header_bytes"], "keyslot areas")
        return out.footprint(found.name)
    headers = 2 * g["header_bytes"]
    out.certain(0, headers, "both headers")
    area = _keyslots_bytes(volume, found)
    if area is None:
        out.unknown("the size of the keyslots area: the metadata cannot be read")
    out.certain(headers, (DEFAULT_LUKS2_BYTES - headers) if area is None else area, "keyslot areas")
    return out.footprint(found.name)


def _keyslots_bytes(volume: Volume, found: Recognised) -> int | None:
    at = found.offset - volume.offset_bytes + LUKS2_BINARY_HEADER_BYTES
    try:
        metadata = volume.read(at, found.geometry["header_bytes"] - LUKS2_BINARY_HEADER_BYTES)
    except MismatchError:
        return None
    match = KEYSLOTS_SIZE.search(metadata)
    return int(match[1]) if match else None


def bitlocker(volume: Volume, found: Recognised) -> Footprint:
    """The boot sector and three metadata blocks; the volume itself is encrypted in place."""
    out = Ranges(found.start)
    out.certain(0, SECTOR_BYTES, "boot sector")
    for name, offset in found.geometry.items():
        if name.startswith("metadata_"):
            out.certain(offset, BITLOCKER_METADATA_BYTES, "BitLocker metadata")
    out.unknown("the encrypted volume")
    return out.footprint(found.name)


def bcache(volume: Volume, found: Recognised) -> Footprint:
    """The superblock; on a cache device also the bucket priorities and the journal, which follow."""
    out = Ranges(found.start)
    out.certain(4096, 512, "superblock")
    out.possible(0, 8192, "boot sectors and superblock block")
    out.unknown("journal, priorities and cached data, on a cache device")
    return out.footprint(found.name)


def zfs(volume: Volume, found: Recognised) -> Footprint:
    """Four labels of 256 KiB, two at each end."""
    out, size = Ranges(found.start), found.geometry["size"]
    for base in (0, ZFS_LABEL_BYTES, size - 2 * ZFS_LABEL_BYTES, size - ZFS_LABEL_BYTES):
        out.certain(base + ZFS_NVLIST_AT, ZFS_NVLIST_BYTES, "configuration in the label")
        out.possible(base, ZFS_LABEL_BYTES, "label")
    out.unknown("the pool's object sets, spread over the device")
    return out.footprint(found.name)


def gpt(volume: Volume, found: Recognised) -> Footprint:
    """Protective master boot record, both headers, both copies of the entries."""
    g, out = found.geometry, Ranges(found.start)
    size, entries = g["sector_size"], g["entries_bytes"]
    first, last = sorted((found.offset - found.start, g["alternate_offset"]))
    out.certain(0, SECTOR_BYTES, "protective master boot record")
    out.certain(first, size, "primary header")
    out.certain(g["entries_offset"] if found.copy == "primary" else 2 * size, entries, "partition entries")
    out.certain(last - entries if found.copy == "primary" else g["entries_offset"], entries, "backup of the entries")
    out.certain(last, size, "backup header")
    out.erased_signatures()
    return out.footprint(found.name)


def dos(volume: Volume, found: Recognised) -> Footprint:
    """The end of sector 0, and an extended boot record per logical partition."""
    out = Ranges(found.start)
    out.certain(DOS_TABLE_AT, SECTOR_BYTES - DOS_TABLE_AT, "partition table")
    out.possible(0, DOS_TABLE_AT, "boot code")
    for name, offset in found.geometry.items():
        if name.startswith("record_"):
            out.certain(offset, SECTOR_BYTES, "extended boot record")
    out.erased_signatures()
    return out.footprint(found.name)
