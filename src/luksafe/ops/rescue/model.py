"""The words of a rescue: a way out, its steps, how likely it helps, what it risks."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from luksafe.ops.diagnosis.model import Chance, Missing

__all__ = ["Chance"]
DONE_STATUSES = (0, 3)
_BY_BACKUP = ("read", "restore", "try")
_OF_THE_KEY = (*_BY_BACKUP, "packet", "partition", "search")
"""Ways whose answer does not change when the header is written."""


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
    """A partition that a search found, in bytes. ``header`` names the backup with which it is read, where only key
    material is left there.
    """

    start: int
    length: int
    uuid: str
    sure: bool
    header: str = ""


@dataclass(frozen=True, slots=True)
class Tried:
    """A way that was gone and led nowhere; ``answer`` is what came of it. ``key`` is that of the way."""

    key: str
    title: str
    answer: str

    @property
    def about(self) -> str:
        """What was tried: reading with a backup, or writing it, is an attempt with the same key."""
        kind, _, name = self.key.partition(":")
        return name if kind in _BY_BACKUP else self.key


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
    missing: Missing

    def left(self, tried: Sequence[Tried]) -> tuple[Way, ...]:
        """The ways that were not gone in vain."""
        over = {item.about for item in tried}
        return tuple(way for way in self.ways if Tried(way.key, "", "").about not in over)


def after_write(tried: Sequence[Tried]) -> list[Tried]:
    """What stays tried when the header is another: the rest may lead in now."""
    return [item for item in tried if item.key.partition(":")[0] in _OF_THE_KEY]
