"""The vectors of every format ever released stay readable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from luksafe.paper.parts import SheetParts, SheetPayload
from luksafe.paper.qr import read_part
from luksafe.paper.sheet import Head, SheetKind
from luksafe.paper.text import lines_of, read_text
from luksafe.secret import SecretBytes

FOLDER = Path(__file__).resolve().parents[2] / "vectors" / "sheet"
NAMES = sorted(path.name for path in FOLDER.glob("*.json"))


@pytest.fixture(params=NAMES)
def vector(request: pytest.FixtureRequest) -> dict[str, Any]:
    return json.loads((FOLDER / request.param).read_text())


def is_right(result: SheetPayload, vector: dict[str, Any]) -> bool:
    found = (result.payload.reveal().hex(), result.kind.word, result.sheet_id)
    return found == (vector["payload_hex"], vector["kind"], vector["sheet_id"])


def test_there_are_vectors_of_every_kind() -> None:
    kinds = {json.loads((FOLDER / name).read_text())["kind"] for name in NAMES}
    assert kinds == {kind.word for kind in SheetKind}


def test_lines_alone(vector: dict[str, Any]) -> None:
    typed = read_text("\n".join(vector["lines"]))
    assert typed.wrong == []
    parts = SheetParts()
    parts.add_lines(typed.lines)
    assert is_right(parts.payload(), vector)


def test_codes_alone(vector: dict[str, Any]) -> None:
    parts = SheetParts()
    for text in vector["codes"]:
        part = read_part(text)
        assert part is not None
        parts.add_part(part)
    assert is_right(parts.payload(), vector)


def test_the_writer_gives_the_same_lines(vector: dict[str, Any]) -> None:
    payload = SecretBytes(bytes.fromhex(vector["payload_hex"]))
    kind = next(kind for kind in SheetKind if kind.word == vector["kind"])
    assert [line.printed for line in lines_of(Head.of(kind, payload), payload)] == vector["lines"]
