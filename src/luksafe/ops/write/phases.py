"""In which order a header image is written: whatever cuts it off, one whole header stands or undo brings it back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from luksafe.luks.model import Header
from luksafe.ops.write.plan import Phase, read_old
from luksafe.reader import Reader

Range = tuple[int, int]


def header_phases(image: bytes, kept: Sequence[Range], reader: Reader, header: Header) -> Iterator[Phase]:
    """The writes of the ranges ``kept`` of a header image, which ``header`` describes, to the device ``reader``.

    Key material first, then the secondary, then the primary: until the end one whole header stands.
    """
    copies = [(0, header.header_size)] if header.format == "luks1" else _copy_ranges(header)
    material = list(_behind(kept, copies[-1][1]))
    parts = [("keyslot areas", material, "key material")]
    if header.format == "luks2":
        parts += [
            ("secondary header", copies[1:], "secondary header"),
            ("primary header", copies[:1], "primary header"),
        ]
    else:
        parts.append(("header", copies, "LUKS1 header"))
    for name, ranges, what in parts:
        writes = tuple(read_old(reader, start, image[start:end], what) for start, end in ranges)
        if writes:
            yield Phase(name, writes)


def _copy_ranges(header: Header) -> list[Range]:
    return [(0, header.header_size), (header.header_size, 2 * header.header_size)]


def _behind(kept: Sequence[Range], start: int) -> Iterator[Range]:
    """The parts of ``kept`` from ``start`` on."""
    for first, end in kept:
        if end > start:
            yield max(first, start), end
