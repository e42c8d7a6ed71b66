"""The QR codes of a sheet: how many, how strong, and the text in each (section 4)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from luksafe.errors import DamagedInput, Unsupported
from luksafe.paper import alphabet
from luksafe.paper.line import DATA_SYMBOLS
from luksafe.paper.optional import load
from luksafe.paper.parts import Part, part_lines
from luksafe.paper.sheet import LINE_BYTES, MAX_LINE, Head
from luksafe.paper.text import lines_of
from luksafe.secret import SecretBytes
from luksafe.wall import walled

CODES_PER_PAGE = 6
MAX_VERSION = 23
MAX_CODE_CHARACTERS = 4296
_OVERHEAD = len("LUKSAFE1/3F9AC1D2/1023/1023///") + DATA_SYMBOLS + alphabet.CHECK_SYMBOLS

# Alphanumeric characters that a version 23 code holds (ISO/IEC 18004 table 7), strongest level first.
_CAPACITY = {"H": 672, "Q": 890, "M": 1248}

_OURS = re.compile(r"LUKSAFE([0-9]{1,4})/")
_CODE = re.compile(
    r"LUKSAFE1/(?P<id>[0-9A-F]{8})/(?P<index>[0-9]{1,4})/(?P<count>[0-9]{1,4})"
    rf"/(?P<head>[{alphabet.SYMBOLS}]{{{DATA_SYMBOLS}}})/(?P<data>(?:[{alphabet.SYMBOLS}]{{{DATA_SYMBOLS}}})+)"
    rf"/(?P<check>[{alphabet.SYMBOLS}]{{{alphabet.CHECK_SYMBOLS}}})"
)


@dataclass(frozen=True, slots=True)
class Code:
    """One QR code to print: its part, its text, and its modules, row by row, true for dark (no quiet zone)."""

    part: Part
    text: str = field(repr=False)
    level: str
    modules: tuple[tuple[bool, ...], ...] = field(repr=False)


def codes_of(head: Head, payload: SecretBytes) -> list[Code]:
    """The codes of a sheet: the strongest error correction with which they fit on one page, else M on several."""
    level, count = _cut(head.line_count)
    lines = lines_of(head, payload)
    codes = []
    for index in range(1, count + 1):
        numbers = part_lines(head.line_count, index, count)
        part = Part(head, index, count, b"".join(lines[number].data for number in numbers))
        text = write_part(part)
        codes.append(Code(part, text, *_draw(text, level)))
    return codes


def write_part(part: Part) -> str:
    """The text of a code."""
    head, data = alphabet.encode(part.head.line), alphabet.encode(part.data)
    numbers = alphabet.pair(part.index) + alphabet.pair(part.count)
    check = alphabet.check(numbers + alphabet.values(head + data))
    return f"LUKSAFE1/{part.head.sheet_id.replace('-', '')}/{part.index}/{part.count}/{head}/{data}/{check}"


@walled("a code of a sheet")
def read_part(text: str) -> Part | None:
    """The part in the text of a code, or None if it is no code of ours.

    Raises DamagedInput if it is one but not whole, Unsupported if it is of a later format.
    """
    plain = "".join(text[: 2 * MAX_CODE_CHARACTERS].split()).upper()
    ours = _OURS.match(plain)
    if ours is None:
        return None
    if ours[1] != "1":
        raise Unsupported(f"a code of sheet format {ours[1]}", hint="read it with a newer luksafe")
    match = _CODE.fullmatch(plain) if len(plain) <= MAX_CODE_CHARACTERS else None
    if match is None:
        raise DamagedInput("a code of a luksafe sheet is cut off or altered", hint="scan it again")
    return _checked(match)


def _checked(match: re.Match[str]) -> Part:
    index, count = int(match["index"]), int(match["count"])
    if not 1 <= index <= count <= MAX_LINE:
        raise DamagedInput(f"a code calls itself {index} of {count}", hint="scan it again")
    numbers = alphabet.pair(index) + alphabet.pair(count)
    if alphabet.syndrome(numbers + alphabet.values(match["head"] + match["data"] + match["check"])):
        raise DamagedInput(f"the check of code {index} of {count} does not fit", hint="scan it again")
    head = Head.parse(alphabet.decode(match["head"]))
    data = alphabet.decode(match["data"])
    lines = len(part_lines(head.line_count, index, count))
    if head.sheet_id.replace("-", "") != match["id"] or len(data) != lines * LINE_BYTES:
        raise DamagedInput(f"code {index} of {count} contradicts itself", hint="it was not printed by luksafe as it is")
    return Part(head, index, count, data)


def _cut(line_count: int) -> tuple[str, int]:
    """Level and number of codes."""
    lines = {level: (capacity - _OVERHEAD) // DATA_SYMBOLS for level, capacity in _CAPACITY.items()}
    level = next((level for level, most in lines.items() if line_count <= most * CODES_PER_PAGE), "M")
    each = -(-line_count // -(-line_count // lines[level]))  # as even as can be
    return level, -(-line_count // each)


def _draw(text: str, level: str) -> tuple[str, tuple[tuple[bool, ...], ...]]:
    segno: Any = load("segno")
    code = segno.make_qr(text, error=level, mode="alphanumeric", boost_error=True)
    assert code.version <= MAX_VERSION
    return code.error, tuple(tuple(bool(module) for module in row) for row in code.matrix)
