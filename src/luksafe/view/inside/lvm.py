"""Logical volumes of an LVM2 physical volume as Readers: linear ones, read straight from the metadata on the disk."""

from __future__ import annotations

import errno
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from luksafe.errors import DamagedInput
from luksafe.probe.recognised import Recognised
from luksafe.reader import Reader
from luksafe.view.inside.lvm_text import MAX_TEXT_BYTES, Section, Value, parse_lvm_text
from luksafe.wall import walled

AREA_HEADER_BYTES = 512
SECTOR_BYTES = 512
MAX_LOGICAL_VOLUMES = 1000
MAX_SEGMENTS = 10_000
MAX_BYTES = 1 << 62


@dataclass(frozen=True, slots=True)
class LinearPart:
    """A range of a logical volume and where it stands on this physical volume; None: on another disk."""

    start_bytes: int
    size_bytes: int
    offset_bytes: int | None


class LinearVolume:
    """A logical volume made of linear parts, in order."""

    def __init__(self, physical: Reader, parts: list[LinearPart]) -> None:
        self._physical = physical
        self._parts = parts
        self._size = parts[-1].start_bytes + parts[-1].size_bytes if parts else 0

    @property
    def size_bytes(self) -> int:
        """The size of the logical volume."""
        return self._size

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Its bytes, fewer at the end. Raises ``OSError`` for parts that stand on another disk."""
        end = min(offset_bytes + length_bytes, self._size)
        found = []
        for part in self._parts:
            first, last = max(offset_bytes, part.start_bytes), min(end, part.start_bytes + part.size_bytes)
            if first >= last:
                continue
            if part.offset_bytes is None:
                raise OSError(errno.EIO, "this part of the logical volume is on another disk")
            data = self._physical.read_at(part.offset_bytes + first - part.start_bytes, last - first)
            if len(data) != last - first:
                raise OSError(errno.EIO, "the logical volume reaches beyond the end of its disk")
            found.append(data)
        return b"".join(found)


@dataclass(frozen=True, slots=True)
class LogicalVolume:
    """One logical volume, ``name`` being ``group/volume``. ``reader`` is None where ``why_not`` says why."""

    name: str
    reader: LinearVolume | None
    why_not: str = ""


@walled("LVM metadata")
def logical_volumes(reader: Reader, label: Recognised) -> list[LogicalVolume]:
    """The visible logical volumes of the physical volume that was recognised as ``label``. Raises ``DamagedInput``."""
    metadata = parse_lvm_text(_metadata_text(reader, label))
    for name, group in metadata.items():
        if isinstance(group, dict) and isinstance(group.get("physical_volumes"), dict):
            return _volumes_of(reader, label, name, group)
    return []


def _metadata_text(reader: Reader, label: Recognised) -> str:
    """The text of the first metadata area that has one. It may run on at the start of the area, as in a ring."""
    for number in range(label.geometry.get("metadata_areas", 0)):
        start, size = label.geometry[f"metadata_{number}_offset"], label.geometry[f"metadata_{number}_size"]
        header = reader.read_at(start, AREA_HEADER_BYTES)
        if len(header) < AREA_HEADER_BYTES:
            continue
        offset, length = struct.unpack_from("<QQ", header, 40)
        if not AREA_HEADER_BYTES <= offset < size or not 0 < length <= min(size, MAX_TEXT_BYTES):
            continue
        straight = min(length, size - offset)
        raw = reader.read_at(start + offset, straight) + reader.read_at(start + AREA_HEADER_BYTES, length - straight)
        return raw.rstrip(b"\0").decode("utf-8", "replace")
    raise DamagedInput("the physical volume holds no metadata", hint="other disks of its volume group may hold them")


def _volumes_of(reader: Reader, label: Recognised, group_name: str, group: Section) -> list[LogicalVolume]:
    extent_bytes = _integer(group, "extent_size") * SECTOR_BYTES
    starts = {
        name: _integer(entry, "pe_start") * SECTOR_BYTES
        for name, entry in _sections(group, "physical_volumes")
        if entry.get("id") == label.uuid
    }
    found = []
    for name, entry in islice(_sections(group, "logical_volumes"), MAX_LOGICAL_VOLUMES):
        status = entry.get("status")
        if isinstance(status, list) and "VISIBLE" not in status:
            continue
        parts, why_not = _parts(entry, extent_bytes, starts)
        found.append(LogicalVolume(f"{group_name}/{name}", None if why_not else LinearVolume(reader, parts), why_not))
    return found


def _parts(volume: Section, extent_bytes: int, starts: Mapping[str, int]) -> tuple[list[LinearPart], str]:
    """The linear parts of a logical volume, or why it has none."""
    parts: list[LinearPart] = []
    at = 0
    segments = [entry for _, entry in _sections(volume) if "extent_count" in entry]
    for segment in sorted(segments[:MAX_SEGMENTS], key=lambda entry: _integer(entry, "start_extent")):
        stripes = segment.get("stripes")
        kind = segment.get("type")
        if kind != "striped" or not isinstance(stripes, list) or len(stripes) != 2:
            what = "striped over several disks" if kind == "striped" else f"of type {kind}"
            return [], f"it is {what}"
        disk, first = stripes
        size = _integer(segment, "extent_count") * extent_bytes
        if _integer(segment, "start_extent") * extent_bytes != at or not isinstance(first, int) or first < 0:
            return [], "its segments do not fit together"
        start = starts.get(str(disk))
        parts.append(LinearPart(at, size, None if start is None else start + first * extent_bytes))
        at += size
    return parts, "" if parts else "it has no segments"


def _sections(section: Section, name: str | None = None) -> list[tuple[str, Section]]:
    inner: Value | Section | None = section if name is None else section.get(name)
    return [(key, entry) for key, entry in inner.items() if isinstance(entry, dict)] if isinstance(inner, dict) else []


def _integer(section: Section, name: str) -> int:
    value = section.get(name)
    if not isinstance(value, int) or not 0 <= value < MAX_BYTES:
        raise DamagedInput(f"the LVM metadata have no sane {name}", hint="open the volume with cryptsetup and run vgck")
    return value
