"""LiME dumps: a 32-byte header before each range of RAM (the LiME project, doc/README.md, "lime" format).

Header, little-endian: magic ``EMiL`` (0x4C694D45), version 1, first and last physical address (u64 each), 8 reserved.
"""

from __future__ import annotations

import struct
from pathlib import Path

from luksafe.errors import DamagedInput
from luksafe.memory.image import MOST_RANGES, FileImage, RamRange, arrange_ranges
from luksafe.memory.sources.raw import open_raw
from luksafe.reader import Reader

MAGIC = b"EMiL"

_HEADER = struct.Struct("<4sIQQ8x")


def open_lime(path: Path) -> FileImage:
    """The RAM in a LiME dump. Raises ``DamagedInput`` when its first header is no good."""
    reader = open_raw(path)
    ranges, note = parse_ranges(reader)
    return FileImage("lime", path, arrange_ranges(ranges, reader.size_bytes), (note,) if note else ())


def parse_ranges(reader: Reader) -> tuple[list[RamRange], str]:
    """The ranges, and a note where the file ends early or goes on with something else."""
    ranges: list[RamRange] = []
    at = 0
    while at < reader.size_bytes and len(ranges) < MOST_RANGES:
        header = reader.read_at(at, _HEADER.size)
        magic, version, first, last = _HEADER.unpack(header.ljust(_HEADER.size, b"\0"))
        if magic != MAGIC or version != 1 or last < first:
            if not ranges:
                raise DamagedInput("this LiME dump begins with no valid header", hint="Read it as a raw image.")
            return ranges, f"no LiME header at {at:#x}: the rest of the file is left out"
        size = last - first + 1
        ranges.append(RamRange(first, at + _HEADER.size, size))
        at += _HEADER.size + size
    cut = at - reader.size_bytes
    return ranges, f"the dump is cut short: {cut} bytes are missing" if cut > 0 else ""
