"""Interrupts that wait until something has ended which must not be left half done."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def deferred_interrupts() -> Iterator[list[int]]:
    """Interrupts meanwhile are noted in the list, and take effect when the block has ended, whatever its end.

    By handlers, not by a mask: a signal to a process with threads comes in spite of one thread's mask.
    """
    seen: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield seen  # handlers run in the main thread only: this one is not interrupted
        return

    def note(number: int, frame: FrameType | None) -> None:
        seen.append(number)

    before: dict[int, Any] = {number: signal.signal(number, note) for number in INTERRUPTS}
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        for number in seen[:1]:
            if callable(before[number]):
                before[number](number, None)
            else:
                os.kill(os.getpid(), number)
