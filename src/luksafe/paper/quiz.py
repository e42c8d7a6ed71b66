"""The quiz: a keeper types back three lines, so that a sheet that was never really kept is noticed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from luksafe.paper.line import Line
from luksafe.paper.sheet import SheetContent
from luksafe.paper.text import lines_of, read_row

QUESTIONS = 3


@dataclass(frozen=True, slots=True)
class Question:
    """One line, or one word of a share, to be typed from the paper."""

    number: int
    what: str
    _answer: str = field(repr=False)

    @property
    def prompt(self) -> str:
        """What to ask: ``Type line 7``."""
        return f"Type {self.what} {self.number}"

    def is_right(self, typed: str) -> bool:
        """Whether this was typed; case, blanks, look-alikes and the number in front do not matter for lines."""
        if self.what == "word":
            return typed.strip().lower() == self._answer
        read = read_row(typed, self.number)
        return isinstance(read, Line) and read.number == self.number and read.symbols == self._answer


def ask(content: SheetContent, source: random.Random) -> tuple[Question, ...]:
    """Three questions (all, if the sheet has fewer lines) in rising order, chosen by ``source``."""
    if content.words:
        answers = {number: ("word", word) for number, word in enumerate(content.words, 1)}
    else:
        lines = lines_of(content.head, content.payload)[1:]
        answers = {line.number: ("line", line.symbols) for line in lines}
    chosen = source.sample(sorted(answers), min(QUESTIONS, len(answers)))
    return tuple(Question(number, *answers[number]) for number in sorted(chosen))
