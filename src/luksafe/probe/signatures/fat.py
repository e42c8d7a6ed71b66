"""FAT12, FAT16, FAT32 (Microsoft "FAT: General Overview of On-Disk Format", ECMA-107)."""

from __future__ import annotations

from functools import partial

from luksafe.probe.recognised import Kind, Recognised
from luksafe.probe.structure import Structure
from luksafe.probe.volume import MismatchError, Volume

BOOT_SECTOR_BYTES = 512
DIRECTORY_ENTRY_BYTES = 32
VOLUME_LABEL_ATTRIBUTE = 0x08
LONG_NAME_ATTRIBUTE = 0x0F
LABEL_OR_FOLDER = 0x18
END_OF_DIRECTORY, DELETED, ESCAPED_E5 = 0x00, 0xE5, 0x05
FAT12_CLUSTERS, FAT16_CLUSTERS = 4085, 65525
BACKUP_SECTOR = 6
ROOT_READ_BYTES = 65536


def boot_sector(volume: Volume, sector: int = 0) -> Recognised:
    """The BIOS parameter block in ``sector``, and the head of the first FAT that must agree with its media byte."""
    s = Structure(volume, sector * BOOT_SECTOR_BYTES, BOOT_SECTOR_BYTES)
    s.among(0, 1, (0xE9, 0xEB), "jump")
    g = _geometry(s)
    media = s.among(21, 1, (0xF0, *range(0xF8, 0x100)), "media byte")
    s.check("boot signature 55aa", s.data[510:] == b"\x55\xaa", 16)
    start = s.volume.read(g["reserved_bytes"], 4)
    s.check(
        "first FAT begins with the media byte", start[0] == media and start[1] | 0xF0 == 0xFF and start[2] == 0xFF, 20
    )
    wide = g["fat_bits"] == 32
    extended = 64 if wide else 36
    has_serial = s.u8(extended + 2) in (0x28, 0x29)
    serial = f"{s.u16(extended + 5):04X}-{s.u16(extended + 3):04X}" if has_serial else ""
    return s.recognised(
        "vfat",
        Kind.FILESYSTEM,
        copy="backup" if sector else "primary",
        label=_label(s, g, extended + 7 if s.u8(extended + 2) == 0x29 else None),
        uuid=serial if serial != "0000-0000" else "",
        version=f"FAT{g['fat_bits']}",
        size_bytes=g["size_bytes"],
        geometry=g,
    )


def _geometry(s: Structure) -> dict[str, int]:
    """Sizes and places in bytes, from the parameter block; checks that they can be."""
    sector = s.among(11, 2, (512, 1024, 2048, 4096), "bytes per sector")
    cluster = s.power_of_two(13, 1, 1, 128, "sectors per cluster")
    reserved = s.within(14, 2, 1, 0xFFFF, "reserved sectors")
    fats = s.among(16, 1, (1, 2), "number of FATs")
    root_entries, fat_sectors = s.u16(17), s.u16(22) or s.u32(36)
    sectors = s.u16(19) or s.u32(32)
    root_sectors = -(-root_entries * DIRECTORY_ENTRY_BYTES // sector)
    data_start = reserved + fats * fat_sectors + root_sectors
    clusters = (sectors - data_start) // cluster
    s.check(f"{sectors} sectors hold {clusters} clusters", fat_sectors > 0 and clusters > 0, 0)
    wide = s.u16(22) == 0
    bits = 32 if wide else 12 if clusters < FAT12_CLUSTERS else 16
    s.check("root entries fit the kind", (root_entries == 0) == wide and (wide or clusters < FAT16_CLUSTERS), 0)
    room = fat_sectors * sector * 8 // bits
    s.check(f"{fat_sectors} sectors of FAT{bits} are enough for them", clusters <= room, 0)
    return {
        "sector_size": sector,
        "cluster_bytes": cluster * sector,
        "reserved_bytes": reserved * sector,
        "fats": fats,
        "fat_bytes": fat_sectors * sector,
        "root_bytes": root_sectors * sector,
        "data_offset": data_start * sector,
        "fat_bits": bits,
        "size_bytes": sectors * sector,
        "root_cluster": s.u32(44) if wide else 0,
        "backup_sector": s.u16(50) if wide else 0,
    }


def _label(s: Structure, g: dict[str, int], boot_label_at: int | None) -> str:
    """The volume label entry of the root directory; the label of the boot sector where that cannot be read."""
    try:
        return _root_label(s.volume, g)
    except MismatchError:
        return s.text(boot_label_at, 11, "cp850") if boot_label_at is not None else ""


def _root_label(volume: Volume, g: dict[str, int]) -> str:
    at, length = g["data_offset"] - g["root_bytes"], g["root_bytes"]
    if g["fat_bits"] == 32:
        at, length = g["data_offset"] + (g["root_cluster"] - 2) * g["cluster_bytes"], g["cluster_bytes"]
    root = volume.read(at, min(length, ROOT_READ_BYTES))
    for n in range(0, len(root), DIRECTORY_ENTRY_BYTES):
        first, attributes = root[n], root[n + 11]
        if first == END_OF_DIRECTORY:
            break
        long_name = attributes & LONG_NAME_ATTRIBUTE == LONG_NAME_ATTRIBUTE
        if first != DELETED and not long_name and attributes & LABEL_OR_FOLDER == VOLUME_LABEL_ATTRIBUTE:
            raw = root[n : n + 11]
            return (b"\xe5" + raw[1:] if first == ESCAPED_E5 else raw).decode("cp850").rstrip()
    return ""


PROBES = (boot_sector, partial(boot_sector, sector=BACKUP_SECTOR))
