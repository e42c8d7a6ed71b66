"""Sharing a search between processes: this one hands out pieces of the image, and searches others itself meanwhile."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait

from luksafe.memory.image import MemoryImage
from luksafe.memory.scanner import ScheduleScanner
from luksafe.memory.worker import start

PIECE_BYTES = 16 << 20
"""How much a process takes at a time."""

WORTH_SECONDS = 0.3
"""Workers are started when more than this is left to do for one process: half as long takes their start."""

_PIECES_AHEAD = 2
"""How many pieces a worker has in hand, so that it need not wait for the next."""

Progress = Callable[[int, int], None]
"""Called with the bytes done and the bytes in all."""

Piece = tuple[int, int]
"""Where a piece begins and ends."""

Place = tuple[int, int]
"""Offset of a schedule and its key bits."""


class SharedSearch:
    """A search that any number of workers help with; without one it does all itself."""

    def __init__(self, image: MemoryImage, key_bits: Sequence[int], progress: Progress | None) -> None:
        self._image = image
        self._key_bits = tuple(key_bits)
        self._progress = progress
        size = image.size_bytes
        self._free = deque((at, min(size, at + PIECE_BYTES)) for at in range(0, size, PIECE_BYTES))
        self._open = set(self._free)
        self._in_hand: dict[Connection, deque[Piece]] = {}
        self._workers: list[subprocess.Popen[bytes]] = []
        self._done = 0

    def start(self, workers: int) -> None:
        """Start workers; each is given its first pieces when it says that it is ready. Without them it goes on, too."""
        for _ in range(workers):
            with contextlib.suppress(OSError):
                link, process = start()
                self._workers.append(process)
                self._in_hand[link] = deque()
                link.send((self._image, self._key_bits))

    def run(self, workers_if_long: int = 0) -> Iterator[Place]:
        """Everything found, as it is found. ``workers_if_long``: how many to start if it turns out to be worth it."""
        scanner = ScheduleScanner(self._image, self._key_bits)
        began = time.monotonic()
        try:
            while self._open:
                for link in wait(self._in_hand, timeout=0):
                    yield from self._receive(link)  # type: ignore[arg-type]
                if piece := self._take():
                    yield from self._finish(piece, list(scanner.scan(*piece)))
                if workers_if_long and self._seconds_left(began) > WORTH_SECONDS:
                    self.start(workers_if_long)
                    workers_if_long = 0
        finally:
            scanner.wipe()

    def _seconds_left(self, began: float) -> float:
        left = self._image.size_bytes - self._done
        return (time.monotonic() - began) / self._done * left if self._done else 0.0

    def _take(self) -> Piece | None:
        """A free piece; when there is none, one that a worker has in hand, for it may be slow."""
        if self._free:
            return self._free.popleft()
        in_hand = max(self._in_hand.values(), key=len, default=None)
        return in_hand.pop() if in_hand else None

    def _receive(self, link: Connection) -> list[Place]:
        """What a worker found; it is given more to do."""
        try:
            piece, found, unreadable = link.recv()
        except (EOFError, OSError):
            self._give_up(link)
            return []
        with contextlib.suppress(ValueError):
            self._in_hand[link].remove(piece)
        self._hand_out(link)
        self._image.unreadable_bytes += unreadable
        return self._finish(piece, found)

    def _hand_out(self, link: Connection) -> None:
        in_hand = self._in_hand[link]
        try:
            while self._free and len(in_hand) < _PIECES_AHEAD:
                link.send(self._free[0])
                in_hand.append(self._free.popleft())
        except OSError:
            self._give_up(link)

    def _give_up(self, link: Connection) -> None:
        """The worker is gone: what it had in hand is free again."""
        self._free.extend(self._in_hand.pop(link))
        link.close()

    def _finish(self, piece: Piece | None, found: list[Place]) -> list[Place]:
        """What is found in a piece, the first time that it is done."""
        if piece not in self._open:
            return []
        self._open.remove(piece)
        self._done += piece[1] - piece[0]
        if self._progress:
            self._progress(self._done, self._image.size_bytes)
        return found

    def close(self) -> None:
        """End the workers."""
        for link in self._in_hand:
            link.close()
        for process in self._workers:
            process.kill()
            process.wait()
