"""makedumpfile's flattened format (``makedumpfile -F``; QEMU and libvirt write kdump files in it by default).

A header of 4096 bytes, then records, big-endian: where in the true file (i64), how many bytes (i64), the bytes. The
last record has -1 for both. Read through it, the true file appears, with zeros where no record is.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right

from luksafe.errors import DamagedInput, Unsupported
from luksafe.reader import Reader

MAGIC = b"makedumpfile\0"

_HEADER_BYTES = 4096
_RECORD = struct.Struct(">qq")
_MOST_RECORDS = 1 << 23


class FlattenedReader:
    """The true file in a flattened one. Keeps 24 bytes for each record. Raises ``DamagedInput``."""

    def __init__(self, inner: Reader) -> None:
        self._inner = inner
        starts, self._lengths, self._positions = _walk(inner)
        self._order = array("Q", sorted(range(len(starts)), key=starts.__getitem__))
        self._starts = array("Q", (starts[record] for record in self._order))
        self._size = max((start + length for start, length in zip(starts, self._lengths)), default=0)

    @property
    def size_bytes(self) -> int:
        """The size of the true file."""
        return self._size

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Bytes of the true file, fewer at its end."""
        length = max(0, min(length_bytes, self._size - offset_bytes))
        out = bytearray(length)
        index = max(0, bisect_right(self._starts, offset_bytes) - 1)
        while index < len(self._starts) and self._starts[index] < offset_bytes + length:
            record = self._order[index]
            start = max(offset_bytes, self._starts[index])
            within = start - self._starts[index]
            size = min(offset_bytes + length - start, self._lengths[record] - within)
            if size > 0:
                data = self._inner.read_at(self._positions[record] + within, size)
                out[start - offset_bytes : start - offset_bytes + len(data)] = data
            index += 1
        return bytes(out)


def _walk(inner: Reader) -> tuple[array[int], array[int], array[int]]:
    """Of every record: its start in the true file, its length, and the position of its bytes."""
    starts, lengths, positions = array("Q"), array("Q"), array("Q")
    at = _HEADER_BYTES
    while at + _RECORD.size <= inner.size_bytes:
        start, length = _RECORD.unpack(inner.read_at(at, _RECORD.size))
        if start == length == -1:
            break
        if start < 0 or length <= 0:
            raise DamagedInput(f"the flattened dump is damaged at {at:#x}")
        if len(starts) == _MOST_RECORDS:
            raise Unsupported("the flattened dump is very large", hint="Convert it: makedumpfile -R DUMP < FLAT")
        starts.append(start)
        lengths.append(length)
        positions.append(at + _RECORD.size)
        at += _RECORD.size + length
    return starts, lengths, positions
