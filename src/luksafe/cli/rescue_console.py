"""The screen of a rescue: plain lines of at most 79 columns, which a serial console shows as any terminal does."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from luksafe.cli.app import App
from luksafe.cli.prompts import ask
from luksafe.cli.terminal import echo, fit, shown, style
from luksafe.cli.text import bad, good
from luksafe.ops.rescue.ending import TRUTHS, what_could_exist
from luksafe.ops.rescue.model import Outlook, Step, Tried, Way
from luksafe.visible import visible

_WIDTH = 79
_LINES = 22
_RULE = "-" * _WIDTH


class Console:
    """Prints and asks. Long text is shown a screen at a time."""

    def __init__(self, app: App) -> None:
        self._colored = app.is_colored
        self._room = _LINES

    def rule(self, title: str) -> None:
        """A line and a title; what stands above it must have been seen before it scrolls away."""
        self.line(_RULE)
        self.line(style(title, bold=True) if self._colored else title)

    def after_command(self) -> None:
        """A command has filled the screen: what it said is read before it scrolls away."""
        self._room = min(self._room, 4)

    def line(self, text: str = "") -> None:
        """One line, broken where it does not fit; waits for Enter when the screen is full."""
        for part in fit(shown(text)):
            if self._room <= 1:
                ask("-- Enter shows more --")
                self._room = _LINES
            self._room -= 1
            echo(part)

    def paragraph(self, text: str, *, indent: int = 0, mark: str = "") -> None:
        """Wrapped text."""
        first = " " * indent + mark
        for line in textwrap.wrap(
            visible(text), _WIDTH, initial_indent=first, subsequent_indent=" " * len(first), break_on_hyphens=False
        ):
            self.line(line)

    def warning(self, text: str) -> None:
        """Wrapped text behind a mark that is seen."""
        self.paragraph(text, mark=bad("!! ", colored=False))

    def success(self, text: str) -> None:
        """Good news."""
        self.line(good(text, colored=self._colored))

    def choose(self, prompt: str, answers: Sequence[str]) -> str:
        """Ask until one of the answers is typed; an empty line counts as the first of them."""
        self._room = _LINES
        while True:
            typed = ask(f"{prompt} ").lower()
            if not typed:
                return answers[0]
            if typed in answers:
                return typed
            echo(f"please type one of: {', '.join(answers)}")

    def outlook(self, outlook: Outlook, device: str) -> None:
        """What happened, in plain words."""
        self.rule(f"What is wrong with {device}: {outlook.headline}")
        for text in outlook.urgent:
            self.warning(text)
        for text in outlook.story:
            self.paragraph(text)
            self.line()
        for text in outlook.avoid:
            self.warning(text)

    def ways(self, ways: Sequence[Way]) -> None:
        """The ways out, the best first."""
        self.rule("Ways out, the best first")
        for number, way in enumerate(ways, 1):
            self.line(f"{number:3}  {way.title}")
            self.paragraph(f"{way.chance.words}; {way.risk.words}", indent=5)
            self.paragraph(f"because {way.why}", indent=5)

    def tried(self, tried: Sequence[Tried]) -> None:
        """What led nowhere, struck off."""
        self.rule("Tried, and led nowhere")
        for item in tried:
            self.paragraph(item.title, mark="  x  ")
            self.paragraph(item.answer, indent=5)

    def nothing_left(self, outlook: Outlook, device: str) -> None:
        """The end: what is true, and what could still exist elsewhere."""
        self.rule(f"Nothing is left to try on {device} with what is here")
        self.paragraph(TRUTHS[outlook.missing])
        self.line()
        self.line("What could still exist, and where to look for it:")
        for hope in what_could_exist(outlook.missing, device):
            self.paragraph(f"{hope.what}: {hope.where}", mark="  -  ")

    def step(self, step: Step, number: int, count: int, shown: str) -> None:
        """One step before it is run."""
        self.rule(f"Step {number} of {count}")
        self.paragraph(step.text)
        self.line()
        self.line(f"    {shown}")
        self.line()
        if step.writes:
            self.warning("this step changes the device; it shows what it will do and asks again")
