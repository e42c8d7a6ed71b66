"""The compact header image: everything that opens the volume, byte for byte; what belongs to nothing is zero.

Old key material of removed keyslots is left out on purpose: removed is removed.
"""

from __future__ import annotations

from dataclasses import dataclass

from luksafe.luks.areas import header_area_bytes, regions
from luksafe.luks.finding import Severity
from luksafe.luks.inspection import Inspection
from luksafe.luks.requirements import unknown_requirements
from luksafe.reader import Reader, SliceReader, read_with_holes
from luksafe.wall import walled

Range = tuple[int, int]

DAMAGED_BYTES = 16 << 20
"""How much is kept of a header that cannot be understood: the default size of a LUKS2 header."""


@dataclass(frozen=True, slots=True)
class Capture:
    """A header image. ``kept``: the ranges ``[start, end)`` that are as on the device; the rest is zero.

    ``why_whole`` says why nothing was left out, empty when the image is compact. ``unreadable`` ranges are zero too.
    """

    image: bytes
    kept: tuple[Range, ...]
    why_whole: str = ""
    unreadable: tuple[Range, ...] = ()


@walled("a header area")
def capture(reader: Reader, inspection: Inspection, *, full: bool = False) -> Capture:
    """Read the header image of an inspected volume. A damaged or not understood header is kept whole.

    ``reader`` is the one that was inspected. Raises nothing on bad sectors: they are listed in ``unreadable``.
    """
    part = SliceReader(reader, inspection.offset)
    why_whole = "asked for" if full else _why_whole(inspection)
    size = _image_bytes(inspection, part.size_bytes)
    kept = kept_ranges(inspection, part.size_bytes, full=full)
    image = bytearray(size)
    unreadable: list[Range] = []
    for start, end in kept:
        image[start:end] = read_with_holes(part, start, end - start, unreadable).ljust(end - start, b"\0")
    return Capture(bytes(image), tuple(kept), why_whole, tuple(unreadable))


def kept_ranges(inspection: Inspection, size_bytes: int, *, full: bool = False) -> list[Range]:
    """The ranges that ``capture`` reads of a volume of ``size_bytes``, from where it begins."""
    size = _image_bytes(inspection, size_bytes)
    return [(0, size)] if full or _why_whole(inspection) else _live_ranges(inspection, size)


def _image_bytes(inspection: Inspection, size_bytes: int) -> int:
    return min(header_area_bytes(inspection) if inspection.header else DAMAGED_BYTES, size_bytes)


def _why_whole(inspection: Inspection) -> str:
    header = inspection.header
    if header is None:
        return "the header is damaged"
    if header.is_in_reencryption:
        return "the volume is in reencryption"
    unknown = [k.id for k in header.keyslots.values() if k.type != "luks2"]
    if unknown:
        return f"keyslot {unknown[0]} is of an unknown type"
    if foreign := unknown_requirements(header.config.requirements):
        return f"it has the unknown requirement {foreign[0]!r}"
    if any(f.severity is not Severity.INFO for f in inspection.all_findings):
        return "parts of the header are damaged"
    return ""


def _live_ranges(inspection: Inspection, size: int) -> list[Range]:
    """Ranges of everything that is in use, neighbours joined."""
    is_luks1 = inspection.format == "luks1"
    live: list[Range] = []
    for region in regions(inspection):
        # between LUKS1 keyslots and data others keep notes (clevis through luksmeta); LUKS2 has tokens for that
        if region.kind == "inactive-keyslot" or (region.kind == "unused" and not is_luks1):
            continue
        start, end = region.start, min(region.end, size)
        if live and live[-1][1] == start:
            live[-1] = (live[-1][0], end)
        elif start < end:
            live.append((start, end))
    return live
