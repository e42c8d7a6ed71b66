from __future__ import annotations

import random

import pytest

from luksafe.paper import alphabet
from luksafe.paper.line import LINE_SYMBOLS, Line, find_number, propose, take

RANDOM = random.Random(7)
LINE = Line(12, RANDOM.randbytes(20))


def test_a_line_is_read_back() -> None:
    assert take(12, LINE.symbols) == LINE
    assert find_number(LINE.symbols) == 12


def test_printed_form() -> None:
    printed = LINE.printed
    assert printed.startswith("  12  ")
    assert [len(group) for group in printed.split()] == [2, *[4] * 8, 3, 3]
    assert alphabet.squeeze(printed) == "12" + LINE.symbols


@pytest.mark.parametrize("number", [0, 1, 31, 32, 1023])
def test_every_number_is_in_the_check(number: int) -> None:
    line = Line(number, LINE.data)
    assert find_number(line.symbols) == number
    assert take((number + 1) % 1024, line.symbols) is None


def test_nonsense_has_no_number() -> None:
    assert find_number("Q" * LINE_SYMBOLS) is None


def change(text: str, place: int) -> str:
    other = alphabet.SYMBOLS[(alphabet.SYMBOLS.index(text[place]) + 1 + place % 31) % 32]
    return text[:place] + (other if other != text[place] else "Q") + text[place + 1 :]


@pytest.mark.parametrize("place", range(LINE_SYMBOLS))
def test_one_wrong_character_is_proposed(place: int) -> None:
    wrong = change(LINE.symbols, place)
    assert take(12, wrong) is None
    assert propose(12, wrong) == (LINE,)


@pytest.mark.parametrize("place", range(LINE_SYMBOLS))
def test_a_character_that_is_no_symbol_is_proposed(place: int) -> None:
    assert propose(12, LINE.symbols[:place] + "*" + LINE.symbols[place + 1 :]) == (LINE,)


@pytest.mark.parametrize("place", range(LINE_SYMBOLS))
def test_one_missing_or_one_too_many_is_proposed(place: int) -> None:
    assert LINE in propose(12, LINE.symbols[:place] + LINE.symbols[place + 1 :])
    assert LINE in propose(12, LINE.symbols[:place] + "R" + LINE.symbols[place:])


@pytest.mark.parametrize("place", range(LINE_SYMBOLS - 1))
def test_exchanged_neighbours_are_proposed(place: int) -> None:
    text = LINE.symbols
    assert propose(12, text[:place] + text[place + 1] + text[place] + text[place + 2 :]) == (LINE,)


def test_two_wrong_characters_are_proposed() -> None:
    for _ in range(50):
        first, second = RANDOM.sample(range(LINE_SYMBOLS), 2)
        assert propose(12, change(change(LINE.symbols, first), second)) == (LINE,)


def test_nothing_is_proposed_for_rubbish() -> None:
    assert propose(12, "") == ()
    assert propose(12, LINE.symbols[:30]) == ()
    assert propose(12, "*" * LINE_SYMBOLS) == ()
    assert propose(12, "QWERTY" * 10) == ()


def test_the_data_is_not_in_the_repr() -> None:
    assert repr(LINE) == "Line(number=12)"
