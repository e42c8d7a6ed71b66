"""Faults planted in parsers: at some call beneath a wall, whatever Python can raise is raised, as a fault there would.

tests/fuzz/plant TARGET COUNT [SEED]
"""

from __future__ import annotations

import logging
import random
import struct
import sys
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import Any

from luksafe import wall

FAULTS: tuple[Callable[[], BaseException], ...] = (
    lambda: ValueError("planted"),
    lambda: UnicodeEncodeError("utf-8", "\ud800", 0, 1, "planted"),
    lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "planted"),
    lambda: KeyError("planted"),
    lambda: IndexError("planted"),
    lambda: TypeError("planted"),
    lambda: AttributeError("planted"),
    lambda: RecursionError("planted"),
    lambda: OverflowError("planted"),
    lambda: ZeroDivisionError("planted"),
    lambda: AssertionError("planted"),
    lambda: StopIteration("planted"),
    lambda: struct.error("planted"),
    lambda: MemoryError("planted"),
)
NOT_THERE = ("behind", "_stopped", "__del__", "<genexpr>")
JUNK = (b"0", b'"', b"\xff", b"\0", b"{", b"[", b"99999999999999999999", b"\\ud800", b"9" * 5000, b"\xc2\xb2")


def is_beneath_a_wall(frame: FrameType | None) -> bool:
    """Whether a call is made by a parser behind its wall."""
    while frame is not None:
        if frame.f_code.co_name == "__del__":
            return False  # what is raised there is nobody's to catch
        if frame.f_code.co_name == "behind" and frame.f_code.co_filename == wall.__file__:
            return True
        frame = frame.f_back
    return False


class Planted:
    """Raises ``fault`` at the call number ``at`` of luksafe's own code beneath a wall; counts the calls before."""

    def __init__(self, at: int, fault: BaseException) -> None:
        self.at, self.fault, self.calls, self.is_done = at, fault, 0, False

    def __enter__(self) -> Planted:
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _trace(self, frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event != "call" or "/luksafe/" not in code.co_filename or code.co_name in NOT_THERE:
            return
        if code.co_filename == wall.__file__ or not is_beneath_a_wall(frame.f_back):
            return
        self.calls += 1
        if self.calls >= self.at:
            self.is_done = True
            sys.settrace(None)
            raise self.fault


def damaged(seed: bytes, rng: random.Random) -> bytes:
    """A seed with some bytes replaced."""
    data = bytearray(seed)
    for _ in range(rng.randrange(5)):
        at = rng.randrange(len(data) or 1)
        data[at : at + rng.randrange(4)] = rng.choice(JUNK) if rng.random() < 0.7 else rng.randbytes(1)
    return bytes(data) or b"0"


def plant(target: Callable[[bytes], None], seeds: list[bytes], count: int, seed: int = 0) -> Counter[str]:
    """Run ``target`` on so many damaged seeds with a fault planted in each: it ends in silence, or names the parser.

    Gives how many were planted, how many inputs ended before the fault's turn, and what kind stopped how often.
    """
    rng = random.Random(seed)
    told: Counter[str] = Counter()
    longest = {}
    for each in seeds:
        with Planted(1 << 60, ValueError()) as counting:
            target(each)
        longest[each] = max(1, counting.calls)
    own = _OwnFaults()
    wall.log.addHandler(own)
    for _ in range(count):
        chosen = rng.choice(seeds)
        data, fault = damaged(chosen, rng), rng.choice(FAULTS)()
        try:
            with Planted(rng.randint(1, longest[chosen]), fault) as planted:
                target(data)
        except wall.ParserStopped:
            pass
        except BaseException as error:
            raise AssertionError(f"{type(fault).__name__} came through with {data[:200]!r}") from error
        told["faults of our own"] += own.since(fault)
        told["planted" if planted.is_done else "ended before"] += 1
        if planted.is_done:
            told[type(fault).__name__] += 1
    wall.log.removeHandler(own)
    return told


class _OwnFaults(logging.Handler):
    """What stopped at a wall and was not planted: a fault that the wall hides from the user, not from us."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: list[BaseException] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1]:
            self._seen.append(record.exc_info[1])

    def since(self, planted: BaseException) -> int:
        """How many since it was asked last, without those that come from the planted one."""
        own = [error for error in self._seen if planted not in (error, error.__cause__, error.__context__)]
        for error in own:
            print(f"a fault of our own: {error!r}"[:300], flush=True)
        self._seen.clear()
        return len(own)
