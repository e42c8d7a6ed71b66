"""AES key schedules in a memory image: found with one process per core, reported by their key."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any

from luksafe.memory.image import MemoryImage
from luksafe.memory.schedule import KEY_BITS, SCHEDULE_BYTES, is_schedule
from luksafe.secret import SecretBytes

PIECE_BYTES = 16 << 20
"""How much a process takes at a time."""

SHARE_FROM_BYTES = 256 << 20
"""Smaller images are done before a second process is there."""

_PIECES_AHEAD = 2
"""How many pieces a process has in hand, so that it need not wait for the next."""

Progress = Callable[[int, int], None]
"""Called with the bytes done and the bytes in all."""

_Found = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class ScheduleHit:
    """A whole AES key schedule: where it stands in the run of RAM, its physical address, and the key."""

    offset_bytes: int
    address: int
    key: SecretBytes

    @property
    def key_bits(self) -> int:
        """128, 192 or 256."""
        return len(self.key) * 8


def find_schedules(
    image: MemoryImage,
    *,
    key_bits: Sequence[int] = KEY_BITS,
    progress: Progress | None = None,
    processes: int | None = None,
) -> Iterator[ScheduleHit]:
    """Every AES key schedule that stands at a multiple of 4, as it is found (with several processes in any order).

    ``processes`` is by default one per core for large images. Keys do not travel between processes: the others
    report places, and this one reads the key there.
    """
    if processes is None:
        processes = len(os.sched_getaffinity(0)) if image.size_bytes >= SHARE_FROM_BYTES else 1
    search = _SharedSearch(image, key_bits, progress or _no_progress)
    with contextlib.closing(search):
        search.start(processes - 1)
        for offset, bits in search.run():
            hit = _read_hit(image, offset, bits)
            if hit:
                yield hit


def _no_progress(_done: int, _total: int) -> None:
    pass


def _read_hit(image: MemoryImage, offset: int, bits: int) -> ScheduleHit | None:
    """The hit at this place; None when the memory of a running machine has changed since."""
    schedule = bytearray(SCHEDULE_BYTES[bits])
    image.read_into(offset, memoryview(schedule))
    if not is_schedule(schedule, bits):
        return None
    key = SecretBytes(memoryview(schedule)[: bits // 8])
    schedule[:] = bytes(len(schedule))
    return ScheduleHit(offset, image.address_of(offset), key)


def _serve(link: Connection, image: MemoryImage, key_bits: Sequence[int]) -> None:
    """The other process: asks for pieces and reports what begins in each, until told to end."""
    from luksafe.memory.scanner import ScheduleScanner

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends us
    scanner = ScheduleScanner(image, key_bits)
    with contextlib.suppress(EOFError, OSError):
        link.send(([], 0))
        while (piece := link.recv()) is not None:
            before = image.unreadable_bytes
            found = list(scanner.scan(*piece))
            link.send((found, image.unreadable_bytes - before))
    scanner.wipe()


class _SharedSearch:
    """Hands out pieces of the image to the other processes, and searches itself meanwhile."""

    def __init__(self, image: MemoryImage, key_bits: Sequence[int], progress: Progress) -> None:
        self._image = image
        self._key_bits = key_bits
        self._progress = progress
        size = image.size_bytes
        self._pieces = deque((at, min(size, at + PIECE_BYTES)) for at in range(0, size, PIECE_BYTES))
        self._in_hand: dict[Connection, deque[tuple[int, int]]] = {}
        self._others: list[Any] = []
        self._done = 0

    def start(self, others: int) -> None:
        """Start the other processes; they are ready when their first message comes."""
        context = get_context("spawn")
        for _ in range(others):
            ours, theirs = context.Pipe()
            other = context.Process(target=_serve, args=(theirs, self._image, self._key_bits), daemon=True)
            other.start()
            theirs.close()
            self._others.append(other)
            self._in_hand[ours] = deque()

    def run(self) -> Iterator[tuple[int, int]]:
        """Offset and key bits of everything found."""
        from luksafe.memory.scanner import ScheduleScanner

        scanner = ScheduleScanner(self._image, self._key_bits)
        try:
            while self._pieces or any(self._in_hand.values()):
                for link in wait(self._in_hand, timeout=0 if self._pieces else None):
                    yield from self._receive(link)  # type: ignore[arg-type]
                if self._pieces:
                    piece = self._pieces.popleft()
                    yield from scanner.scan(*piece)
                    self._count(piece)
        finally:
            scanner.wipe()

    def _receive(self, link: Connection) -> _Found:
        """What the other process found; its pieces go back to the others when it is gone."""
        in_hand = self._in_hand[link]
        try:
            found, unreadable = link.recv()
            if in_hand:
                self._count(in_hand.popleft())
            while self._pieces and len(in_hand) < _PIECES_AHEAD:
                link.send(self._pieces[0])
                in_hand.append(self._pieces.popleft())
        except (EOFError, OSError):
            self._pieces.extend(in_hand)
            del self._in_hand[link]
            return []
        self._image.unreadable_bytes += unreadable
        result: _Found = found
        return result

    def _count(self, piece: tuple[int, int]) -> None:
        self._done += piece[1] - piece[0]
        self._progress(self._done, self._image.size_bytes)

    def close(self) -> None:
        """End the other processes."""
        for link in self._in_hand:
            with contextlib.suppress(OSError):
                link.send(None)
            link.close()
        for other in self._others:
            other.terminate()
            other.join()
            other.close()
