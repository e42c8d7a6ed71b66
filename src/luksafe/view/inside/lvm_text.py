"""The text format of LVM2 metadata: ``name { key = value … }``, numbers, strings and lists (lvm2 ``vgcfgbackup``)."""

from __future__ import annotations

import re

from luksafe.errors import DamagedInput
from luksafe.wall import walled

Value = int | float | str | list["Value"]
Section = dict[str, "Value | Section"]

MAX_TEXT_BYTES = 2 << 20  # more than any real one; the tokens of it take some 80 MiB
MAX_DEPTH = 16
MAX_NUMBER_CHARACTERS = 20  # of 64 bits
_TOKEN = re.compile(
    r"""\s+ | \#[^\n]*
      | (?P<string> "(?:[^"\\]|\\.)*" )
      | (?P<number> -?[0-9]+(?:\.[0-9]+)? (?![\w.+-]) )
      | (?P<word> [\w.+/-]+ )
      | (?P<sign> [{}\[\]=,] )""",
    re.VERBOSE,
)


@walled("LVM text")
def parse_lvm_text(text: str) -> Section:
    """The metadata as nested dictionaries. Raises ``DamagedInput`` for anything else."""
    return _Parser(_tokens(text)).section(0)


def _tokens(text: str) -> list[tuple[str, str]]:
    """Kind and text of each token, the first one last."""
    found = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _damaged()
        at = match.end()
        if match.lastgroup:
            found.append((match.lastgroup, match[match.lastgroup]))
    return found[::-1]


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens

    def _take(self, *kinds: str) -> tuple[str, str]:
        if not self._tokens or self._tokens[-1][0] not in kinds:
            raise _damaged()
        return self._tokens.pop()

    def _skip(self, sign: str) -> bool:
        if self._tokens and self._tokens[-1] == ("sign", sign):
            self._tokens.pop()
            return True
        return False

    def section(self, depth: int) -> Section:
        """Everything up to the closing brace, or at depth 0 to the end."""
        if depth > MAX_DEPTH:
            raise _damaged()
        found: Section = {}
        while self._tokens or depth:
            if depth and self._skip("}"):
                break
            kind, name = self._take("word", "number", "string")
            name = name.strip('"') if kind == "string" else name
            if self._skip("{"):
                found[name] = self.section(depth + 1)
            elif self._skip("="):
                found[name] = self._value()
            else:
                raise _damaged()
        return found

    def _value(self) -> Value:
        if not self._skip("["):
            return self._scalar()
        values: list[Value] = []
        while not self._skip("]"):
            values.append(self._scalar())
            self._skip(",")
        return values

    def _scalar(self) -> Value:
        kind, text = self._take("string", "number", "word")
        if kind == "string":
            return re.sub(r"\\(.)", r"\1", text[1:-1])
        if kind == "number":
            if len(text) > MAX_NUMBER_CHARACTERS:
                raise _damaged()
            return float(text) if "." in text else int(text)
        return text


def _damaged() -> DamagedInput:
    return DamagedInput("the LVM metadata cannot be read", hint="open the volume with cryptsetup and run vgck")
