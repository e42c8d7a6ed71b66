"""Writes to a read-only volume, kept in a file of their own (spec/overlay.md): repair can be tried without risk."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from luksafe.errors import Busy, DamagedInput, Refused, StoreError
from luksafe.reader import Reader

MAGIC = b"luksafe overlay\n"
VERSION = 1
BLOCK_BYTES = 64 << 10
HEADER = struct.Struct(">16sIIQ36s")
MAP_OFFSET = 4096
MAX_VOLUME_BYTES = 64 << 40  # its map takes 128 MiB of memory


class Overlay:
    """A volume with writes on top. Written blocks come from the overlay file, all others from the base.

    Threads may use it at once. Raises ``Refused``, ``Busy``, ``DamagedInput``, ``StoreError`` on opening.
    """

    def __init__(self, base: Reader, path: Path, volume_uuid: str) -> None:
        self._base = base
        self._size = base.size_bytes
        self._lock = threading.Lock()
        count = -(-self._size // BLOCK_BYTES)
        map_bytes = -(-count // 8)
        self._data_offset = -(-(MAP_OFFSET + map_bytes) // BLOCK_BYTES) * BLOCK_BYTES
        self._dirty: set[int] = set()  # blocks written since the last flush
        if self._size > MAX_VOLUME_BYTES:
            raise Refused("the volume is too large for an overlay", hint="try repairs on an extracted copy")
        self._fd = _open(path)
        try:
            self._map = self._load(path, volume_uuid, map_bytes)
        except BaseException:
            os.close(self._fd)
            raise

    @property
    def size_bytes(self) -> int:
        """The size of the volume."""
        return self._size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self.flush()
        finally:
            os.close(self._fd)

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Bytes as last written, else those of the base; fewer at the end. Raises ``OSError``."""
        end = min(offset_bytes + length_bytes, self._size)
        parts = []
        at = offset_bytes
        while at < end:
            block = at // BLOCK_BYTES
            is_written = self._is_written(block)
            block += 1
            while block * BLOCK_BYTES < end and self._is_written(block) == is_written:
                block += 1
            until = min(end, block * BLOCK_BYTES)
            parts.append(self._read_overlay(at, until - at) if is_written else self._base.read_at(at, until - at))
            at = until
        return b"".join(parts)

    def write_at(self, offset_bytes: int, data: bytes | memoryview) -> None:
        """Write ``data``, all of which must lie within the volume. Raises ``OSError``."""
        view = memoryview(data)
        if offset_bytes < 0 or offset_bytes + len(view) > self._size:
            raise OSError(errno.ENOSPC, "beyond the end of the volume")
        with self._lock:
            while view:
                block, within = divmod(offset_bytes, BLOCK_BYTES)
                part = view[: BLOCK_BYTES - within]
                self._write_block(block, within, part)
                offset_bytes, view = offset_bytes + len(part), view[len(part) :]

    def flush(self) -> None:
        """Make the data durable, then the map that speaks of them: after a crash the map never lies."""
        with self._lock:
            if not self._dirty:
                return
            os.fdatasync(self._fd)
            for page in sorted({block // 8 // 4096 for block in self._dirty}):
                _write_all(self._fd, bytes(self._map[page * 4096 : (page + 1) * 4096]), MAP_OFFSET + page * 4096)
            os.fdatasync(self._fd)
            self._dirty.clear()

    def _write_block(self, block: int, within: int, part: memoryview) -> None:
        start = block * BLOCK_BYTES
        length = min(BLOCK_BYTES, self._size - start)
        if not self._is_written(block) and len(part) < length:  # the rest of the block comes along
            whole = bytearray(self._base.read_at(start, length))
            whole[within : within + len(part)] = part
            _write_all(self._fd, whole, self._data_offset + start)
        else:
            _write_all(self._fd, part, self._data_offset + start + within)
        self._map[block // 8] |= 1 << block % 8
        self._dirty.add(block)

    def _is_written(self, block: int) -> bool:
        return bool(self._map[block // 8] >> block % 8 & 1)

    def _read_overlay(self, offset: int, length: int) -> bytes:
        data = os.pread(self._fd, length, self._data_offset + offset)
        return data + bytes(length - len(data))

    def _load(self, path: Path, volume_uuid: str, map_bytes: int) -> bytearray:
        """The map of an overlay begun earlier, or that of a new one."""
        header = HEADER.pack(MAGIC, VERSION, BLOCK_BYTES, self._size, volume_uuid.encode()[:36])
        found = os.pread(self._fd, HEADER.size, 0)
        if not found and os.fstat(self._fd).st_size == 0:
            try:
                _write_all(self._fd, header, 0)
                os.ftruncate(self._fd, self._data_offset)
                os.fsync(self._fd)
            except OSError as error:
                raise StoreError(f"cannot write the overlay {path}: {error.strerror}", hint="make room") from None
        elif not found.startswith(MAGIC):
            raise Refused(f"{path} is not an overlay, and is left alone", hint="name a new file")
        elif found != header:
            raise Refused(
                f"the overlay {path} belongs to another volume, or to another state of this one",
                hint="name the overlay of this volume, or a new file",
            )
        stored = os.pread(self._fd, map_bytes, MAP_OFFSET)
        if len(stored) != map_bytes:
            raise DamagedInput(f"the overlay {path} is cut short", hint="name a new file")
        return bytearray(stored)


def _open(path: Path) -> int:
    if path.exists() and not path.is_file():  # a device is not even opened for writing
        raise Refused(f"{path} is not a regular file", hint="name a file for the overlay")
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise StoreError(f"cannot open the overlay {path}: {error.strerror}", hint="name another file") from None
    try:
        if not path.is_file():
            raise Refused(f"{path} is not a regular file", hint="name a file for the overlay")
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise Busy(f"another server uses the overlay {path}", hint="stop it, or name another file") from None
    except Refused:
        os.close(fd)
        raise
    return fd


def _write_all(fd: int, data: bytes | bytearray | memoryview, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written
