"""Sharing a search between processes: this one hands out pieces of the image, and searches others itself meanwhile."""

from __future__ import annotations

import contextlib
import subprocess
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait

from luksafe.memory.image import MemoryImage
from luksafe.memory.scanner import ScheduleScanner
from luksafe.memory.worker import start

PIECE_BYTES = 16 << 20
"""How much a process takes at a time."""

_PIECES_AHEAD = 2
"""How many pieces a worker has in hand, so that it need not wait for the next."""

Progress = Callable[[int, int], None]
"""Called with the bytes done and the bytes in all."""

Place = tuple[int, int]
"""Offset of a schedule and its key bits."""


class SharedSearch:
    """A search that any number of workers help with; without one it does all itself."""

    def __init__(self, image: MemoryImage, key_bits: Sequence[int], progress: Progress | None) -> None:
        self._image = image
        self._key_bits = tuple(key_bits)
        self._progress = progress
        size = image.size_bytes
        self._pieces = deque((at, min(size, at + PIECE_BYTES)) for at in range(0, size, PIECE_BYTES))
        self._in_hand: dict[Connection, deque[tuple[int, int]]] = {}
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

    def run(self) -> Iterator[Place]:
        """Everything found, as it is found."""
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

    def _receive(self, link: Connection) -> list[Place]:
        """What a worker found; when it is gone, its pieces go back."""
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
            link.close()
            return []
        self._image.unreadable_bytes += unreadable
        places: list[Place] = found
        return places

    def _count(self, piece: tuple[int, int]) -> None:
        self._done += piece[1] - piece[0]
        if self._progress:
            self._progress(self._done, self._image.size_bytes)

    def close(self) -> None:
        """End the workers."""
        for link in self._in_hand:
            link.close()
        for process in self._workers:
            process.kill()
            process.wait()
