"""Typing a sheet in: wrong lines are named at once; the quiz."""

from __future__ import annotations

import random

from luksafe.cli.app import App
from luksafe.cli.prompts import ask
from luksafe.cli.terminal import echo
from luksafe.cli.text import count
from luksafe.errors import DamagedInput
from luksafe.paper.line import Line
from luksafe.paper.parts import SheetParts
from luksafe.paper.quiz import ask as questions_for
from luksafe.paper.sheet import SheetContent
from luksafe.paper.text import TypedText, WrongRow, read_row

MAX_TRIES = 3


def correct(app: App, typed: TypedText, *, with_proposals: bool) -> dict[int, bytes]:
    """The right lines of a typed file; wrong ones are named, and put right where that was asked for.

    Raises DamagedInput when a line stays wrong that is not there a second time and right.
    """
    for wrong in typed.wrong:
        app.warn(f"row {wrong.row}, line {wrong.number}: {wrong.why}")
        for proposal in wrong.proposals:
            app.warn(f"  perhaps: {proposal.printed.strip()}")
        if with_proposals and len(wrong.proposals) == 1:
            typed.accept(wrong.proposals[0])
    left = sorted({wrong.number for wrong in typed.wrong} - set(typed.lines))
    if left:
        raise DamagedInput(
            f"{count(len(left), 'line')} of the typed text {'is' if len(left) == 1 else 'are'} wrong: "
            f"{', '.join(map(str, left))}",
            hint="compare them with the paper and put them right; --correct takes the proposals where there is one",
        )
    return typed.lines


def type_lines(parts: SheetParts) -> None:
    """Ask on the terminal for line after line until the sheet is complete; each is checked at once.

    Raises UsageError without a terminal, DamagedInput when an empty line ends the typing too early.
    """
    echo("Type the lines as printed; blanks and small letters do not matter. An empty line ends.", err=True)
    while not parts.is_complete:
        wanted = parts.missing_lines[0]
        typed = ask(f"line {wanted:>4}: ")
        if not typed:
            raise DamagedInput("the typing was ended before the sheet was complete", hint=parts.wanted())
        line = _settle(read_row(typed, wanted))
        if line is not None:
            parts.add_lines({line.number: line.data})


def _settle(read: Line | WrongRow) -> Line | None:
    """The line that was meant, once the user has compared a proposal with the paper."""
    if isinstance(read, Line):
        return read
    echo(f"  line {read.number}: {read.why}", err=True)
    for proposal in read.proposals[:3]:
        echo(f"  perhaps: {proposal.printed.strip()}", err=True)
        if ask("  Does the paper say so? (y/n) ").lower() in ("y", "yes"):
            return proposal
    echo("  type it again", err=True)
    return None


def quiz_keeper(app: App, content: SheetContent, source: random.Random) -> bool:
    """Have three lines (or words) typed back from the paper; each may be tried three times."""
    app.say(f"Take the printed sheet {content.sheet_id}.")
    for question in questions_for(content, source):
        for tries_left in range(MAX_TRIES - 1, -1, -1):
            if question.is_right(ask(f"{question.prompt}: ")):
                break
            app.say("that is not what the sheet says" + ("; once more" if tries_left else ""))
        else:
            return False
    app.say("all right: the sheet is there and can be read")
    return True
