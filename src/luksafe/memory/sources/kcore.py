"""/proc/kcore: the kernel's memory as an ELF core that claims 128 TiB (Linux, fs/proc/kcore.c).

Kept are the program headers of the direct map, cut to System RAM. The kernel's text is mapped a second time from
0xffffffff80000000 on; headers of vmalloc and others have no physical address and repeat what the direct map shows.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from luksafe.errors import Unsupported
from luksafe.memory.image import FileImage, RamRange, arrange_ranges
from luksafe.memory.sources.elfcore import Load, parse_loads
from luksafe.memory.sources.iomem import intersect, parse_system_ram

KCORE = Path("/proc/kcore")
IOMEM = Path("/proc/iomem")

_SECOND_MAP = 0xFFFFFFFF80000000
_NO_ADDRESS = (1 << 64) - 1
_HEADER_BYTES = 1 << 20  # where the program headers are


def open_kcore() -> FileImage:
    """The RAM of the running machine. Raises ``OSError`` where the kernel refuses, ``Unsupported`` when none shows."""
    ram = parse_system_ram(IOMEM.read_text())
    os.close(os.open(KCORE, os.O_RDONLY | os.O_CLOEXEC))  # here the kernel says no, if it does
    header = FileImage("kcore", KCORE, (RamRange(0, 0, _HEADER_BYTES),))
    ranges = direct_map_ranges(parse_loads(header), ram)
    header.close()
    if not ranges:
        raise Unsupported(
            "/proc/kcore of this kernel shows no RAM with its physical addresses",
            hint="Dump the memory with LiME or AVML, or from the hypervisor, and search the dump.",
        )
    return FileImage("kcore", KCORE, ranges)


def direct_map_ranges(loads: Iterable[Load], ram: Sequence[tuple[int, int]]) -> tuple[RamRange, ...]:
    """The parts of the direct map that are RAM."""
    ranges = (
        RamRange(start, load.offset + start - load.paddr, size)
        for load in loads
        if load.paddr != _NO_ADDRESS and load.vaddr < _SECOND_MAP
        for start, size in intersect(load.paddr, load.file_bytes, ram)
    )
    return arrange_ranges(ranges, 1 << 63)
