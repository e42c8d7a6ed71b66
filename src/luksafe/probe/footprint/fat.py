"""What the makers of FAT and exFAT write."""

from __future__ import annotations

from luksafe.probe.footprint.model import Footprint, Ranges
from luksafe.probe.recognised import Recognised
from luksafe.probe.signatures.exfat import ENTRY_BYTES, REGION_SECTORS, ROOT_READ_BYTES, cluster_chain
from luksafe.probe.volume import MismatchError, Volume

BITMAP_ENTRY, UPCASE_ENTRY = 0x81, 0x82


def vfat(volume: Volume, found: Recognised) -> Footprint:
    """Reserved sectors, all FATs, and the root directory."""
    g, out = found.geometry, Ranges(found.start)
    out.certain(0, g["reserved_bytes"], "boot and reserved sectors")
    fats = g["fats"] * g["fat_bytes"]
    out.certain(g["reserved_bytes"], fats, f"{g['fats']} file allocation tables")
    if g["fat_bits"] == 32:
        root = g["data_offset"] + (g["root_cluster"] - 2) * g["cluster_bytes"]
        out.certain(root, g["cluster_bytes"], "root directory")
    else:
        out.certain(g["reserved_bytes"] + fats, g["root_bytes"], "root directory")
    return out.footprint("vfat")


def exfat(volume: Volume, found: Recognised) -> Footprint:
    """Both boot regions, the FAT, and the clusters of allocation bitmap, up-case table and root directory."""
    g, out = found.geometry, Ranges(found.start)
    regions = 2 * REGION_SECTORS * g["sector_size"]
    out.certain(0, regions, "main and backup boot region")
    out.possible(regions, g["fat_offset"] - regions, "gap before the file allocation table")
    fats = g["fats"] * g["fat_bytes"]
    out.certain(g["fat_offset"], fats, "file allocation table")
    out.possible(g["fat_offset"] + fats, g["heap_offset"] - g["fat_offset"] - fats, "gap before the clusters")
    root = g["heap_offset"] + (g["root_cluster"] - 2) * g["cluster_bytes"]
    out.possible(g["heap_offset"], root - g["heap_offset"], "clusters before the root directory")
    out.certain(root, g["cluster_bytes"], "root directory")
    try:
        _special_files(volume, found, out, root)
    except MismatchError:
        out.unknown("allocation bitmap and up-case table: the root directory cannot be read")
    return out.footprint("exfat")


def _special_files(volume: Volume, found: Recognised, out: Ranges, root: int) -> None:
    g = found.geometry
    directory = volume.read(root, min(g["cluster_bytes"], ROOT_READ_BYTES))
    missing = {BITMAP_ENTRY: "allocation bitmap", UPCASE_ENTRY: "up-case table"}
    for at in range(0, len(directory), ENTRY_BYTES):
        entry = directory[at : at + ENTRY_BYTES]
        what = missing.pop(entry[0], "")
        if not what:
            continue
        left = int.from_bytes(entry[24:32], "little")
        for cluster in cluster_chain(volume, g, int.from_bytes(entry[20:24], "little")):
            place = g["heap_offset"] + (cluster - 2) * g["cluster_bytes"]
            out.certain(place, min(left, g["cluster_bytes"]), what)
            left -= g["cluster_bytes"]
        if left > 0:
            out.unknown(f"the rest of the {what}")
    for what in missing.values():
        out.unknown(f"{what}: it cannot be read from the root directory")
