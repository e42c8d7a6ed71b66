"""The decrypted volume into a file or a pipe: resumable, round unreadable places, with bounded memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from luksafe.errors import LuksafeError, Refused, StoreError
from luksafe.view.mapfile import Block, Mapfile, Status
from luksafe.view.parallel import ParallelReader, Piece, split
from luksafe.view.salvage import Part, read_parts
from luksafe.view.stream import DecryptedReader
from luksafe.view.target import ExtractTarget

Progress = Callable[[int], None]
SAMPLES = 32
SAMPLE_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Extraction:
    """What was extracted: the status of every byte of the volume, and the SHA-256 of the output where asked for."""

    mapfile: Mapfile
    sha256: str | None = None

    @property
    def bad(self) -> list[Block]:
        """The ranges that could not be read; the output has zeros there."""
        return self.mapfile.blocks(Status.BAD)


def extract_to_file(
    volume: DecryptedReader,
    path: Path,
    *,
    map_path: Path | None = None,
    resume: bool = False,
    retry_bad: bool = False,
    verify: bool = False,
    workers: int | None = None,
    on_progress: Progress = lambda _done: None,
) -> Extraction:
    """Extract to a new file, or go on with one. ``map_path`` is kept; the default one only while something is missing.

    ``verify`` decrypts again and compares. Raises ``Refused``, ``StoreError``, ``NotFound``, ``LuksafeError``; what
    was done until then is kept, and ``resume`` goes on from there.
    """
    where = map_path or path.with_name(path.name + ".map")
    with (
        ExtractTarget(path, where, volume.size_bytes, resume=resume) as target,
        ParallelReader(volume, workers=workers) as parallel,
    ):
        if resume:
            _require_same(volume, target)
        if retry_bad:
            _mark_all(target, Status.BAD, Status.UNTRIMMED)
        for extent in volume.lost:
            target.mark(extent.start_bytes, extent.size_bytes, Status.BAD)
        _copy(parallel, target, on_progress)
        _salvage(volume, target, on_progress)
        target.save()
        sha256 = _verify(parallel, target, on_progress) if verify else None
    if map_path is None and not target.mapfile.blocks(*(set(Status) - {Status.FINISHED})):
        where.unlink()
    return Extraction(target.mapfile, sha256)


def extract_to_stream(
    volume: DecryptedReader,
    fd: int,
    *,
    verify: bool = False,
    workers: int | None = None,
    on_progress: Progress = lambda _done: None,
) -> Extraction:
    """Extract in order to a pipe or anything else that takes bytes; zeros where nothing can be read.

    ``verify`` hashes what is written. Raises ``StoreError`` where the other end is gone or full.
    """
    mapfile = Mapfile(volume.size_bytes)
    digest = hashlib.sha256() if verify else None
    with ParallelReader(volume, workers=workers) as parallel:
        for piece in parallel.pieces(split(0, volume.size_bytes)):
            for part in _parts(volume, piece):
                data = bytes(part.size_bytes) if part.data is None else part.data
                _write_all(fd, data)
                if digest:
                    digest.update(data)
                status = Status.BAD if part.data is None else Status.FINISHED
                mapfile.mark(part.offset_bytes, part.size_bytes, status)
            on_progress(piece.offset_bytes + len(piece.data))
    return Extraction(mapfile, digest.hexdigest() if digest else None)


def _parts(volume: DecryptedReader, piece: Piece) -> Iterator[Part]:
    if piece.error:
        return read_parts(volume, piece.offset_bytes, len(piece.data), volume.sector_size)
    return iter([Part(piece.offset_bytes, len(piece.data), piece.data)])


def _write_all(fd: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(fd, view) :]
    except BrokenPipeError:
        raise  # whoever reads the output has gone, and knows it
    except OSError as error:
        raise StoreError(f"cannot write the output: {error.strerror}", hint="make room, then run it again") from error


def _copy(parallel: ParallelReader, target: ExtractTarget, on_progress: Progress) -> None:
    """The first pass: all that can be read without trouble; what fails is left for later, the disk may be dying."""
    done = target.mapfile.total_bytes(Status.FINISHED)
    todo = target.mapfile.blocks(Status.UNTRIED)
    for piece in parallel.pieces(_ranges(todo)):
        if piece.error:
            target.mark(piece.offset_bytes, len(piece.data), Status.UNTRIMMED)
        else:
            target.write_piece(piece)
        done += len(piece.data)
        on_progress(done)


def _salvage(volume: DecryptedReader, target: ExtractTarget, on_progress: Progress) -> None:
    """The second pass: what failed, in ever smaller steps."""
    for offset, size in _ranges(target.mapfile.blocks(Status.UNTRIMMED, Status.UNSCRAPED)):
        for part in read_parts(volume, offset, size, volume.sector_size):
            if part.data is None:
                target.fill(part.offset_bytes, part.size_bytes)
            else:
                target.write(part.offset_bytes, bytes(part.data))
        on_progress(target.mapfile.total_bytes(Status.FINISHED, Status.BAD))


def _verify(parallel: ParallelReader, target: ExtractTarget, on_progress: Progress) -> str:
    """Decrypt again, compare with the file; the SHA-256 of the file."""
    digest = hashlib.sha256()
    finished = target.mapfile.blocks(Status.FINISHED)
    end = 0
    for piece in parallel.pieces(_ranges(finished)):
        _hash_file(target.fd, end, piece.offset_bytes, digest)
        data = os.pread(target.fd, len(piece.data), piece.offset_bytes)
        if not piece.error and data != bytes(piece.data):  # comparing a view is slow
            raise LuksafeError(
                f"the output differs from the volume near byte {piece.offset_bytes}",
                hint="the output disk or the memory is faulty: extract again to another disk",
            )
        digest.update(data)
        end = piece.offset_bytes + len(piece.data)
        on_progress(end)
    _hash_file(target.fd, end, target.mapfile.size_bytes, digest)
    return digest.hexdigest()


def _hash_file(fd: int, start: int, end: int, digest: hashlib._Hash) -> None:
    for offset, size in split(start, end):
        digest.update(os.pread(fd, size, offset))


def _require_same(volume: DecryptedReader, target: ExtractTarget) -> None:
    """Compare samples of what is finished with the volume: a wrong key or file must not be mixed in."""
    for offset, size in _samples(target.mapfile.blocks(Status.FINISHED)):
        try:
            expected = volume.read_at(offset, size)
        except OSError:
            continue
        if os.pread(target.fd, size, offset) != expected:
            raise Refused(
                f"what the file has at byte {offset} is not what the volume has: another volume or key was used",
                hint="give the same volume and key as before, or start without --resume",
            )


def _samples(blocks: list[Block]) -> Iterator[tuple[int, int]]:
    """Offset and length of up to ``SAMPLES`` places, evenly spread over the blocks."""
    step = max(SAMPLE_BYTES, sum(block.size_bytes for block in blocks) // SAMPLES)
    ahead = 0
    for block in blocks:
        while ahead < block.size_bytes:
            yield block.offset_bytes + ahead, min(SAMPLE_BYTES, block.size_bytes - ahead)
            ahead += step
        ahead -= block.size_bytes


def _mark_all(target: ExtractTarget, old: Status, new: Status) -> None:
    for block in target.mapfile.blocks(old):
        target.mark(block.offset_bytes, block.size_bytes, new)


def _ranges(blocks: list[Block]) -> Iterator[tuple[int, int]]:
    for block in blocks:
        yield from split(block.offset_bytes, block.end_bytes)
