"""Blocks that are copied, scanned or filled in: codes, typed lines, words, a secret as it stands, blank fields."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from luksafe.paper import fonts
from luksafe.paper.line import Line
from luksafe.paper.parts import part_lines
from luksafe.paper.prose import DARK, RULE, SOFT, TINT
from luksafe.paper.qr import Code
from luksafe.paper.sheet import SheetKind

QUIET_MODULES = 4
MAX_MODULE_POINTS = 2.0
CODES_IN_ROW = 2
CAPTION_POINTS = 17.0
LINES_IN_BLOCK = 5
LINE_LEADING = 1.36
WORDS_IN_ROW = 3
WORDS_SHARE = 0.6
WORD_POINTS = 21.0
GROUP_SYMBOLS = 8
GROUPS_IN_ROW = 4
FIELDS = ("Place", "Keeper", "Date")
FIELDS_POINTS = 46.0


@dataclass(frozen=True, slots=True)
class CodeRow:
    """One or two QR codes side by side; ``side`` is that of a code with its quiet zone."""

    codes: tuple[Code, ...]
    side: float
    keep_with_next: bool = False

    def height(self, width: float) -> float:
        """See Block."""
        return self.side + CAPTION_POINTS

    def draw(self, canvas: Any, x: float, top: float, width: float) -> None:
        """See Block."""
        cell = width / CODES_IN_ROW
        for place, code in enumerate(self.codes):
            draw_code(canvas, code, x + place * cell + (cell - self.side) / 2, top, self.side)


def draw_code(canvas: Any, code: Code, left: float, top: float, side: float) -> None:
    """A code and, below it, which one it is, of which sheet, with which lines."""
    _draw_modules(canvas, code, left, top, side)
    part = code.part
    numbers = part_lines(part.head.line_count, part.index, part.count)
    text = f"Code {part.index} of {part.count}"
    rest = f"  sheet {part.head.sheet_id}"
    if part.head.kind is not SheetKind.SHARE:
        rest += f"  lines {numbers[0]}-{numbers[-1]}"
    across = fonts.width_points(text, fonts.BOLD, 9)
    start = left + (side - across - fonts.width_points(rest, fonts.MONO, 8)) / 2
    canvas.setFillGray(DARK)
    canvas.setFont(fonts.BOLD, 9)
    canvas.drawString(start, top - side - 6, text)
    canvas.setFont(fonts.MONO, 8)
    canvas.drawString(start + across, top - side - 6, rest)


def code_side(codes: list[Code], width: float, most: float) -> float:
    """The side of the codes, quiet zone included: as large as a row of two allows, but no module wider than need be."""
    modules = max(len(code.modules) for code in codes) + 2 * QUIET_MODULES
    return min(width / CODES_IN_ROW, most, modules * MAX_MODULE_POINTS)


def _draw_modules(canvas: Any, code: Code, left: float, top: float, side: float) -> None:
    """All dark modules as one path, so that no hair-lines show between them."""
    count = len(code.modules)
    module = side / (count + 2 * QUIET_MODULES)
    path = canvas.beginPath()
    for row, modules in enumerate(code.modules):
        column = 0
        while column < count:
            run = 0
            while column + run < count and modules[column + run]:
                run += 1
            if run:
                corner = left + (QUIET_MODULES + column) * module, top - (QUIET_MODULES + row + 1) * module
                path.rect(*corner, run * module, module)
            column += run + 1
    canvas.setFillGray(DARK)
    canvas.drawPath(path, stroke=0, fill=1)


@dataclass(frozen=True, slots=True)
class LineHeader:
    """What the columns of the typed lines are."""

    keep_with_next: bool = True

    def height(self, width: float) -> float:
        """See Block."""
        return 14.0

    def draw(self, canvas: Any, x: float, top: float, width: float) -> None:
        """See Block."""
        size = line_size(width)
        step = fonts.width_points("0", fonts.MONO, size)
        canvas.setFillGray(SOFT)
        canvas.setFont(fonts.SANS, 8)
        canvas.drawString(x + step, top - 9, "line")
        canvas.drawString(x + 6 * step, top - 9, "what to type")
        canvas.drawString(x + 47 * step, top - 9, "check")
        canvas.drawString(x + 57.5 * step, top - 9, "typed")


def line_size(width: float) -> float:
    """The font size with which a printed line fills the page, at most 12.5 points."""
    return min(12.5, width / fonts.width_points("0" * 61, fonts.MONO, 1))


@dataclass(frozen=True, slots=True)
class TypedLines:
    """Up to five typed lines, each with a box to tick; every second one is tinted to lead the eye."""

    lines: tuple[Line, ...] = field(repr=False)
    keep_with_next: bool = False

    def height(self, width: float) -> float:
        """See Block."""
        return len(self.lines) * line_size(width) * LINE_LEADING + 5

    def draw(self, canvas: Any, x: float, top: float, width: float) -> None:
        """See Block."""
        size = line_size(width)
        leading = size * LINE_LEADING
        step = fonts.width_points("0", fonts.MONO, size)
        for place, line in enumerate(self.lines):
            base = top - (place + 1) * leading + leading * 0.3
            if line.number % 2:
                canvas.setFillGray(TINT)
                canvas.rect(x, top - (place + 1) * leading, 56 * step, leading, stroke=0, fill=1)
            canvas.setFillGray(DARK)
            canvas.setFont(fonts.MONO, size)
            canvas.drawString(x, base, line.printed)
            canvas.setStrokeGray(RULE)
            canvas.setLineWidth(0.6)
            canvas.rect(x + 58 * step, base - 0.5, 9, 9, stroke=1, fill=0)


@dataclass(frozen=True, slots=True)
class WordsAndCode:
    """The words of a share in numbered cells, and beside them its code, if it is one alone."""

    words: tuple[str, ...] = field(repr=False)
    code: Code | None
    keep_with_next: bool = False

    def height(self, width: float) -> float:
        """See Block."""
        rows = -(-len(self.words) // WORDS_IN_ROW)
        return max(rows * WORD_POINTS, self._side(width) + CAPTION_POINTS) + 8

    def _side(self, width: float) -> float:
        return code_side([self.code], width, width * (1 - WORDS_SHARE)) if self.code else 0.0

    def draw(self, canvas: Any, x: float, top: float, width: float) -> None:
        """See Block."""
        cell = width * WORDS_SHARE / WORDS_IN_ROW
        canvas.setStrokeGray(RULE)
        canvas.setLineWidth(0.6)
        for place, word in enumerate(self.words):
            left, below = x + place % WORDS_IN_ROW * cell, top - place // WORDS_IN_ROW * WORD_POINTS
            canvas.rect(left, below - WORD_POINTS, cell, WORD_POINTS, stroke=1, fill=0)
            canvas.setFillGray(SOFT)
            canvas.setFont(fonts.SANS, 7.5)
            canvas.drawRightString(left + 15, below - 14, str(place + 1))
            canvas.setFillGray(DARK)
            canvas.setFont(fonts.MONO_BOLD, 11)
            canvas.drawString(left + 20, below - 14.5, word)
        if self.code:
            draw_code(canvas, self.code, x + width - self._side(width), top, self._side(width))


@dataclass(frozen=True, slots=True)
class Verbatim:
    """A secret as it is typed, large, in a frame: rows cut after a dash, or figures in groups of eight."""

    text: str = field(repr=False)
    size: float = 13.5
    keep_with_next: bool = False

    def rows(self, width: float) -> list[list[str]]:
        """Groups by row; joined without blanks they are the secret."""
        room = int((width - 24) / fonts.width_points("0", fonts.MONO_BOLD, self.size)) - GROUPS_IN_ROW
        if "-" in self.text:
            groups = [f"{group}-" for group in self.text.split("-")]
            groups[-1] = groups[-1][:-1]
        else:
            groups = [self.text[at : at + GROUP_SYMBOLS] for at in range(0, len(self.text), GROUP_SYMBOLS)]
        if len(self.text) <= room or any(len(group) * GROUPS_IN_ROW > room for group in groups):
            return [[self.text[at : at + room]] for at in range(0, len(self.text), room)]
        return [groups[at : at + GROUPS_IN_ROW] for at in range(0, len(groups), GROUPS_IN_ROW)]

    def height(self, width: float) -> float:
        """See Block."""
        return len(self.rows(width)) * self.size * 1.5 + 16 + 6

    def draw(self, canvas: Any, x: float, top: float, width: float) -> None:
        """See Block."""
        box = self.height(width) - 6
        canvas.setStrokeGray(DARK)
        canvas.setLineWidth(1.2)
        canvas.rect(x, top - box, width, box, stroke=1, fill=0)
        canvas.setFillGray(DARK)
        canvas.setFont(fonts.MONO_BOLD, self.size)
        step = fonts.width_points("0", fonts.MONO_BOLD, self.size)
        for number, groups in enumerate(self.rows(width)):
            left = x + 12
            for group in groups:
                canvas.drawString(left, top - 8 - self.size * (1.5 * number + 1.15), group)
                left += (len(group) + (0 if group.endswith("-") else 1)) * step


def draw_fields(canvas: Any, x: float, base: float, width: float) -> None:
    """Blank fields for a pen, their lines ``base`` above the foot of the page."""
    cell = width / len(FIELDS)
    for place, label in enumerate(FIELDS):
        left = x + place * cell
        canvas.setStrokeGray(DARK)
        canvas.setLineWidth(0.7)
        canvas.line(left, base, left + cell - 14, base)
        canvas.setFillGray(SOFT)
        canvas.setFont(fonts.SANS, 8)
        canvas.drawString(left, base - 11, label)
