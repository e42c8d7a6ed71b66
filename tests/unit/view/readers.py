"""Readers that tests share."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path


class FileReader:
    """A file, read by position."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY)
        self.size_bytes = os.fstat(self._fd).st_size

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        return os.pread(self._fd, length_bytes, offset_bytes)

    def __del__(self) -> None:
        os.close(self._fd)


class FaultyReader:
    """Bytes of which some ranges cannot be read, as on a dying disk."""

    def __init__(self, data: bytes, bad: list[tuple[int, int]]) -> None:
        self.data = data
        self.bad = bad
        self.size_bytes = len(data)
        self.reads: list[tuple[int, int]] = []

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        self.reads.append((offset_bytes, length_bytes))
        if any(start < offset_bytes + length_bytes and offset_bytes < end for start, end in self.bad):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return self.data[offset_bytes : offset_bytes + length_bytes]


def noise(size_bytes: int, seed: int = 1) -> bytes:
    """Bytes that look random and are the same every time."""
    return random.Random(seed).randbytes(size_bytes)
