"""One typed line: 20 bytes as 32 symbols and 6 of check, and what to propose when it is wrong (section 3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

from luksafe.paper import alphabet
from luksafe.paper.sheet import LINE_BYTES, MAX_LINE

DATA_SYMBOLS = LINE_BYTES * 8 // 5
LINE_SYMBOLS = DATA_SYMBOLS + alphabet.CHECK_SYMBOLS


@dataclass(frozen=True, slots=True)
class Line:
    """A right line: its number and its 20 bytes."""

    number: int
    data: bytes = field(repr=False)

    @property
    def symbols(self) -> str:
        """The 38 symbols without blanks."""
        text = alphabet.encode(self.data)
        return text + alphabet.check([*alphabet.pair(self.number), *alphabet.values(text)])

    @property
    def printed(self) -> str:
        """As it stands on the sheet, number included."""
        text = self.symbols
        groups = [text[at : at + 4] for at in range(0, DATA_SYMBOLS, 4)]
        return f"{self.number:4}  {' '.join(groups[:4])}  {' '.join(groups[4:])}  {text[32:35]} {text[35:]}"


def take(number: int, symbols: str) -> Line | None:
    """The line if these 38 symbols are right under this number."""
    if alphabet.syndrome([*alphabet.pair(number), *alphabet.values(symbols)]):
        return None
    return Line(number, alphabet.decode(symbols[:DATA_SYMBOLS]))


def find_number(symbols: str) -> int | None:
    """The number under which these 38 symbols are right, if there is one."""
    return _number_by_syndrome().get(alphabet.syndrome([0, 0, *alphabet.values(symbols)]))


def propose(number: int, typed: str) -> tuple[Line, ...]:
    """Right lines near ``typed`` (look-alikes read, 36 to 40 characters): the nearest kind of error that explains it.

    Tried: one wrong or two exchanged characters, one too many, one missing, two wrong ones.
    """
    marked = alphabet.strange(typed)
    symbols = "".join(alphabet.SYMBOLS[0] if place in marked else sign for place, sign in enumerate(typed))
    if len(symbols) == LINE_SYMBOLS:
        found = {symbols} if take(number, symbols) else set()
        found = found or _one_wrong(number, symbols) or _exchanged(number, symbols) or _two_wrong(number, symbols)
    elif len(symbols) == LINE_SYMBOLS + 1:
        found = {symbols[:place] + symbols[place + 1 :] for place in range(len(symbols))}
    elif len(symbols) == LINE_SYMBOLS - 1:
        found = _one_missing(number, symbols)
    else:
        found = set()
    lines = {line.symbols: line for text in found if (line := take(number, text)) is not None}
    return tuple(lines[text] for text in sorted(lines))


def _one_wrong(number: int, symbols: str) -> set[str]:
    word = [*alphabet.pair(number), *alphabet.values(symbols)]
    place, change = _error_by_syndrome().get(alphabet.syndrome(word), (0, 0))
    return {_changed(symbols, {place: change})} if change else set()


def _exchanged(number: int, symbols: str) -> set[str]:
    pairs = range(LINE_SYMBOLS - 1)
    swapped = {symbols[:at] + symbols[at + 1] + symbols[at] + symbols[at + 2 :] for at in pairs}
    return {text for text in swapped if take(number, text)}


def _two_wrong(number: int, symbols: str) -> set[str]:
    syndrome = alphabet.syndrome([*alphabet.pair(number), *alphabet.values(symbols)])
    errors = _error_by_syndrome()
    found = set()
    for first, (place, change) in errors.items():
        other = errors.get(syndrome ^ first)
        if other is not None and other[0] > place:
            found.add(_changed(symbols, {place: change, other[0]: other[1]}))
    return found


def _one_missing(number: int, symbols: str) -> set[str]:
    found = set()
    for place in range(LINE_SYMBOLS):
        text = symbols[:place] + alphabet.SYMBOLS[0] + symbols[place:]
        syndrome = alphabet.syndrome([*alphabet.pair(number), *alphabet.values(text)])
        where, change = _error_by_syndrome().get(syndrome, (place, 0))
        if where == place and (change or not syndrome):
            found.add(_changed(text, {place: change}))
    return found


def _changed(symbols: str, changes: dict[int, int]) -> str:
    new = list(symbols)
    for place, change in changes.items():
        new[place] = alphabet.SYMBOLS[alphabet.values(new[place])[0] ^ change]
    return "".join(new)


@cache
def _error_by_syndrome() -> dict[int, tuple[int, int]]:
    """What one wrong symbol does to the check: (place in the 38 symbols, change of its value)."""
    table = {}
    for place in range(LINE_SYMBOLS):
        for change in range(1, 32):
            table[alphabet.remainder([change] + [0] * (LINE_SYMBOLS - 1 - place), start=0)] = (place, change)
    return table


@cache
def _number_by_syndrome() -> dict[int, int]:
    """What the number does to the check."""
    blank = [0] * LINE_SYMBOLS
    return {alphabet.remainder([*alphabet.pair(number), *blank], start=0): number for number in range(MAX_LINE + 1)}
