"""LVM2 physical volume: the label in one of the first four sectors and the metadata area header it points to."""

from __future__ import annotations

from functools import partial

from luksafe.probe.checksums import crc32_raw
from luksafe.probe.recognised import Kind, Recognised
from luksafe.probe.structure import Structure
from luksafe.probe.volume import MismatchError, Volume

SECTOR_BYTES = 512
LABEL_SECTORS = 4
CRC_SEED = 0xF597A6CF
AREA_MAGIC = b" LVM2 x[5A%r0N*>"
MOST_AREAS = 16
LONGEST_METADATA_HEAD = 512
UUID_GROUPS = ((0, 6), (6, 10), (10, 14), (14, 18), (18, 22), (22, 26), (26, 32))


def label(volume: Volume, sector: int) -> Recognised:
    """The label in ``sector`` (0 to 3) with its checksum, then what it says of data and metadata areas."""
    s = Structure(volume, sector * SECTOR_BYTES, SECTOR_BYTES)
    s.magic(0, b"LABELONE", "label")
    s.magic(24, b"LVM2 001", "type")
    s.check(f"says that it is sector {sector}", s.u64(8) == sector, 64)
    s.verify("crc of the label sector", s.u32(16) == crc32_raw(s.data[20:], CRC_SEED), 32)
    header = s.u32(20)
    s.check(f"header at {header}", 32 <= header <= SECTOR_BYTES - 40, 0)
    raw = s.text(header, 32, "ascii")
    s.check("identifier printable", len(raw) == 32 and raw.isascii() and raw.isprintable(), 40)
    data_areas, at = _areas(s, header + 40)
    metadata_areas, _ = _areas(s, at)
    group = next((name for offset, _ in metadata_areas if (name := _volume_group(volume, offset))), "")
    if group:
        s.note(f"volume group {group}")
    return s.recognised(
        "LVM2_member",
        Kind.VOLUME_MANAGER,
        uuid="-".join(raw[a:b] for a, b in UUID_GROUPS),
        version="LVM2 001",
        size_bytes=s.u64(header + 32),
        geometry=_geometry(data_areas, metadata_areas),
    )


def _areas(s: Structure, at: int) -> tuple[list[tuple[int, int]], int]:
    """A list of (offset, size) that ends in a pair of zeros; and where the next list begins."""
    areas: list[tuple[int, int]] = []
    while at + 16 <= SECTOR_BYTES and len(areas) < MOST_AREAS:
        pair = (s.u64(at), s.u64(at + 8))
        at += 16
        if pair == (0, 0):
            break
        areas.append(pair)
    return areas, at


def _geometry(data: list[tuple[int, int]], metadata: list[tuple[int, int]]) -> dict[str, int]:
    out = {"data_offset": data[0][0] if data else 0, "metadata_areas": len(metadata)}
    for number, (offset, size) in enumerate(metadata):
        out[f"metadata_{number}_offset"], out[f"metadata_{number}_size"] = offset, size
    return out


def _volume_group(volume: Volume, offset: int) -> str:
    """The name of the volume group: the first word of the metadata text that the area header points to."""
    try:
        area = Structure(volume, offset, SECTOR_BYTES)
        if area.data[4:20] != AREA_MAGIC or not area.u64(40):
            return ""
        text = volume.read(offset + area.u64(40), LONGEST_METADATA_HEAD)
    except MismatchError:
        return ""
    name = text.split(b" {", 1)[0].decode("ascii", "replace")
    return name if name.isprintable() and len(name) < 128 else ""


PROBES = tuple(partial(label, sector=sector) for sector in range(LABEL_SECTORS))
