"""Lines that fit a terminal of 80 columns, a serial console for instance; elsewhere they stay as they are."""

from __future__ import annotations

import re
import sys
import textwrap

import click

COLUMNS = 80
_MOST_INDENT = 16
_LABEL = re.compile(r"\s*(?:\S+ {2,})?")
_COMMAND = re.compile(
    r"(?:(?<=: )|(?<=  )|(?<=[('])|^)(?:luksafe|cryptsetup|systemd-cryptenroll|losetup|dmsetup|age|openssl)"
    r" (?:(?<=[ =])'[^']*'|(?!  |[;,] |[)']).)+"
)
_GLUE = "\0"


def echo(text: str = "", *, err: bool = False) -> None:
    """Print a text, on a terminal in lines that fit it."""
    if (sys.stderr if err else sys.stdout).isatty():
        text = "\n".join(part for line in text.split("\n") for part in fit(line))
    click.echo(text, err=err)


def fit(line: str) -> list[str]:
    """The line in pieces that break no word and no command: a command is copied whole. What follows is indented."""
    plain = click.unstyle(line)
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
