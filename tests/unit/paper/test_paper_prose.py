from __future__ import annotations

import shlex

import pytest

from luksafe.paper import fonts
from luksafe.paper.figures import Verbatim
from luksafe.paper.prose import break_command

fonts.register()


@pytest.mark.parametrize(
    "command",
    [
        "true",
        "cut -d/ -f6 codes.txt | tr -d '\\n' | tr QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L A-Z2-7 | base32 -d",
        "echo 'a quoted text that must not be cut, though it is long' \"nor 'this' one, however long it is\" end",
        "word" * 40,
    ],
)
@pytest.mark.parametrize("room", [20, 40, 80])
def test_a_broken_command_means_the_same(command: str, room: int) -> None:
    lines = break_command(command, room)
    assert all(line.endswith(" \\") for line in lines[:-1])
    assert shlex.split("\n".join(lines).replace("\\\n", "")) == shlex.split(command)


def test_short_commands_stay_whole() -> None:
    assert break_command("sha256sum packet.age", 80) == ["sha256sum packet.age"]


@pytest.mark.parametrize("room", [30.0, 100.0, 400.0])
def test_wrapped_lines_fit_and_lose_nothing(room: float) -> None:
    text = "A sentence with " + "Donaudampfschifffahrtsgesellschaftskapitän " * 3 + "in it."
    lines = fonts.wrap(text, fonts.SANS, 9, room)
    assert all(fonts.width_points(line, fonts.SANS, 9) <= room for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_empty_text_is_one_empty_line() -> None:
    assert fonts.wrap("", fonts.SANS, 9, 100) == [""]


@pytest.mark.parametrize("font", [fonts.SANS, fonts.BOLD, fonts.MONO, fonts.MONO_BOLD])
def test_other_scripts_are_spelled_out(font: str) -> None:
    assert fonts.printable("Ä Ω Ж – … “x”", font) == "Ä Ω Ж – … “x”"
    assert fonts.printable("漢\x07", font) == "<U+6F22><U+0007>"
    assert fonts.printable(" a\n\tb ", font) == "a b"


@pytest.mark.parametrize(
    ("secret", "rows"),
    [
        ("short-one", [["short-one"]]),
        ("a1b2c3d4" * 16, [["a1b2c3d4"] * 4] * 4),
        ("abcdefgh-" * 7 + "abcdefgh", [["abcdefgh-"] * 4, ["abcdefgh-"] * 3 + ["abcdefgh"]]),
    ],
)
def test_rows_of_a_secret(secret: str, rows: list[list[str]]) -> None:
    assert Verbatim(secret).rows(499) == rows


@pytest.mark.parametrize("secret", ["x" * 500, "-" * 70, "a" * 60 + "-b", "a-" * 200, "-x-" + "y" * 90])
def test_no_secret_loses_a_character(secret: str) -> None:
    rows = Verbatim(secret).rows(499)
    assert "".join("".join(row) for row in rows) == secret
    step = fonts.width_points("0", fonts.MONO_BOLD, Verbatim(secret).size)
    assert all(sum(len(group) + 1 for group in row) * step < 499 for row in rows)
