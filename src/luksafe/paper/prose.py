"""Blocks of prose on a sheet: headings, paragraphs, facts, steps, commands, the notice.

A block knows its height for a width and draws itself below a point; sizes are in points (1/72 inch).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from luksafe.paper import fonts

DARK = 0.0
SOFT = 0.35
RULE = 0.6
TINT = 0.94
LABEL_POINTS = 112.0
STEP_INDENT_POINTS = 18.0
HEADING_POINTS = 31.0


class Block(Protocol):
    """Something that stands on a page and is not split over two."""

    @property
    def keep_with_next(self) -> bool:
        """Whether a page must not end after this block."""

    def height(self, width: float) -> float:
        """How much of the page it takes, the space below included."""

    def draw(self, canvas: Any, x: float, top: float, width: float) -> None:
        """Draw it with its upper left corner there."""


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str
    size: float = 9.5
    font: str = fonts.SANS
    gray: float = DARK
    indent: float = 0.0
    before: float = 0.0
    after: float = 4.0
    keep_with_next: bool = False

    @property
    def _leading(self) -> float:
        return self.size * 1.32

    def _lines(self, width: float) -> list[str]:
        return fonts.wrap(self.text, self.font, self.size, width - self.indent)

    def height(self, width: float) -> float:
        """See Block."""
        return self.before + len(self._lines(width)) * self._leading + self.after

    def draw(self, canvas: Any, x: float, top: float, width: float) -> None:
        """See Block."""
        canvas.setFillGray(self.gray)
        canvas.setFont(self.font, self.size)
        base = top - self.before - self.size
        for number, line in enumerate(self._lines(width)):
            canvas.drawString(x + self.indent, base - number * self._leading, line)


@dataclass(frozen=True, slots=True)
class Heading:
    """The heading of a section, with a rule above it."""

    text: str
    keep_with_next: bool = True

    def height(self, width: float) -> float:
        """See Block."""
        return HEADING_POINTS

    def draw(self, canvas: Any, x: float, top: float, width: float) -> None:
        """See Block."""
        canvas.setStrokeGray(RULE)
        canvas.setLineWidth(0.5)
        canvas.line(x, top - 6, x + width, top - 6)
        canvas.setFillGray(DARK)
        canvas.setFont(fonts.BOLD, 11.5)
        canvas.drawString(x, top - 21, fonts.printable(self.text, fonts.BOLD))


@dataclass(frozen=True, slots=True)
class Fact:
    """A label and what belongs to it, in a column of its own."""

    label: str
    text: str
    keep_with_next: bool = False

    def _columns(self, width: float) -> tuple[list[str], list[str]]:
        label = fonts.wrap(self.label, fonts.SANS, 9, LABEL_POINTS - 8)
        return label, fonts.wrap(self.text, fonts.MONO, 9, width - LABEL_POINTS)

    def height(self, width: float) -> float:
        """See Block."""
        return max(len(column) for column in self._columns(width)) * 12.0 + 2.5

    def draw(self, canvas: Any, x: float, top: float, width: float) -> None:
        """See Block."""
        label, text = self._columns(width)
        for lines, left, font, gray in ((label, x, fonts.SANS, SOFT), (text, x + LABEL_POINTS, fonts.MONO, DARK)):
            canvas.setFillGray(gray)
            canvas.setFont(font, 9)
            for number, line in enumerate(lines):
                canvas.drawString(left, top - 9 - 12 * number, line)


@dataclass(frozen=True, slots=True)
class NumberedStep:
    """One step: its number and a sentence."""

    number: int
    text: str
    keep_with_next: bool = False

    def _body(self) -> Text:
        return Text(self.text, indent=STEP_INDENT_POINTS, after=3)

    def height(self, width: float) -> float:
        """See Block."""
        return self._body().height(width)

    def draw(self, canvas: Any, x: float, top: float, width: float) -> None:
        """See Block."""
        canvas.setFillGray(DARK)
        canvas.setFont(fonts.BOLD, 9.5)
        canvas.drawString(x, top - 9.5, f"{self.number}.")
        self._body().draw(canvas, x, top, width)


@dataclass(frozen=True, slots=True)
class Command:
    """A command to type, on a tinted ground; a long one goes on after a backslash, as a shell takes it."""

    command: str
    keep_with_next: bool = False

    def _lines(self, width: float) -> tuple[list[str], float]:
        room = width - STEP_INDENT_POINTS - 12
        size = 8.8
        lines = break_command(self.command, int(room / fonts.width_points("0", fonts.MONO, size)))
        widest = max(fonts.width_points(line, fonts.MONO, size) for line in lines)
        return lines, size * min(1.0, room / widest)

    def height(self, width: float) -> float:
        """See Block."""
        return len(self._lines(width)[0]) * 12.0 + 9.5

    def draw(self, canvas: Any, x: float, top: float, width: float) -> None:
        """See Block."""
        lines, size = self._lines(width)
        left = x + STEP_INDENT_POINTS
        canvas.setFillGray(TINT)
        canvas.rect(left, top - 12 * len(lines) - 6, x + width - left, 12 * len(lines) + 6, stroke=0, fill=1)
        canvas.setFillGray(DARK)
        canvas.setFont(fonts.MONO, size)
        for number, line in enumerate(lines):
            canvas.drawString(left + 6, top - 12 - 12 * number, line)


@dataclass(frozen=True, slots=True)
class Notice:
    """What a holder of the sheet can do, in a frame with a thick left edge."""

    lead: str
    text: str
    keep_with_next: bool = False

    def _blocks(self) -> tuple[Text, Text]:
        return Text(self.lead, font=fonts.BOLD, size=10, after=1), Text(self.text, size=9.5, after=0)

    def height(self, width: float) -> float:
        """See Block."""
        return sum(block.height(width - 26) for block in self._blocks()) + 14 + 8

    def draw(self, canvas: Any, x: float, top: float, width: float) -> None:
        """See Block."""
        box = self.height(width) - 8
        canvas.setStrokeGray(DARK)
        canvas.setFillGray(DARK)
        canvas.setLineWidth(0.8)
        canvas.rect(x, top - box, width, box, stroke=1, fill=0)
        canvas.rect(x, top - box, 5, box, stroke=0, fill=1)
        below = top - 7
        for block in self._blocks():
            block.draw(canvas, x + 15, below, width - 26)
            below -= block.height(width - 26)


def break_command(command: str, room_characters: int) -> list[str]:
    """A command in lines that a shell joins again: cut at blanks outside quotes, with a backslash at the end."""
    lines = [""]
    for word in _shell_words(fonts.printable(command, fonts.MONO)):
        if lines[-1] and len(lines[-1]) + len(word) + 3 > room_characters:
            lines.append("    " + word)
        else:
            lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return [f"{line} \\" for line in lines[:-1]] + lines[-1:]


def _shell_words(command: str) -> list[str]:
    words, quote = [""], ""
    for character in command:
        if character == " " and not quote:
            words.append("")
            continue
        if character in "'\"" and quote in ("", character):
            quote = "" if quote else character
        words[-1] += character
    return [word for word in words if word]
