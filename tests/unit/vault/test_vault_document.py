from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import Any

import pytest

from luksafe.errors import DamagedInput, UsageError
from luksafe.vault.document import MAX_DOCUMENT_BYTES, Open, decode_document, encode_document, from_json, to_json


class Inner(Open, frozen=True, kw_only=True):
    size: int = 0


class Outer(Open, frozen=True, kw_only=True):
    name: str
    inner: Inner = Inner()


def sealed(body: bytes) -> bytes:
    """A document with a right checksum round whatever bytes."""
    return body + b'  "sha256": "' + hashlib.sha256(body).hexdigest().encode() + b'"\n}\n'


def test_a_document_is_json_that_carries_its_sum() -> None:
    data = encode_document({"a": 1, "b": {"c": [True, None, "ä"]}})
    assert data.startswith(b'{\n  "a": 1,\n')
    assert decode_document(data) == {"a": 1, "b": {"c": [True, None, "ä"]}}


def test_head_and_sha256sum_agree(tmp_path: Path) -> None:
    path = tmp_path / "document.json"
    path.write_bytes(encode_document({"a": 1}))
    said = subprocess.run("head -n -2 document.json | sha256sum", shell=True, cwd=tmp_path, capture_output=True).stdout
    assert b'"sha256": "' + said.split()[0] + b'"' in path.read_bytes()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b'{"a": 1}',
        encode_document({"a": 1})[:-1],
        encode_document({"a": 1}) + b"\n",
        encode_document({"a": 1}).replace(b"\n", b"\r\n"),
        encode_document({"a": 1}).replace(b"1", b"2"),
        sealed(b"[1,\n"),
        sealed(b"["),
        sealed(b"[" * 100_000),
        sealed(b'{"a": ' * 50_000),
        sealed(b'{"a": "\xff",\n'),
        sealed(b'{"a": NaN,\n'),
        sealed(b'{"a": ' + b"1" * 5000 + b",\n"),
        sealed(b'{"a": "' + b"x" * MAX_DOCUMENT_BYTES + b'",\n'),
    ],
)
def test_anything_else_is_damaged(data: bytes) -> None:
    with pytest.raises(DamagedInput):
        decode_document(data)


@pytest.mark.parametrize("content", [{"a": object()}, {"a": "x" * MAX_DOCUMENT_BYTES}])
def test_what_cannot_be_written_is_an_error(content: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        encode_document(content)


def test_unknown_members_are_kept_and_written_back() -> None:
    members = {"name": "a", "inner": {"size": 1, "extra": 5, "colour": "red"}, "extra": {"x": 1}, "new": [1]}
    value = from_json(Outer, members)
    assert value.extra == {"extra": {"x": 1}, "new": [1]}
    assert value.inner.extra == {"extra": 5, "colour": "red"}
    assert to_json(value) == members


@pytest.mark.parametrize("members", [{}, {"name": 1}, {"name": "a", "inner": 3}, {"name": "a", "inner": {"size": "x"}}])
def test_members_of_another_type_are_damage(members: dict[str, Any]) -> None:
    with pytest.raises(DamagedInput, match="not a outer"):
        from_json(Outer, members)
