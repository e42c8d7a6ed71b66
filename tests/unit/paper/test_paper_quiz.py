from __future__ import annotations

import random

import pytest
import sheet_examples as examples

from luksafe.paper.quiz import ask
from luksafe.paper.text import lines_of

CONTENT = examples.packet()
LINES = lines_of(CONTENT.head, CONTENT.payload)


def test_three_lines_typed_from_the_paper_pass() -> None:
    questions = ask(CONTENT, random.Random(1))
    assert len(questions) == 3
    for question in questions:
        assert question.prompt == f"Type line {question.number}"
        printed = LINES[question.number].printed
        assert question.is_right(printed)
        assert question.is_right(printed[6:].lower())
        assert not question.is_right(printed[:-1])
        assert not question.is_right("")
        assert not question.is_right(LINES[question.number % 103 + 1].printed)


def test_a_right_line_of_another_sheet_fails() -> None:
    other = examples.packet(seed=2)
    (question, *_) = ask(CONTENT, random.Random(1))
    assert not question.is_right(lines_of(other.head, other.payload)[question.number].printed)


def test_the_source_chooses() -> None:
    chosen = {tuple(question.number for question in ask(CONTENT, random.Random(seed))) for seed in range(20)}
    assert len(chosen) == 20
    assert all(0 < number <= 103 for numbers in chosen for number in numbers)
    assert ask(CONTENT, random.Random(4)) == ask(CONTENT, random.Random(4))


def test_a_share_is_asked_by_words() -> None:
    content = examples.share()
    for question in ask(content, random.Random(1)):
        assert question.prompt == f"Type word {question.number}"
        assert question.is_right(f" {content.words[question.number - 1].upper()}\n")
        assert not question.is_right("academia")


@pytest.mark.parametrize(("size", "count"), [(1, 1), (40, 2), (60, 3)])
def test_a_short_sheet_has_fewer_questions(size: int, count: int) -> None:
    assert len(ask(examples.packet(size), random.Random(1))) == count


def test_answers_are_not_in_the_repr() -> None:
    (question, *_) = ask(examples.share(), random.Random(1))
    assert repr(question) == f"Question(number={question.number}, what='word')"
