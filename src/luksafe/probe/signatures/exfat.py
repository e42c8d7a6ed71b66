"""exFAT (Microsoft "exFAT file system specification", section 3: main and backup boot region)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from luksafe.probe.recognised import Kind, Recognised
from luksafe.probe.structure import Structure
from luksafe.probe.volume import MismatchError, Volume

REGION_SECTORS = 12
LABEL_ENTRY = 0x83
ENTRY_BYTES = 32
ROOT_READ_BYTES = 32768
MOST_CLUSTERS = 64
SECTOR_SIZES = (512, 4096)


def boot_region(volume: Volume, start_sector: int = 0, sector_size: int = 512) -> Recognised:
    """The boot sector with the checksum that sector 11 of the same region repeats."""
    s = Structure(volume, start_sector * sector_size, 512)
    s.magic(0, b"\xeb\x76\x90", "jump")
    s.magic(3, b"EXFAT   ", "name")
    s.zeros(11, 53, "bytes 11 to 63")
    s.check(f"sector size {sector_size}", 1 << min(s.u8(108), 31) == sector_size, 8)
    cluster_log2 = s.within(109, 1, 0, 25 - s.u8(108), "log2 of sectors per cluster")
    s.among(110, 1, (1, 2), "number of FATs")
    s.check("boot signature 55aa", s.data[510:] == b"\x55\xaa", 16)
    _verify(s, sector_size)
    geometry = {
        "sector_size": sector_size,
        "cluster_bytes": sector_size << cluster_log2,
        "fat_offset": s.u32(80) * sector_size,
        "fat_bytes": s.u32(84) * sector_size,
        "fats": s.u8(110),
        "heap_offset": s.u32(88) * sector_size,
        "clusters": s.u32(92),
        "root_cluster": s.u32(96),
    }
    return s.recognised(
        "exfat",
        Kind.FILESYSTEM,
        copy="backup" if start_sector else "primary",
        label=_label(volume, geometry),
        uuid=f"{s.u16(102):04X}-{s.u16(100):04X}",
        version=f"{s.u8(105)}.{s.u8(104)}",
        size_bytes=s.u64(72) * sector_size,
        geometry=geometry,
    )


def _verify(s: Structure, sector_size: int) -> None:
    try:
        region = s.volume.read(s.offset, REGION_SECTORS * sector_size)
    except MismatchError:
        s.note("boot region cut short")
        return
    boot, stored = region[: 11 * sector_size], region[11 * sector_size :]
    total = 0
    for at, byte in enumerate(boot):
        if at not in (106, 107, 112):  # volume flags and percent in use change while mounted
            total = ((total >> 1) | (total & 1) << 31) + byte & 0xFFFFFFFF
    s.verify("checksum of the boot region", stored == total.to_bytes(4, "little") * (sector_size // 4), 32)


def _label(volume: Volume, geometry: dict[str, int]) -> str:
    try:
        for cluster in cluster_chain(volume, geometry, geometry["root_cluster"]):
            at = geometry["heap_offset"] + (cluster - 2) * geometry["cluster_bytes"]
            root = volume.read(at, min(geometry["cluster_bytes"], ROOT_READ_BYTES))
            for n in range(0, len(root), ENTRY_BYTES):
                if root[n] == LABEL_ENTRY:
                    return root[n + 2 : n + 2 + 2 * min(root[n + 1], 11)].decode("utf-16-le", "replace")
    except MismatchError:
        pass
    return ""


def cluster_chain(volume: Volume, geometry: Mapping[str, int], first: int) -> Iterator[int]:
    """The clusters of a file by the first FAT, at most ``MOST_CLUSTERS`` of them."""
    cluster = first
    for _ in range(MOST_CLUSTERS):
        if not 2 <= cluster < geometry["clusters"] + 2:
            return
        yield cluster
        cluster = int.from_bytes(volume.read(geometry["fat_offset"] + 4 * cluster, 4), "little")


PROBES = tuple(
    partial(boot_region, start_sector=sector, sector_size=size)
    for size in SECTOR_SIZES
    for sector in (0, REGION_SECTORS)
)
