"""Random-access bytes: the one shape in which disks, images, backups and fuzz inputs are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

_BLOCK_BYTES = 4096


class Reader(Protocol):
    """Read-only bytes of known size. Reading past the end gives what there is; it is no error."""

    @property
    def size_bytes(self) -> int:
        """How many bytes there are."""
        ...

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        """The bytes at ``offset_bytes``, fewer at the end. Raises ``OSError`` where the medium fails."""
        ...


class BytesReader:
    """A Reader over bytes in memory."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._data = memoryview(data)

    @property
    def size_bytes(self) -> int:
        """The length of the data."""
        return len(self._data)

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        """A slice of the data."""
        return bytes(self._data[offset_bytes : offset_bytes + length_bytes])


class SliceReader:
    """The part of another Reader from ``offset_bytes`` on, at most ``length_bytes`` long."""

    def __init__(self, inner: Reader, offset_bytes: int, length_bytes: int | None = None) -> None:
        room = max(0, inner.size_bytes - offset_bytes)
        self._inner = inner
        self._offset = offset_bytes
        self._size = room if length_bytes is None else min(room, length_bytes)

    @property
    def size_bytes(self) -> int:
        """The size of the part."""
        return self._size

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Bytes of the part; never beyond its end."""
        length = min(length_bytes, self._size - offset_bytes)
        return self._inner.read_at(self._offset + offset_bytes, length) if length > 0 else b""


class SnapshotReader:
    """Another Reader, parts of which were read into memory before: those bytes stay as they were then.

    ``pieces`` are offsets in bytes with what was there, in order and apart.
    """

    def __init__(self, inner: Reader, pieces: Sequence[tuple[int, bytes]]) -> None:
        self._inner = inner
        self._pieces = tuple(pieces)

    @property
    def size_bytes(self) -> int:
        """The size of the other Reader."""
        return self._inner.size_bytes

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Bytes of the snapshot where it has them, else of the other Reader."""
        at, end = offset_bytes, min(offset_bytes + length_bytes, self.size_bytes)
        parts = []
        for start, data in self._pieces:
            stop = start + len(data)
            if stop <= at or start >= end:
                continue
            if at < start:
                parts.append(self._inner.read_at(at, start - at))
            parts.append(data[max(at, start) - start : end - start])
            at = min(stop, end)
        if at < end:
            parts.append(self._inner.read_at(at, end - at))
        return parts[0] if len(parts) == 1 else b"".join(parts)


def read_with_holes(
    reader: Reader, offset_bytes: int, length_bytes: int, holes: list[tuple[int, int]] | None = None
) -> bytes:
    """The bytes there; where the medium fails, block by block, zeros. ``holes`` gets the ranges that failed."""
    try:
        return reader.read_at(offset_bytes, length_bytes)
    except OSError:
        pass
    out = bytearray()
    for at in range(offset_bytes, offset_bytes + length_bytes, _BLOCK_BYTES):
        size = min(_BLOCK_BYTES, offset_bytes + length_bytes - at)
        try:
            out += reader.read_at(at, size)
        except OSError:
            out += bytes(size)
            if holes is not None:
                holes.append((at, at + size))
    return bytes(out)
