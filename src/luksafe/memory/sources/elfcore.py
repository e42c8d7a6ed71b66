"""ELF cores of a whole machine: QEMU's dump-guest-memory, ``virsh dump --memory-only``, /proc/vmcore, makedumpfile -E.

Each PT_LOAD program header is one range of RAM at its physical address (System V ABI, chapter 5).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from luksafe.errors import DamagedInput
from luksafe.memory.image import MOST_RANGES, FileImage, RamRange, arrange_ranges
from luksafe.memory.sources.raw import open_raw
from luksafe.reader import Reader

MAGIC = b"\x7fELF"

_PT_LOAD = 1
_MOST_ENTRY_BYTES = 256
_PN_XNUM = 0xFFFF  # there are more headers than fit: section header 0 has the number


@dataclass(frozen=True, slots=True)
class Load:
    """A PT_LOAD program header: place in the file, virtual and physical address, bytes in the file."""

    offset: int
    vaddr: int
    paddr: int
    file_bytes: int


def open_elfcore(path: Path) -> FileImage:
    """The RAM in an ELF core; the whole file where it has no program headers (Xen's). Raises ``DamagedInput``."""
    reader = open_raw(path)
    loads = parse_loads(reader)
    if not loads:
        return FileImage("elf", path, reader.ranges, ("the ELF file has no program headers: all of it is searched",))
    ranges = arrange_ranges((RamRange(x.paddr, x.offset, x.file_bytes) for x in loads), reader.size_bytes)
    missing = sum(x.file_bytes for x in loads) - sum(r.size_bytes for r in ranges)
    notes = (f"the dump is cut short: {missing} bytes are missing",) if missing >= 4 * len(loads) else ()
    return FileImage("elf-core", path, ranges, notes)


def parse_loads(reader: Reader) -> list[Load]:
    """The PT_LOAD headers of a 32- or 64-bit ELF file of either byte order. Raises ``DamagedInput``."""
    start = reader.read_at(0, 64).ljust(64, b"\0")
    if start[:4] != MAGIC or start[4] not in (1, 2) or start[5] not in (1, 2):
        raise DamagedInput("the ELF header is damaged", hint="Read it as a raw image.")
    is_64, order = start[4] == 2, "<" if start[5] == 1 else ">"
    table, sections = struct.unpack_from(order + ("QQ" if is_64 else "II"), start, 32 if is_64 else 28)
    size, count = struct.unpack_from(order + "HH", start, 54 if is_64 else 42)
    if count == _PN_XNUM:
        at = sections + (44 if is_64 else 28)
        (count,) = struct.unpack(order + "I", reader.read_at(at, 4).ljust(4, b"\0"))
    entry = struct.Struct(order + ("II6Q" if is_64 else "8I"))
    if (count and not entry.size <= size <= _MOST_ENTRY_BYTES) or count > MOST_RANGES:
        raise DamagedInput(f"the ELF header claims {count} program headers of {size} bytes")
    data = reader.read_at(table, size * count)
    whole = len(data) // size if size else 0
    return [load for n in range(whole) if (load := _load(entry.unpack_from(data, n * size), is_64))]


def _load(fields: tuple[int, ...], is_64: bool) -> Load | None:
    if fields[0] != _PT_LOAD:
        return None
    offset, vaddr, paddr, file_bytes = fields[2:6] if is_64 else fields[1:5]
    return Load(offset, vaddr, paddr, file_bytes) if file_bytes else None
