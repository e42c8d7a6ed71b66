"""The file that a volume is extracted to: sparse, private, and with a mapfile that is never ahead of the data."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Self

from luksafe.errors import DamagedInput, NotFound, Refused, StoreError
from luksafe.view.mapfile import Mapfile, Status, format_mapfile, parse_mapfile
from luksafe.view.parallel import BLOCK_BYTES, Piece

SAVE_SECONDS = 30
WRITING_BYTES = 32 << 20  # how much is on its way to the disk
MAX_MAPFILE_BYTES = 256 << 20
COMMENTS = ["Positions are bytes of the decrypted volume, and of the file that it is extracted to"]


class ExtractTarget:
    """An open output file and its mapfile. Leaving the ``with`` saves both, whatever happened."""

    def __init__(self, path: Path, map_path: Path, size_bytes: int, *, resume: bool) -> None:
        self._map_path = map_path
        self.is_resumed = resume
        self.mapfile = _load_mapfile(map_path, size_bytes) if resume else Mapfile(size_bytes)
        self.fd = _open_existing(path, size_bytes) if resume else _create(path, map_path, size_bytes)
        try:
            self.save()  # from now on it can be resumed, however it ends
        except StoreError:
            os.close(self.fd)
            if not resume:
                path.unlink()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self.save()
        finally:
            os.close(self.fd)

    def write_piece(self, piece: Piece) -> None:
        """Write a piece, its zero blocks as holes, and mark it as finished."""
        for is_zero, offset, data in _runs(piece):
            if not is_zero:
                self._write(offset, data)
            elif self.is_resumed:  # a new file has a hole there
                self._clear(offset, len(data))
        self._let_go(piece.offset_bytes, len(piece.data))
        self.mark(piece.offset_bytes, len(piece.data), Status.FINISHED)

    def write(self, offset_bytes: int, data: bytes) -> None:
        """Write a range as it is and mark it as finished."""
        self._write(offset_bytes, memoryview(data))
        self.mark(offset_bytes, len(data), Status.FINISHED)

    def fill(self, offset_bytes: int, size_bytes: int) -> None:
        """Leave zeros where nothing could be read, and mark it as bad."""
        self._clear(offset_bytes, size_bytes)
        self.mark(offset_bytes, size_bytes, Status.BAD)

    def mark(self, offset_bytes: int, size_bytes: int, status: Status) -> None:
        """Note a status; saves the mapfile when that is due."""
        self.mapfile.mark(offset_bytes, size_bytes, status)
        if time.monotonic() - self._saved > SAVE_SECONDS:
            self.save()

    def save(self) -> None:
        """Make the data durable, then the mapfile that speaks of them."""
        partial = self._map_path.with_name(self._map_path.name + ".part")
        try:
            os.fdatasync(self.fd)
            with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
                out.write(format_mapfile(self.mapfile, comments=COMMENTS))
                out.flush()
                os.fsync(out.fileno())
            partial.replace(self._map_path)
        except OSError as error:
            with suppress(OSError):
                partial.unlink()
            raise StoreError(
                f"cannot save the mapfile {self._map_path}: {error.strerror}", hint="make room, or name another: --map"
            ) from error
        self._saved = time.monotonic()

    def _write(self, offset: int, data: memoryview) -> None:
        try:
            while data:
                written = os.pwrite(self.fd, data, offset)
                offset, data = offset + written, data[written:]
        except OSError as error:
            raise StoreError(
                f"cannot write the output file: {error.strerror}", hint="make room, then run it again with --resume"
            ) from error

    def _let_go(self, offset: int, size: int) -> None:
        """Begin to write a range to the disk, and free the pages of one whose turn came a while ago.

        So not everything is left for the end, and the page cache does not grow: new memory is slow to come by.
        """
        for start in (offset, offset - WRITING_BYTES):
            if start >= 0:
                os.posix_fadvise(self.fd, start, size, os.POSIX_FADV_DONTNEED)

    def _clear(self, offset: int, size: int) -> None:
        """Zeros in a file that may hold something there already; holes stay holes."""
        end = offset + size
        while offset < end:
            existing = os.pread(self.fd, min(BLOCK_BYTES, end - offset), offset)
            if existing.count(0) != len(existing):
                self._write(offset, memoryview(bytes(len(existing))))
            offset += len(existing)


def _runs(piece: Piece) -> Iterator[tuple[bool, int, memoryview]]:
    """A piece as runs of zero and other blocks: whether zero, offset, data."""
    count = -(-len(piece.data) // BLOCK_BYTES)
    numbers = groupby(range(count), key=lambda number: not piece.nonzero >> number & 1)
    for is_zero, group in numbers:
        blocks = list(group)
        at = blocks[0] * BLOCK_BYTES
        yield is_zero, piece.offset_bytes + at, piece.data[at : (blocks[-1] + 1) * BLOCK_BYTES]


def _create(path: Path, map_path: Path, size_bytes: int) -> int:
    if map_path.exists():
        raise Refused(f"{map_path} exists already", hint="go on with --resume, or remove it first")
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise Refused(f"{path} exists already", hint="choose another name, or go on with --resume") from None
    except OSError as error:
        raise StoreError(f"cannot create {path}: {error.strerror}", hint="choose another folder") from None
    try:
        os.ftruncate(fd, size_bytes)
    except OSError as error:
        os.close(fd)
        path.unlink()
        raise StoreError(
            f"the filesystem of {path} cannot hold a file of {size_bytes} bytes: {error.strerror}",
            hint="extract to another filesystem, or into a pipe",
        ) from None
    return fd


def _open_existing(path: Path, size_bytes: int) -> int:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise NotFound(f"cannot resume {path}: {error.strerror}", hint="start without --resume") from None
    facts = os.fstat(fd)
    if not stat.S_ISREG(facts.st_mode) or facts.st_size != size_bytes:
        os.close(fd)
        raise Refused(
            f"{path} is not the file that was begun: it has {facts.st_size} bytes, the volume {size_bytes}",
            hint="name the right file, or start without --resume",
        )
    return fd


def _load_mapfile(path: Path, size_bytes: int) -> Mapfile:
    try:
        with path.open(encoding="ascii", errors="replace") as source:
            text = source.read(MAX_MAPFILE_BYTES)
    except OSError as error:
        raise NotFound(
            f"cannot read the mapfile {path}: {error.strerror}", hint="without it nothing can be resumed: start anew"
        ) from None
    mapfile = parse_mapfile(text)
    if mapfile.size_bytes != size_bytes:
        raise DamagedInput(
            f"{path} maps {mapfile.size_bytes} bytes, the volume has {size_bytes}: it belongs to something else",
            hint="name the right mapfile with --map, or start without --resume",
        )
    return mapfile


def refuse_device(path: Path) -> None:
    """Raise ``Refused`` for a block device: nothing is written to a disk here."""
    if path.is_block_device():
        raise Refused(
            f"{path} is a device: extract never writes to one",
            hint=f"if it may be overwritten: luksafe extract … - | dd of={path} bs=1M conv=fsync",
        )
