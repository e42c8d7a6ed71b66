"""Whatever is mistyped is noticed, and named by its line; parsers take anything."""

from __future__ import annotations

import contextlib

import sheet_examples as examples
from hypothesis import given, settings
from hypothesis import strategies as st

from luksafe.errors import LuksafeError
from luksafe.paper import alphabet
from luksafe.paper.line import LINE_SYMBOLS, Line
from luksafe.paper.parts import SheetParts
from luksafe.paper.qr import codes_of, read_part
from luksafe.paper.sheet import LINE_BYTES, MAX_LINE, MAX_PAYLOAD_BYTES, Head, SheetKind
from luksafe.paper.text import WrongRow, lines_of, read_row, read_text
from luksafe.secret import SecretBytes

CONTENT = examples.packet(2048)
LINES = lines_of(CONTENT.head, CONTENT.payload)
ROWS = [line.printed for line in LINES]
TYPED = st.sampled_from(alphabet.SYMBOLS + alphabet.SYMBOLS.lower() + "!*?+OIBäß漢")
NUMBERS = st.integers(0, MAX_LINE)
LINE = st.builds(Line, NUMBERS, st.binary(min_size=LINE_BYTES, max_size=LINE_BYTES))


def means(character: str) -> str:
    """What a typed character stands for; two that mean the same are no error."""
    return alphabet.read_look_alikes(alphabet.squeeze(character))


@st.composite
def mistakes(draw: st.DrawFn) -> tuple[dict[int, str], set[int]]:
    """Three typing errors in the 2 KB sheet, in three lines: another character, one missing, more, exchanged."""
    numbers = draw(st.lists(st.integers(0, len(ROWS) - 1), min_size=3, max_size=3, unique=True))
    rows = {}
    for number in numbers:
        row = ROWS[number]
        places = [place for place in range(6, len(row)) if row[place] != " "]
        kind = draw(st.sampled_from(["other", "missing", "more", "exchanged"]))
        place = draw(st.sampled_from(places[:-1]))
        following = places[places.index(place) + 1]
        if kind == "other":
            new = draw(TYPED.filter(lambda c, old=row[place]: means(c) != means(old)))
            rows[number] = row[:place] + new + row[place + 1 :]
        elif kind == "missing":
            rows[number] = row[:place] + row[place + 1 :]
        elif kind == "more":
            rows[number] = row[:place] + draw(TYPED) + row[place:]
        elif row[place] != row[following]:
            between = row[place + 1 : following]
            rows[number] = row[:place] + row[following] + between + row[place] + row[following + 1 :]
    return rows, set(rows)


@settings(max_examples=150, deadline=None)
@given(mistakes())
def test_three_errors_in_a_typed_sheet_of_2_kib_are_named_by_line(case: tuple[dict[int, str], set[int]]) -> None:
    changed, numbers = case
    typed = read_text("\n".join(changed.get(number, row) for number, row in enumerate(ROWS)))
    assert {wrong.number for wrong in typed.wrong} == numbers
    assert {wrong.row - 1 for wrong in typed.wrong} == numbers
    assert set(typed.lines) == set(range(len(ROWS))) - numbers
    for wrong in typed.wrong:
        assert LINES[wrong.number] in wrong.proposals
        typed.accept(LINES[wrong.number])
    parts = SheetParts()
    parts.add_lines(typed.lines)
    assert parts.payload().payload == CONTENT.payload


@settings(max_examples=300, deadline=None)
@given(LINE, st.integers(0, LINE_SYMBOLS - 1), TYPED)
def test_any_other_character_in_a_line_is_noticed_and_put_right(line: Line, place: int, new: str) -> None:
    symbols = line.symbols
    if means(new) == symbols[place]:
        return
    read = read_row(f"{line.number} {symbols[:place]}{new}{symbols[place + 1 :]}", 0)
    assert isinstance(read, WrongRow)
    assert read.number == line.number
    assert read.proposals == (line,)


