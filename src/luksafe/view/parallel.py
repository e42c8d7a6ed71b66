"""Reading a volume with every core: forked workers decrypt into shared memory, the parent takes the pieces in order."""

from __future__ import annotations

import errno
import mmap
import os
import select
import struct
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from luksafe.errors import LuksafeError
from luksafe.reader import Reader
from luksafe.view.process import Worker, count_workers, fork_worker

PIECE_BYTES = 1 << 20
BLOCK_BYTES = 64 << 10  # zeros are told by this unit
SLOTS_PER_WORKER = 6

_JOB = struct.Struct("=IQI")  # slot, offset, length
_DONE = struct.Struct("=IiI")  # slot, errno or 0, bit i: block i is not all zero
_ZEROS = bytes(BLOCK_BYTES)


class IntoReader(Reader, Protocol):
    """A Reader that can also fill a buffer."""

    def read_into(self, offset_bytes: int, target: memoryview) -> int:
        """Fill ``target``; how many bytes there were. Raises ``OSError``."""
        ...


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the volume. ``data`` is shared memory that is used again once the next piece is asked for.

    ``error`` is the number of the ``OSError`` where it could not be read; bit i of ``nonzero`` is set where block i
    of ``BLOCK_BYTES`` holds anything but zeros.
    """

    offset_bytes: int
    data: memoryview
    error: int
    nonzero: int


class ParallelReader:
    """Forked workers over one reader. Leave it by ``with``: that ends the workers.

    Memory: ``SLOTS_PER_WORKER`` pieces for each worker, and the workers themselves. Fork before starting threads.
    """

    def __init__(self, reader: IntoReader, *, workers: int | None = None) -> None:
        count = workers or count_workers()
        self._reader = reader
        self._memory = mmap.mmap(-1, count * SLOTS_PER_WORKER * PIECE_BYTES)
        self._free = list(range(count * SLOTS_PER_WORKER))
        jobs, self._jobs = os.pipe()
        self._results, results = os.pipe()
        self._workers: list[Worker] = []
        try:
            for _ in range(count):
                self._workers.append(fork_worker(lambda: self._work(jobs, results)))
        finally:
            os.close(jobs)
            os.close(results)
        self._poll = select.poll()
        for fd in (self._results, *(worker.pidfd for worker in self._workers)):
            self._poll.register(fd, select.POLLIN)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self._jobs)
        for worker in self._workers:
            if kind is not None:
                worker.kill()  # it may hang in a read of a dying disk
            worker.join()
        os.close(self._results)

    def pieces(self, ranges: Iterable[tuple[int, int]]) -> Iterator[Piece]:
        """The pieces (offset and length, at most ``PIECE_BYTES``) of the volume, in the order asked for.

        Raises ``LuksafeError`` where a worker dies. Take all of them, or leave the ``with``.
        """
        waiting: deque[tuple[int, int, int]] = deque()
        done: dict[int, tuple[int, int]] = {}
        for offset, length in ranges:
            if not self._free:
                yield self._take(waiting.popleft(), done)
            slot = self._free.pop()
            waiting.append((slot, offset, length))
            os.write(self._jobs, _JOB.pack(slot, offset, length))
        while waiting:
            yield self._take(waiting.popleft(), done)

    def _take(self, job: tuple[int, int, int], done: dict[int, tuple[int, int]]) -> Piece:
        """Wait for a job. Its slot is free afterwards, but given out only when the consumer comes back for more."""
        slot, offset, length = job
        while slot not in done:
            ready = {fd for fd, _ in self._poll.poll()}
            if self._results not in ready:
                raise LuksafeError("a worker process died", hint="run it again; dmesg tells whether memory ran out")
            for finished, error, nonzero in _DONE.iter_unpack(os.read(self._results, 256 * _DONE.size)):
                done[finished] = (error, nonzero)
        error, nonzero = done.pop(slot)
        self._free.append(slot)
        return Piece(offset, self._slot(slot)[:length], error, nonzero)

    def _slot(self, slot: int) -> memoryview:
        return memoryview(self._memory)[slot * PIECE_BYTES : (slot + 1) * PIECE_BYTES]

    def _work(self, jobs: int, results: int) -> None:
        """A worker: until the parent closes the pipe of jobs, or is gone."""
        os.close(self._jobs)
        os.close(self._results)
        while job := os.read(jobs, _JOB.size):
            slot, offset, length = _JOB.unpack(job)
            target = self._slot(slot)[:length]
            try:
                self._reader.read_into(offset, target)
                answer = _DONE.pack(slot, 0, _nonzero_blocks(target))
            except OSError as error:
                answer = _DONE.pack(slot, error.errno or errno.EIO, 0)
            try:
                os.write(results, answer)
            except BrokenPipeError:
                return  # the parent was killed


def split(start_bytes: int, end_bytes: int, step_bytes: int = PIECE_BYTES) -> Iterator[tuple[int, int]]:
    """The range cut at multiples of ``step_bytes``: offset and length of each part."""
    at = start_bytes
    while at < end_bytes:
        end = min(end_bytes, (at // step_bytes + 1) * step_bytes)
        yield at, end - at
        at = end


def _nonzero_blocks(data: memoryview) -> int:
    """Which blocks hold anything but zeros. Most are told by their first bytes."""
    mask = 0
    for number, at in enumerate(range(0, len(data), BLOCK_BYTES)):
        if data[at] or not _ZEROS.startswith(data[at : at + BLOCK_BYTES]):
            mask |= 1 << number
    return mask
