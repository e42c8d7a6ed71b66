"""A block device, an image or a packed header file as a Reader; opened read-only, always."""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from types import TracebackType
from typing import Literal, Self

from luksafe.device.opening import StrPath, open_storage
from luksafe.errors import DamagedInput, Unsupported

MAX_UNPACKED_BYTES = 64 << 20
_CHUNK_BYTES = 1 << 20
_MAX_PREAD_BYTES = 1 << 30  # the kernel reads at most 2 GiB at once

SourceKind = Literal["block", "file", "packed"]


class DeviceReader:
    """A Reader over an open descriptor, which it owns. Any offset and length may be read."""

    def __init__(self, fd: int, path: str, kind: SourceKind) -> None:
        self._fd = fd
        self._size = os.lseek(fd, 0, os.SEEK_END)
        self.path = path
        self.kind = kind

    @property
    def size_bytes(self) -> int:
        """The size of the device or file when it was opened; of a packed file, unpacked."""
        return self._size

    def fileno(self) -> int:
        """The descriptor, for ``fstat`` and ``ioctl``."""
        return self._fd

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        """The bytes there, fewer at the end. Raises ``OSError`` with the path and the byte that could not be read."""
        end = min(offset_bytes + length_bytes, self._size)
        parts = []
        at = offset_bytes
        while at < end:
            try:
                part = os.pread(self._fd, min(end - at, _MAX_PREAD_BYTES), at)
            except OSError as error:
                raise OSError(error.errno, f"{error.strerror} at byte {at}", self.path) from error
            if not part:
                break  # the file has shrunk
            parts.append(part)
            at += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Close the descriptor; harmless when done twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def open_source(path: StrPath) -> DeviceReader:
    """Open a block device, an image, or a header file (also ``….gz``, at most 64 MiB unpacked) for reading only.

    Raises an error of ``errors.py`` for anything else, a missing name or a lack of permission.
    """
    name = os.fspath(path)
    fd, facts = open_storage(path, os.O_RDONLY)
    try:
        if stat.S_ISBLK(facts.st_mode):
            return DeviceReader(fd, name, "block")
        if not name.endswith(".gz"):
            return DeviceReader(fd, name, "file")
        reader = DeviceReader(_unpack(fd, name), name, "packed")
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return reader


def _unpack(fd: int, name: str) -> int:
    """A descriptor of anonymous memory with the unpacked bytes; every gzip checksum is checked."""
    memory = os.memfd_create("luksafe-unpacked", os.MFD_CLOEXEC)
    try:
        with open(fd, "rb", closefd=False) as packed, gzip.GzipFile(fileobj=packed) as stream:
            total = 0
            while chunk := stream.read(_CHUNK_BYTES):
                total += len(chunk)
                if total > MAX_UNPACKED_BYTES:
                    raise Unsupported(
                        f"{name} unpacks to more than {MAX_UNPACKED_BYTES >> 20} MiB: no header is that long",
                        hint="for an image of a whole disk, unpack it to a file first: gunzip -k",
                    )
                os.write(memory, chunk)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        os.close(memory)
        raise DamagedInput(
            f"{name} is not a whole gzip file: {error}",
            hint="take another copy; gzip -t tells whether one is whole",
        ) from error
    except BaseException:
        os.close(memory)
        raise
    return memory
