"""The fonts of a sheet, embedded in the PDF: DejaVu, cut down to the scripts listed in ``fonts/README.md``."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

from luksafe.paper.optional import load
from luksafe.visible import visible

SANS = "SheetSans"
BOLD = "SheetSans-Bold"
MONO = "SheetMono"
MONO_BOLD = "SheetMono-Bold"

_FILES = {
    SANS: "DejaVuSans.ttf",
    BOLD: "DejaVuSans-Bold.ttf",
    MONO: "DejaVuSansMono.ttf",
    MONO_BOLD: "DejaVuSansMono-Bold.ttf",
}


@cache
def _font(name: str) -> Any:
    metrics: Any = load("reportlab.pdfbase.pdfmetrics")
    ttfonts: Any = load("reportlab.pdfbase.ttfonts")
    folder = resources.files("luksafe.paper") / "fonts"
    with resources.as_file(folder / _FILES[name]) as path:
        font = ttfonts.TTFont(name, str(path))
    metrics.registerFont(font)
    return font


def register() -> None:
    """Make the fonts known to the PDF library."""
    for name in _FILES:
        _font(name)


def printable(text: str, font: str) -> str:
    """``text`` on one line; what the font does not have, or nobody would see, is spelled out as ``<U+6F22>``."""
    glyphs = _font(font).face.charToGlyph
    line = " ".join(text.split())
    seen = {character for character in set(line) if ord(character) in glyphs and visible(character) == character}
    return "".join(character if character in seen else f"<U+{ord(character):04X}>" for character in line)


def width_points(text: str, font: str, size: float) -> float:
    """How wide ``text`` is."""
    return float(_font(font).stringWidth(text, size))


def wrap(text: str, font: str, size: float, room_points: float) -> list[str]:
    """``text`` in lines that fit; words that are too long are cut."""
    lines = [""]
    for word in printable(text, font).split():
        while width_points(word, font, size) > room_points:
            fit = max(_fitting(word, font, size, room_points), 1)
            lines.append(word[:fit])
            word = word[fit:]
        longer = f"{lines[-1]} {word}".strip()
        if width_points(longer, font, size) <= room_points:
            lines[-1] = longer
        else:
            lines.append(word)
    return [line for line in lines if line] or [""]


def _fitting(word: str, font: str, size: float, room_points: float) -> int:
    """How many characters of a word fit."""
    fit = 0
    while fit < len(word) and width_points(word[: fit + 1], font, size) <= room_points:
        fit += 1
    return fit
