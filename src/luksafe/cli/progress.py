"""Progress of long work, on a terminal only: share done, speed, time left."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from luksafe.cli.app import App
from luksafe.cli.terminal import REDRAW, shown
from luksafe.cli.text import human_size

_INTERVAL_SECONDS = 0.2


class Progress:
    """One line on stderr that is rewritten. Calling it with the bytes done is cheap; it draws 5 times a second."""

    def __init__(self, app: App, label: str, total_bytes: int | None) -> None:
        self._label = shown(label)
        self._total = total_bytes
        self._is_shown = sys.stderr.isatty() and not app.quiet
        self._started = self._drawn = time.monotonic()
        self._first: int | None = None

    def __enter__(self) -> Self:
        return self

    def __call__(self, done_bytes: int) -> None:
        """Note how many bytes are done."""
        if not self._is_shown:
            return
        now = time.monotonic()
        if self._first is None:
            self._first = done_bytes  # resumed work does not count as speed
        if now - self._drawn >= _INTERVAL_SECONDS:
            self._drawn = now
            sys.stderr.write(REDRAW + self._line(done_bytes, now - self._started))
            sys.stderr.flush()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._is_shown:
            sys.stderr.write(REDRAW)
            sys.stderr.flush()

    def _line(self, done: int, seconds: float) -> str:
        speed = (done - (self._first or 0)) / max(seconds, 1e-3)
        parts = [self._label, human_size(done)]
        if self._total:
            parts.append(f"of {human_size(self._total)} ({done * 100 // self._total} %)")
        parts.append(f"{human_size(int(speed))}/s")
        if self._total and speed > 0:
            left = int((self._total - done) / speed)
            parts.append(f"{left // 60}:{left % 60:02} left")
        return "  ".join(parts)[:79]
