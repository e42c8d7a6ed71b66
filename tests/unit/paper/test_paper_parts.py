from __future__ import annotations

import random

import pytest
import sheet_examples as examples

from luksafe.errors import DamagedInput, UsageError
from luksafe.paper.parts import Part, SheetParts, normal_id, part_lines, spans
from luksafe.paper.qr import codes_of
from luksafe.paper.sheet import Head, SheetKind
from luksafe.paper.text import lines_of

CONTENT = examples.packet()
PARTS = [code.part for code in codes_of(CONTENT.head, CONTENT.payload)]
LINES = {line.number: line.data for line in lines_of(CONTENT.head, CONTENT.payload)}
OTHER = examples.packet(seed=2)
OTHER_PARTS = [code.part for code in codes_of(OTHER.head, OTHER.payload)]


def test_codes_in_any_order_and_twice() -> None:
    parts = SheetParts()
    shuffled = PARTS * 2
    random.Random(1).shuffle(shuffled)
    for part in shuffled:
        parts.add_part(part)
    result = parts.payload()
    assert result.payload == CONTENT.payload
    assert (result.kind, result.sheet_id) == (SheetKind.PACKET, CONTENT.sheet_id)
    assert parts.wanted() == ""


def test_what_is_missing_is_said() -> None:
    parts = SheetParts()
    assert parts.wanted() == "scan any code of the sheet, or type its line 0"
    for index in (0, 1, 5):
        parts.add_part(PARTS[index])
    assert parts.missing_codes == [3, 4, 5]
    assert parts.wanted() == "scan codes 3-5 of 6 again, or type lines 37-90"
    with pytest.raises(DamagedInput, match="incomplete") as raised:
        parts.payload()
    assert raised.value.hint == parts.wanted()


def test_typed_lines_replace_a_code() -> None:
    parts = SheetParts()
    for part in PARTS[:3] + PARTS[4:]:
        parts.add_part(part)
    parts.add_lines({number: LINES[number] for number in range(55, 72)})
    assert parts.wanted() == "scan code 4 of 6 again, or type line 72"
    parts.add_lines({72: LINES[72]})
    assert parts.payload().payload == CONTENT.payload


def test_lines_alone() -> None:
    parts = SheetParts()
    parts.add_lines({number: data for number, data in LINES.items() if number})
    assert parts.missing_lines == [0]
    with pytest.raises(DamagedInput, match="id not read"):
        parts.payload()
    parts.add_lines({0: LINES[0]})
    assert parts.is_complete
    assert parts.missing_codes == []


def test_missing_lines_without_any_code() -> None:
    parts = SheetParts()
    parts.add_lines({number: LINES[number] for number in LINES if number not in (3, 7, 8, 9)})
    assert parts.wanted() == "type lines 3, 7-9"


def test_a_code_of_another_sheet_is_refused() -> None:
    parts = SheetParts()
    parts.add_part(PARTS[0])
    with pytest.raises(DamagedInput, match=f"sheet {OTHER.sheet_id}, not of sheet {CONTENT.sheet_id}") as raised:
        parts.add_part(OTHER_PARTS[1])
    assert raised.value.code == "other-sheet"
    assert parts.missing_codes == [2, 3, 4, 5, 6]


def test_only_the_sheet_that_was_asked_for() -> None:
    parts = SheetParts(CONTENT.sheet_id.lower())
    assert parts.sheet_id == CONTENT.sheet_id
    with pytest.raises(DamagedInput, match="not of sheet"):
        parts.add_part(OTHER_PARTS[0])


def test_the_same_id_with_another_head_is_refused() -> None:
    parts = SheetParts()
    parts.add_part(PARTS[0])
    with pytest.raises(DamagedInput, match="not of sheet"):
        parts.add_lines({0: Head(SheetKind.HEADER, 2048, CONTENT.head.digest).line})


def test_a_line_with_other_content_is_refused() -> None:
    parts = SheetParts()
    parts.add_part(PARTS[0])
    with pytest.raises(DamagedInput, match="line 3 was read twice"):
        parts.add_lines({3: bytes(20)})


def test_lines_of_another_sheet_do_not_pass_the_hash() -> None:
    parts = SheetParts()
    parts.add_lines(LINES | {5: bytes(20)})
    with pytest.raises(DamagedInput, match="together they are not that sheet"):
        parts.payload()


def test_a_fill_that_is_not_zero_is_refused() -> None:
    parts = SheetParts()
    last = CONTENT.head.line_count
    parts.add_lines(LINES | {last: LINES[last][:-1] + b"\x01"})
    with pytest.raises(DamagedInput, match="not that sheet"):
        parts.payload()


def test_another_cut_of_the_same_sheet_is_refused() -> None:
    parts = SheetParts()
    parts.add_part(PARTS[0])
    with pytest.raises(DamagedInput, match="printed twice"):
        parts.add_part(Part(CONTENT.head, 1, 103, LINES[1]))


def test_part_lines_cover_everything_once() -> None:
    for lines in range(1, 60):
        for count in range(1, 12):
            numbers = [n for index in range(1, count + 1) for n in part_lines(lines, index, count)]
            assert numbers == list(range(1, lines + 1))


def test_spans() -> None:
    assert spans([]) == ""
    assert spans([3]) == "3"
    assert spans([1, 2, 3, 7, 9, 10]) == "1-3, 7, 9-10"


@pytest.mark.parametrize("typed", ["7304-1DDD", "73041ddd", " 7304 1ddd "])
def test_sheet_ids_as_people_type_them(typed: str) -> None:
    assert normal_id(typed) == "7304-1DDD"


@pytest.mark.parametrize("typed", ["", "7304", "7304-1DDG", "7304-1DDD-1"])
def test_what_is_no_sheet_id(typed: str) -> None:
    with pytest.raises(UsageError, match="not a sheet id"):
        normal_id(typed)


def test_secrets_are_not_in_the_repr() -> None:
    assert repr(PARTS[0].data)[2:10] not in repr(PARTS[0])
