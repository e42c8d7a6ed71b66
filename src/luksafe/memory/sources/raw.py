"""Raw images: every byte is RAM, its place is its address. Also swap partitions, and whatever has no known magic."""

from __future__ import annotations

import os
from pathlib import Path

from luksafe.memory.image import FileImage, RamRange


def open_raw(path: Path, kind: str = "raw") -> FileImage:
    """The whole file or block device. Raises ``OSError`` where it cannot be opened."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.lseek(fd, 0, os.SEEK_END)
    finally:
        os.close(fd)
    return FileImage(kind, path, (RamRange(0, 0, size),))
