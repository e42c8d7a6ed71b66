"""/proc/iomem: which physical addresses are RAM."""

from __future__ import annotations

import re
from collections.abc import Iterable

from luksafe.errors import LuksafeError

_LINE = re.compile(r"^\s*([0-9a-f]{1,16})-([0-9a-f]{1,16}) : System RAM")


def parse_system_ram(text: str) -> list[tuple[int, int]]:
    """First address and size of each range of System RAM. Raises ``LuksafeError`` when the kernel hid them."""
    found = [(int(m[1], 16), int(m[2], 16)) for line in text.splitlines() if (m := _LINE.match(line))]
    ram = [(first, last - first + 1) for first, last in found if last > first]
    if found and not ram:
        raise LuksafeError("/proc/iomem shows its addresses to root only", code="permission", hint="Run it as root.")
    return ram


def intersect(first: int, size: int, ram: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The parts of ``first`` … ``first + size`` that are RAM, as first address and size."""
    parts = [(max(first, start), min(first + size, start + length)) for start, length in ram]
    return [(start, end - start) for start, end in parts if end > start]
