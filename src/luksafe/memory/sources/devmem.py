"""/dev/mem: physical memory by address, where the kernel still allows it (CONFIG_STRICT_DEVMEM forbids RAM)."""

from __future__ import annotations

import os
from pathlib import Path

from luksafe.errors import Unsupported
from luksafe.memory.image import FileImage, RamRange, arrange_ranges
from luksafe.memory.sources.iomem import parse_system_ram
from luksafe.memory.sources.kcore import IOMEM

DEVMEM = Path("/dev/mem")

_FIRST_MIB = 1 << 20  # always readable, so it proves nothing


def open_devmem(path: Path = DEVMEM) -> FileImage:
    """The RAM of the running machine. Raises ``Unsupported`` when the kernel keeps RAM out of /dev/mem."""
    ram = [RamRange(first, first, size) for first, size in parse_system_ram(IOMEM.read_text())]
    high = next((r.address for r in ram if r.address >= _FIRST_MIB), None)
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if high is not None:
            os.pread(fd, 16, high)
    except PermissionError as error:
        raise Unsupported(
            "this kernel lets /dev/mem show no RAM (CONFIG_STRICT_DEVMEM)", hint="Search /proc/kcore instead."
        ) from error
    finally:
        os.close(fd)
    return FileImage("devmem", path, arrange_ranges(ram, 1 << 63))
