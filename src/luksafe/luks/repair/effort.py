"""How long a search may take, and whom to tell how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

Progress = Callable[[str, int, int], None]
Announce = Callable[[str, float, float], None]


@dataclass
class Effort:
    """The time that is left for searching. ``progress`` gets a label, how much work is done, and of how much;
    ``announce`` gets, before a long search, a label and the estimated seconds: for even odds, and at most.
    """

    limit_seconds: float = 600.0
    progress: Progress = lambda label, done, total: None
    announce: Announce = lambda label, even, most: None
    clock: Callable[[], float] = time.monotonic
    _started: float = field(init=False)
    ran_out: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self._started = self.clock()

    @property
    def seconds_left(self) -> float:
        """What is left of the limit."""
        return self.limit_seconds - (self.clock() - self._started)

    def goes_on(self, label: str, done: int, total: int) -> bool:
        """Report progress; False, from then on, when the time is over."""
        if self.seconds_left <= 0:
            self.ran_out = True
        else:
            self.progress(label, done, total)
        return not self.ran_out
