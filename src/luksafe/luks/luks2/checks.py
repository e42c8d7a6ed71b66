"""Small predicates that the validation checks are made of: what kind of thing a JSON member is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from luksafe.luks.finding import Finding, Severity

UINT32_MAX = 2**32 - 1
UINT64_MAX = 2**64 - 1


class Invalid(Exception):
    """Raised inside one check to leave it with its finding; never leaves the validation."""

    def __init__(self, code: str, where: str, text: str) -> None:
        self.finding = Finding(code, Severity.ERROR, where, text)
        super().__init__(text)


def member(parent: Any, key: str, where: str, kind: type) -> Any:
    """``parent[key]`` if it is there and of that kind; bool is no int."""
    value = parent.get(key) if isinstance(parent, dict) else None
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        names = {dict: "object", list: "array", str: "string", int: "number"}
        missing = isinstance(parent, dict) and key not in parent
        problem = "is missing" if missing else "is of the wrong kind"
        raise Invalid("json-member", f"{where}.{key}".lstrip("."), f'"{key}" ({names[kind]}) {problem}')
    return value


def text_member(parent: Any, key: str, where: str) -> str:
    """A string member that is not empty."""
    value: str = member(parent, key, where, str)
    if not value:
        raise Invalid("json-member", f"{where}.{key}".lstrip("."), f'"{key}" is empty')
    return value


def uint32_member(parent: Any, key: str, where: str) -> int:
    """A number member that fits 32 bits."""
    value: int = member(parent, key, where, int)
    if not 0 <= value <= UINT32_MAX:
        raise Invalid("number-range", f"{where}.{key}", f'"{key}" {value} does not fit 32 bits')
    return value


def uint64_text(value: str, where: str) -> int:
    """A decimal number written as a string, as the specification writes 64-bit numbers (section 3.1)."""
    if not (value.isascii() and value.isdigit()):
        raise Invalid("number-form", where, f'"{value[:40]}" is not in numbered form')
    if len(value) > 20 or int(value) > UINT64_MAX:
        raise Invalid("number-range", where, f"{value[:40]} does not fit 64 bits")
    return int(value)


def uint64_member(parent: Any, key: str, where: str) -> int:
    """A string member that holds a 64-bit number."""
    return uint64_text(text_member(parent, key, where), f"{where}.{key}")


def numbered(objects: dict[str, Any], where: str) -> Iterator[tuple[str, Any]]:
    """The members of a section, in order; their names must be numbers."""
    for key, value in objects.items():
        if not (key.isascii() and key.isdigit() and len(key) <= 9):
            raise Invalid("number-form", f"{where}.{key[:40]}", f'the name "{key[:40]}" is not a number')
        yield key, value


def references(parent: Any, key: str, where: str, targets: dict[str, Any]) -> list[str]:
    """An array of names, each of which is an object in ``targets``."""
    names: list[str] = member(parent, key, where, list)
    for name in names:
        if not isinstance(name, str):
            raise Invalid("json-member", f"{where}.{key}", f'"{key}" holds something that is not a string')
        if not isinstance(targets.get(name), dict):
            raise Invalid("dangling-reference", f"{where}.{key}", f'{where} refers to {key} "{name[:40]}", not there')
    return names


def strings(parent: Any, key: str, where: str) -> list[str]:
    """An optional array of strings."""
    if key not in parent:
        return []
    values = member(parent, key, where, list)
    if not all(isinstance(value, str) for value in values):
        raise Invalid("json-member", f"{where}.{key}", f'"{key}" holds something that is not a string')
    return list(values)
