"""The words of a rescue: a way out, its steps, how likely it helps, what it risks."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import IntEnum

from luksafe.ops.diagnosis.model import Chance

__all__ = ["Chance"]
DONE_STATUSES = (0, 3)


class Risk(IntEnum):
    """What a way changes. A lower number is safer."""

    READS_ONLY = 0
    UNDOABLE = 1
    SLOW_OR_FOREIGN = 2

    @property
    def words(self) -> str:
        """For people."""
        return (
            "reads only",
            "writes to the header; what it replaces is saved first and can be put back",
            "writes, and not by luksafe: there is no undo but the copies made beforehand",
        )[self]


@dataclass(frozen=True, slots=True)
class Step:
    """One command. ``command`` is what is typed, without the program's own options; ``text`` says what it does and why.

    ``writes``: it changes the device (and asks by itself before it does). ``proves``: when it succeeds, the data can be
    read.
    """

    command: tuple[str, ...]
    text: str
    writes: bool = False
    proves: bool = False

    @property
    def shown(self) -> str:
        """The command as it is typed into a shell."""
        return shlex.join(self.command)


def prove(device: str, header: str = "") -> Step:
    """The step that shows whether the data can be read; ``header`` names another than the device's own."""
    options = ("--header", header) if header else ()
    return Step(
        ("luksafe", "prove", device, *options, "--data", device),
        "Opens it with your passphrase, decrypts the start of the data and says what they are. Reads only.",
        proves=True,
    )


@dataclass(frozen=True, slots=True)
class Way:
    """A way out. ``key`` is stable, so that a rescue that was left is found again."""

    key: str
    title: str
    chance: Chance
    risk: Risk
    why: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Guess:
    """A lost partition that a search found, in bytes."""

    start: int
    length: int
    uuid: str
    sure: bool


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is said at the beginning: ``urgent`` before all else, the story in plain words, and the ways, best first."""

    verdict: str
    rule: str
    headline: str
    urgent: tuple[str, ...]
    story: tuple[str, ...]
    avoid: tuple[str, ...]
    ways: tuple[Way, ...]
    is_healthy: bool
