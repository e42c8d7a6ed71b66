"""The one way to a terminal: what is not ours is made visible, and lines fit 80 columns, as a serial console has them.

``main`` puts ``Screened`` round stdout and stderr: nothing but its own colours and line breaks passes unspelled,
whoever prints. ``echo`` is stricter, for it knows what one line is.
"""

from __future__ import annotations

import re
import secrets
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import click

from luksafe.visible import visible, visible_lines

COLUMNS = 80
_MOST_INDENT = 16
_LABEL = re.compile(r"\s*(?:\S+ {2,})?")
_COMMAND = re.compile(
    r"(?:(?<=: )|(?<=  )|(?<=[('])|^)(?:luksafe|cryptsetup|systemd-cryptenroll|losetup|dmsetup|age|openssl)"
    r" (?:(?<=[ =])'[^']*'|(?!  |[;,] |[)']).)+"
)
_GLUE = "\0"
_MARK = f"\x1b{secrets.token_hex(4)}"
"""Before every sequence that is meant for the terminal. What comes from outside cannot guess it."""
_OURS = re.compile(f"{_MARK}([0-9;]*[mK])")
REDRAW = f"{_MARK}K"
"""Goes to the start of the line and clears it."""


def style(text: str, **how: Any) -> str:
    """``click.style``, in a form that ``echo`` and the screened streams know as ours."""
    return "".join(
        f"{_MARK}{part[2:]}" if part.startswith("\x1b[") and number % 2 else part
        for number, part in enumerate(re.split(r"(\x1b\[[0-9;]*m)", click.style("\0", **how)))
    ).replace("\0", text)


def unstyle(text: str) -> str:
    """Without our colours."""
    return _OURS.sub("", text)


def shown(text: str) -> str:
    """One line, or a cell of it, as it may be printed: our colours stay, all else is made visible."""
    return _around_marks(text, visible)


def echo(text: str = "", *, err: bool = False) -> None:
    """Print one line, on a terminal in pieces that fit it."""
    text = shown(text)
    if (sys.stderr if err else sys.stdout).isatty():
        text = "\n".join(fit(text))
    click.echo(text, err=err)


def fit(line: str) -> list[str]:
    """The line in pieces that break no word and no command: a command is copied whole. What follows is indented."""
    plain = unstyle(line)
    if len(plain) <= COLUMNS:
        return [line]
    (label,) = _LABEL.findall(plain)[:1]
    start = len(line) - len(line.lstrip())
    hanging = len(label) if start < len(label) <= _MOST_INDENT else start + 2
    glued = _COMMAND.sub(lambda command: command[0].replace(" ", _GLUE), line.lstrip())
    parts = textwrap.wrap(
        glued,
        COLUMNS - 1,
        initial_indent=" " * start,
        subsequent_indent=" " * hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [part.replace(_GLUE, " ") for part in parts]


def _around_marks(text: str, spelled: Any) -> str:
    """``text`` with ``spelled`` done to all that is not a sequence of ours."""
    if "\x1b" not in text:
        return str(spelled(text))
    parts = _OURS.split(text)
    return "".join(f"{_MARK}{part}" if number % 2 else spelled(part) for number, part in enumerate(parts))


class Screened:
    """A text stream that lets through lines and our colours only; bytes that are written to ``buffer`` stay exact."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the text, made visible."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._stream.write(_OURS.sub(_as_sequence, _around_marks(text, visible_lines)))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write each."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._stream)


def _as_sequence(found: re.Match[str]) -> str:
    return "\r\x1b[K" if found[1] == "K" else f"\x1b[{found[1]}"


@contextmanager
def screened_streams() -> Iterator[None]:
    """stdout and stderr are screened while it is entered."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (s if isinstance(s, Screened) else Screened(s) for s in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
