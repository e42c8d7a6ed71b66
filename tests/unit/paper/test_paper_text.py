from __future__ import annotations

import pytest
import sheet_examples as examples

from luksafe.errors import UsageError
from luksafe.paper.line import Line
from luksafe.paper.parts import SheetParts
from luksafe.paper.sheet import Head, SheetKind
from luksafe.paper.text import MAX_TEXT_CHARACTERS, WrongRow, lines_of, read_row, read_text

CONTENT = examples.packet()
LINES = lines_of(CONTENT.head, CONTENT.payload)
ROWS = [line.printed for line in LINES]


def gather(text: str) -> bytes:
    typed = read_text(text)
    assert not typed.wrong
    parts = SheetParts()
    parts.add_lines(typed.lines)
    return parts.payload().payload.reveal()


@pytest.mark.parametrize(
    "spell",
    [
        str,
        str.lower,
        lambda row: row.replace("0", "O").replace("8", "B").replace("L", "l"),
        lambda row: row[:6] + row[6:].replace("L", "1"),
        lambda row: row[6:],
        lambda row: row[6:].replace(" ", ""),
        lambda row: row.strip().replace(" ", ""),
        lambda row: row[:4].strip() + ": " + row[6:].replace(" ", "-"),
        lambda row: "\t" + row + "  ",
        lambda row: row + "\n\n# a remark",
    ],
)
def test_typed_in_any_manner(spell: object) -> None:
    assert gather("\n".join(spell(row) for row in ROWS)) == CONTENT.payload.reveal()  # type: ignore[operator]


def test_in_any_order_and_twice() -> None:
    assert gather("\n".join([*reversed(ROWS), *ROWS[:10]])) == CONTENT.payload.reveal()


def test_line_ends_of_other_systems() -> None:
    assert gather("\r\n".join(ROWS)) == CONTENT.payload.reveal()


def problems(rows: list[str]) -> list[tuple[int, int, str]]:
    return [(wrong.row, wrong.number, wrong.why) for wrong in read_text("\n".join(rows)).wrong]


def with_row(number: int, row: str) -> list[str]:
    return [*ROWS[:number], row, *ROWS[number + 1 :]]


def test_swapped_lines_are_named() -> None:
    rows = ROWS.copy()
    rows[20], rows[21] = rows[20][:6] + rows[21][6:], rows[21][:6] + rows[20][6:]
    assert problems(rows) == [
        (21, 21, "typed under number 20, but by its check it is line 21"),
        (22, 20, "typed under number 21, but by its check it is line 20"),
    ]


def test_a_wrong_number_is_named_and_put_right() -> None:
    (wrong,) = read_text("\n".join(with_row(33, "  X3" + ROWS[33][4:]))).wrong
    assert (wrong.number, wrong.proposals) == (33, (LINES[33],))


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("   7  hello", "33 characters are missing (5 instead of 38)"),
        (ROWS[7][:-1], "1 character is missing (37 instead of 38)"),
        (ROWS[7] + "Q", "1 character is too many (39 instead of 38)"),
        (ROWS[7] + "QQ", "2 characters are too many (40 instead of 38)"),
        (ROWS[7][:11] + "*" + ROWS[7][12:], "'*' in group 2 is not used on sheets"),
        ("   7  " + "Q" * 38, "the check at the end does not fit: a character is wrong"),
        ("   7  " + "Q" * 300, "the row has 306 characters; a line of a sheet is much shorter"),
    ],
)
def test_what_is_wrong_is_said(row: str, why: str) -> None:
    assert problems(with_row(7, row)) == [(8, 7, why)]


def test_a_wrong_row_without_a_number_is_named_by_its_neighbours() -> None:
    bare = [row[6:] for row in ROWS]
    bare[50] = "Z" + bare[50][1:] if bare[50][0] != "Z" else "Q" + bare[50][1:]
    (wrong,) = read_text("\n".join(bare)).wrong
    assert (wrong.row, wrong.number, wrong.proposals) == (51, 50, (LINES[50],))


def test_a_wrong_row_after_a_skipped_one_is_found_by_what_follows() -> None:
    bare = [row[6:] for row in ROWS]
    bare[50] = bare[50][:-1]
    del bare[49]
    (wrong,) = read_text("\n".join(bare)).wrong
    assert (wrong.row, wrong.number, wrong.proposals) == (50, 50, (LINES[50],))


def test_a_wrong_first_row() -> None:
    (wrong,) = read_text("\n".join([ROWS[0][6:-1], *ROWS[1:]])).wrong
    assert (wrong.number, wrong.proposals) == (0, (LINES[0],))


def test_a_wrong_row_alone() -> None:
    assert problems(["rubbish"]) == [(1, 0, "31 characters are missing (7 instead of 38)")]


def test_proposals_are_taken_only_on_demand() -> None:
    typed = read_text("\n".join(with_row(7, ROWS[7][:-1])))
    assert 7 not in typed.lines
    typed.accept(typed.wrong[0].proposals[0])
    assert typed.lines[7] == LINES[7].data


def test_lines_of_two_sheets_are_noticed() -> None:
    other = examples.packet(seed=2)
    row = lines_of(other.head, other.payload)[3].printed
    ((at, number, why),) = problems([*ROWS, row])
    assert (at, number) == (len(ROWS) + 1, 3)
    assert "two sheets" in why


def test_one_row_at_the_prompt() -> None:
    assert read_row(ROWS[5], 5) == LINES[5]
    wrong = read_row(ROWS[5][:-1], 5)
    assert isinstance(wrong, WrongRow)
    assert wrong.proposals == (LINES[5],)


def test_too_much_text_is_refused() -> None:
    with pytest.raises(UsageError, match="more than any sheet"):
        read_text("Q" * (MAX_TEXT_CHARACTERS + 1))
    with pytest.raises(UsageError, match="more than any sheet"):
        read_text("\n" * 5000)


def test_secrets_are_not_in_the_repr() -> None:
    typed = read_text("\n".join(with_row(7, ROWS[7][:-1])))
    assert ROWS[7][6:20] not in repr(typed)
    assert repr(LINES[8].data) not in repr(typed)


def test_the_last_line_is_filled_with_zeros() -> None:
    payload = examples.payload(21)
    lines = lines_of(Head.of(SheetKind.PACKET, payload), payload)
    assert lines[2] == Line(2, payload.reveal()[20:] + bytes(19))