def test_every_other_symbol_at_every_place_of_a_line() -> None:
    """All bits of a typed line: five to a symbol."""
    line = LINES[3]
    for place, symbol in enumerate(line.symbols):
        for new in set(alphabet.SYMBOLS) - {symbol}:
            read = read_row(f"{line.number} {line.symbols[:place]}{new}{line.symbols[place + 1 :]}", 0)
            assert isinstance(read, WrongRow)
            assert read.number == line.number


@settings(max_examples=200, deadline=None)
@given(LINE, st.lists(st.integers(0, LINE_SYMBOLS - 1), min_size=1, max_size=4, unique=True), st.data())
def test_up_to_four_wrong_characters_never_pass(line: Line, places: list[int], data: st.DataObject) -> None:
    symbols = list(line.symbols)
    for place in places:
        symbols[place] = data.draw(st.sampled_from([s for s in alphabet.SYMBOLS if s != symbols[place]]))
    assert isinstance(read_row(f"{line.number} {''.join(symbols)}", 0), WrongRow)


@settings(max_examples=100, deadline=None)
@given(LINE, NUMBERS)
def test_a_line_under_another_number_never_passes(line: Line, number: int) -> None:
    read = read_row(f"{number} {line.symbols}", number)
    if number == line.number:
        assert read == line
    else:
        assert isinstance(read, WrongRow)
        assert read.proposals == (line,)


@settings(max_examples=100, deadline=None)
@given(st.binary(min_size=1, max_size=3000), st.sampled_from(SheetKind), st.randoms(use_true_random=False))
def test_codes_and_lines_give_the_payload_back(payload: bytes, kind: SheetKind, source: object) -> None:
    secret = SecretBytes(payload)
    head = Head.of(kind, secret)
    lines = lines_of(head, secret)
    typed = read_text("\n".join(line.printed for line in lines))
    assert not typed.wrong
    parts = SheetParts(head.sheet_id)
    parts.add_lines(typed.lines)
    assert parts.payload().payload == secret
    assert parts.payload().kind is kind


@settings(max_examples=6, deadline=None)
@given(st.integers(1, MAX_PAYLOAD_BYTES), st.randoms(use_true_random=False))
def test_any_size_goes_into_codes(size: int, source: object) -> None:
    payload = examples.payload(size)
    head = Head.of(SheetKind.PACKET, payload)
    parts = SheetParts()
    for code in codes_of(head, payload):
        part = read_part(code.text)
        assert part == code.part
        parts.add_part(code.part)
    assert parts.payload().payload == payload


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=400))
def test_typed_text_may_be_anything(text: str) -> None:
    typed = read_text(text)
    assert all(wrong.why and 0 <= wrong.number <= MAX_LINE for wrong in typed.wrong)
    parts = SheetParts()
    with contextlib.suppress(LuksafeError):
        parts.add_lines(typed.lines)
        parts.payload()


ROW_LIKE = st.text(alphabet="QPZRY9X8 0123.:-lIO*\t", max_size=70)


@settings(max_examples=300, deadline=None)
@given(st.lists(ROW_LIKE, max_size=6))
def test_rows_that_look_like_lines_may_be_anything(rows: list[str]) -> None:
    read_text("\n".join(rows))


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=300), st.text(alphabet="LUKSAFE1/0QPZ9", max_size=300).map("LUKSAFE1/".__add__)))
def test_the_text_of_a_code_may_be_anything(text: str) -> None:
    with contextlib.suppress(LuksafeError):
        read_part(text)


CODE = codes_of(CONTENT.head, CONTENT.payload)[2].text


@settings(max_examples=300, deadline=None)
@given(st.integers(9, len(CODE) - 1), TYPED)
def test_any_other_character_in_a_code_is_noticed(place: int, new: str) -> None:
    if new.upper() == CODE[place]:
        return
    with contextlib.suppress(LuksafeError):
        read_part(CODE[:place] + new + CODE[place + 1 :])
        raise AssertionError("not noticed")


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(NUMBERS, st.binary(max_size=25), max_size=8))
def test_any_lines_may_be_put_together(lines: dict[int, bytes]) -> None:
    parts = SheetParts()
    with contextlib.suppress(LuksafeError):
        parts.add_lines(lines)
        parts.payload()
