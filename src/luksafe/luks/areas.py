"""The layout of a header area: which bytes belong to what, and which belong to nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from luksafe.luks.inspection import Inspection
from luksafe.luks.luks1 import binary_header as luks1
from luksafe.luks.luks2.binary_header import BINARY_BYTES
from luksafe.luks.model import Header

RegionKind = Literal["binary-header", "json", "keyslot", "inactive-keyslot", "unused"]
CopyName = Literal["primary", "secondary"]

MAX_LUKS1_GAP_BYTES = 64 << 20
"""More than this between the last LUKS1 keyslot and the data is no place where tools keep notes."""


@dataclass(frozen=True, slots=True)
class Region:
    """Bytes ``[start, end)`` of a volume. ``name`` is for people; ``keyslot`` the number where it is one.

    ``copy``: of which of LUKS2's two copies it is.
    """

    kind: RegionKind
    start: int
    end: int
    name: str
    keyslot: int | None = None
    copy: CopyName = "primary"

    @property
    def size_bytes(self) -> int:
        """How long it is."""
        return self.end - self.start


def regions(inspection: Inspection) -> list[Region]:
    """Every byte of the header area, in order, without gaps. Raises DamagedInput without a header."""
    header = inspection.require_header()
    named = sorted(_named_regions(inspection, header), key=lambda r: r.start)
    filled: list[Region] = []
    at = 0
    for region in [*named, Region("unused", header_area_bytes(inspection), header_area_bytes(inspection), "")]:
        if region.start > at:
            filled.append(Region("unused", at, region.start, "unused"))
        if region.size_bytes:
            filled.append(region)
        at = max(at, region.end)
    return filled


def header_area_bytes(inspection: Inspection) -> int:
    """How much of the device is header: both copies and the keyslots area; for LUKS1 all that lies before the data."""
    header = inspection.require_header()
    if header.format == "luks2":
        return header.areas_end
    return max(header.areas_end, min(header.data_offset, header.areas_end + MAX_LUKS1_GAP_BYTES))


def _named_regions(inspection: Inspection, header: Header) -> Iterator[Region]:
    if header.format == "luks2":
        copies: tuple[tuple[CopyName, int], ...] = (("primary", 0), ("secondary", header.header_size))
        for copy, start in copies:
            yield Region("binary-header", start, start + BINARY_BYTES, f"{copy} binary header", copy=copy)
            yield Region("json", start + BINARY_BYTES, start + header.header_size, f"{copy} JSON area", copy=copy)
        for keyslot in header.keyslots.values():
            if keyslot.area:
                end = keyslot.area.offset + keyslot.area.size
                yield Region("keyslot", keyslot.area.offset, end, f"keyslot {keyslot.id}", keyslot.id)
        return
    binary = inspection.copies[0].binary
    yield Region("binary-header", 0, luks1.HEADER_BYTES, "LUKS1 header")
    if isinstance(binary, luks1.BinaryHeader):
        for slot, entry in enumerate(binary.keyslots):
            start = entry.key_material_offset * luks1.SECTOR_BYTES
            end = start + binary.area_sectors * luks1.SECTOR_BYTES
            kind: RegionKind = "keyslot" if entry.is_active else "inactive-keyslot"
            name = f"keyslot {slot}" if entry.is_active else f"keyslot {slot} (inactive)"
            yield Region(kind, start, end, name, slot)
