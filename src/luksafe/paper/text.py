"""Typed text: print the lines of a payload, read back what a person typed (section 3)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from luksafe.errors import UsageError
from luksafe.paper import alphabet
from luksafe.paper.line import LINE_SYMBOLS, Line, find_number, propose, take
from luksafe.paper.sheet import LINE_BYTES, MAX_LINE, Head
from luksafe.secret import SecretBytes
from luksafe.wall import walled

MAX_TEXT_CHARACTERS = 1 << 20
MAX_ROWS = 2 * (MAX_LINE + 1)
MAX_ROW_CHARACTERS = 200
MAX_NUMBER_DIGITS = 4

_DIGITS = str.maketrans("OILB", "0118")
_FRONT = re.compile(r"\s*(\S{1,4}?)[\s.:;,|/_-]+(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class WrongRow:
    """A typed row that is not right: which row (from 1), which line it seems to be, why, and what it may have been."""

    row: int
    number: int
    why: str
    proposals: tuple[Line, ...] = ()
    typed: str = field(default="", repr=False)


@dataclass(slots=True)
class TypedText:
    """The right lines by number, and every wrong row in the order of typing."""

    lines: dict[int, bytes] = field(default_factory=dict, repr=False)
    wrong: list[WrongRow] = field(default_factory=list)

    def accept(self, proposal: Line) -> None:
        """Take a proposal that the user has compared with the paper."""
        self.lines[proposal.number] = proposal.data


def lines_of(head: Head, payload: SecretBytes) -> list[Line]:
    """All lines of a payload, line 0 first."""
    lines = [Line(0, head.line)]
    for number in range(1, head.line_count + 1):
        data = bytes(payload.view[LINE_BYTES * (number - 1) : LINE_BYTES * number])
        lines.append(Line(number, data.ljust(LINE_BYTES, b"\0")))
    return lines


@walled("a typed sheet")
def read_text(text: str) -> TypedText:
    """Read typed rows in any order, with or without numbers; raises UsageError for more than a sheet can hold."""
    rows = text.splitlines()
    if len(text) > MAX_TEXT_CHARACTERS or len(rows) > MAX_ROWS:
        raise UsageError(
            f"{len(text)} characters in {len(rows)} rows are more than any sheet holds",
            hint="give the typed lines of one sheet only",
        )
    typed = [(row, text) for row, text in enumerate(rows, 1) if text.strip() and not text.lstrip().startswith("#")]
    right = [_right_line(text) for _, text in typed]
    result = TypedText()
    for place, (row, text) in enumerate(typed):
        line = right[place]
        _note(result, line or read_row(text, *_expected(right, place), row=row), row, text)
    return result


@walled("a typed line")
def read_row(typed: str, expected: int, *others: int, row: int = 1) -> Line | WrongRow:
    """Read one row; ``expected``, or else one of ``others``, is the line it may be if it does not say. Never raises."""
    if len(typed) > MAX_ROW_CHARACTERS:
        return WrongRow(row, expected, f"the row has {len(typed)} characters; a line of a sheet is much shorter")
    line = _right_line(typed)
    if line is not None:
        return line
    squeezed = alphabet.squeeze(typed)
    front, symbols = squeezed[:-LINE_SYMBOLS], alphabet.read_look_alikes(squeezed[-LINE_SYMBOLS:])
    found = _line_by_check(symbols)
    if found is not None:
        why = f"typed under number {front}, but by its check it is line {found.number}"
        return WrongRow(row, found.number, why, (found,), typed)
    readings = _readings(typed, (expected, *others))
    found_at = ((number, text, propose(number, text)) for number, text in readings)
    number, symbols, proposals = next((each for each in found_at if each[2]), (*readings[0], ()))
    return WrongRow(row, number, _why(symbols), proposals, typed)


def _readings(typed: str, expected: tuple[int, ...]) -> list[tuple[int, str]]:
    """A wrong row as (number, symbols), likeliest first: with the number in front of it, and without one."""
    whole = alphabet.read_look_alikes(alphabet.squeeze(typed))
    readings = [(number, whole) for number in expected]
    match = _FRONT.match(typed)
    said = _number(match[1].upper()) if match else None
    if match is None or said is None:
        return readings
    rest = alphabet.read_look_alikes(alphabet.squeeze(match[2]))
    with_number = [(number, rest) for number in dict.fromkeys((said, *expected))]
    likely = said in expected or abs(len(rest) - LINE_SYMBOLS) <= abs(len(whole) - LINE_SYMBOLS)
    return with_number + readings if likely else readings + with_number


def _expected(right: list[Line | None], place: int) -> list[int]:
    """Which lines a wrong row may be, by its neighbours: the one after the last right row, the one before the next."""
    before = next((at for at in range(place - 1, -1, -1) if right[at]), None)
    after = next((at for at in range(place + 1, len(right)) if right[at]), None)
    numbers = []
    if before is not None and (line := right[before]):
        numbers.append(line.number + place - before)
    if after is not None and (line := right[after]):
        numbers.append(line.number + place - after)
    numbers = [number for number in numbers if 0 <= number <= MAX_LINE]
    return list(dict.fromkeys(numbers)) or [min(place, MAX_LINE)]


def _right_line(typed: str) -> Line | None:
    """The line in a row that is right: symbols and check fit, and the number in front, if there is one."""
    if len(typed) > MAX_ROW_CHARACTERS:
        return None
    squeezed = alphabet.squeeze(typed)
    front, symbols = squeezed[:-LINE_SYMBOLS], alphabet.read_look_alikes(squeezed[-LINE_SYMBOLS:])
    found = _line_by_check(symbols)
    return found if found is not None and (not front or _number(front) == found.number) else None


def _line_by_check(symbols: str) -> Line | None:
    """The line that these symbols are, by the number that their check agrees with."""
    if len(symbols) != LINE_SYMBOLS or alphabet.strange(symbols):
        return None
    number = find_number(symbols)
    return None if number is None else take(number, symbols)


def _number(front: str) -> int | None:
    """A line number as typed in front of a row, look-alikes read as digits."""
    digits = front.translate(_DIGITS)
    in_range = digits.isascii() and digits.isdigit() and len(digits) <= MAX_NUMBER_DIGITS and int(digits) <= MAX_LINE
    return int(digits) if in_range else None


def _why(symbols: str) -> str:
    if len(symbols) != LINE_SYMBOLS:
        much = "too many" if len(symbols) > LINE_SYMBOLS else "missing"
        count = abs(len(symbols) - LINE_SYMBOLS)
        return f"{count} character{'s are' if count > 1 else ' is'} {much} ({len(symbols)} instead of {LINE_SYMBOLS})"
    strange = alphabet.strange(symbols)
    if strange:
        return f"{symbols[strange[0]]!r} in group {strange[0] // 4 + 1} is not used on sheets"
    return "the check at the end does not fit: a character is wrong"


def _note(result: TypedText, read: Line | WrongRow, row: int, typed: str) -> None:
    if isinstance(read, WrongRow):
        result.wrong.append(read)
    elif result.lines.setdefault(read.number, read.data) != read.data:
        why = "typed before with other content, and both are right: lines of two sheets are mixed"
        result.wrong.append(WrongRow(row, read.number, why, (), typed))
