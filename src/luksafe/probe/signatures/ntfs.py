"""NTFS: the boot sector, its copy in the volume's last sector, and the label from the master file table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from luksafe.probe.recognised import Kind, Recognised
from luksafe.probe.structure import Structure
from luksafe.probe.volume import MismatchError, Volume

SECTOR_BYTES = 512
VOLUME_RECORD = 3
VOLUME_NAME_ATTRIBUTE = 0x60
END_OF_ATTRIBUTES = 0xFFFFFFFF
LARGEST_RECORD_BYTES = 65536


def boot_sector(volume: Volume) -> Recognised:
    """The boot sector at the start of the volume."""
    s = _parameter_block(volume, 0)
    geometry = _geometry(s)
    return _recognised(s, geometry, 0, _label(volume, geometry))


def backup_boot_sector(volume: Volume) -> Recognised:
    """The copy in the last sector: its volume must end just there."""
    offset = volume.size_bytes // SECTOR_BYTES * SECTOR_BYTES - SECTOR_BYTES
    s = _parameter_block(volume, offset)
    geometry = _geometry(s)
    start = offset - geometry["size_bytes"]
    s.check("volume ends here", start >= 0, 1)
    return _recognised(s, geometry, start, "")


def _parameter_block(volume: Volume, offset: int) -> Structure:
    s = Structure(volume, offset, SECTOR_BYTES)
    s.magic(3, b"NTFS    ", "name")
    s.among(0, 1, (0xE9, 0xEB), "jump")
    s.power_of_two(11, 2, 256, 4096, "bytes per sector")
    # Powers of two up to 128, or above 243 minus the binary logarithm.
    s.among(13, 1, (*(1 << n for n in range(8)), *range(0xF4, 0xFA)), "sectors per cluster")
    s.zeros(14, 5, "reserved sectors, FATs, root entries")
    s.check("boot signature 55aa", s.data[510:] == b"\x55\xaa", 16)
    return s


def _geometry(s: Structure) -> dict[str, int]:
    sector, per_cluster = s.u16(11), s.u8(13)
    cluster = sector * (per_cluster if per_cluster <= 128 else 1 << (256 - per_cluster))
    size = s.u64(40) * sector
    table, mirror = s.u64(48) * cluster, s.u64(56) * cluster
    s.check("master file table inside the volume", 0 < table < size and 0 < mirror < size, 0)
    per_record = s.u8(64)
    return {
        "sector_size": sector,
        "cluster_bytes": cluster,
        "size_bytes": size,
        "mft_offset": table,
        "mft_mirror_offset": mirror,
        "record_bytes": min(
            LARGEST_RECORD_BYTES, per_record * cluster if per_record < 128 else 1 << (256 - per_record) % 32
        ),
    }


def _recognised(s: Structure, geometry: dict[str, int], start: int, label: str) -> Recognised:
    return s.recognised(
        "ntfs",
        Kind.FILESYSTEM,
        start=start,
        copy="primary" if s.offset == 0 else "backup",
        label=label,
        uuid=f"{s.u64(72):016X}",
        size_bytes=geometry["size_bytes"],
        geometry=geometry,
    )


def file_record(volume: Volume, geometry: Mapping[str, int], number: int) -> bytes:
    """Record ``number`` of the master file table (its first run only), with the update sequence undone."""
    length = geometry["record_bytes"]
    data = bytearray(volume.read(geometry["mft_offset"] + number * length, length))
    if data[:4] != b"FILE":
        raise MismatchError("no file record")
    first, count = int.from_bytes(data[4:6], "little"), int.from_bytes(data[6:8], "little")
    for n in range(1, min(count, length // SECTOR_BYTES + 1)):
        end = n * SECTOR_BYTES
        if data[end - 2 : end] != data[first : first + 2]:
            raise MismatchError("torn file record")
        data[end - 2 : end] = data[first + 2 * n : first + 2 * n + 2]
    return bytes(data)


def attributes(record: bytes) -> Iterator[tuple[int, bytes]]:
    """The attributes of a file record: type and bytes (header included)."""
    at = int.from_bytes(record[20:22], "little")
    while at + 16 <= len(record):
        kind, length = int.from_bytes(record[at : at + 4], "little"), int.from_bytes(record[at + 4 : at + 8], "little")
        if kind == END_OF_ATTRIBUTES or length < 16 or at + length > len(record):
            return
        yield kind, record[at : at + length]
        at += length


def _label(volume: Volume, geometry: dict[str, int]) -> str:
    try:
        record = file_record(volume, geometry, VOLUME_RECORD)
    except MismatchError:
        return ""
    for kind, attribute in attributes(record):
        if kind == VOLUME_NAME_ATTRIBUTE:
            length, at = int.from_bytes(attribute[16:20], "little"), int.from_bytes(attribute[20:22], "little")
            return attribute[at : at + length].decode("utf-16-le", "replace")
    return ""


PROBES = (boot_sector, backup_boot_sector)
