"""Members of a JSON object that came from outside, read one by one; whatever is wrong is damaged input, by name."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from luksafe.errors import DamagedInput

Json = dict[str, Any]

MAX_INTEGER = 2**63 - 1


def parse_object(data: bytes, what: str) -> Json:
    """The JSON object in ``data``; raises DamagedInput. ``what`` names it in the message."""
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:  # ValueError: no UTF-8
        raise DamagedInput(f"the {what} is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise DamagedInput(f"the {what} is no JSON object")
    return document


class Members:
    """A JSON object and what to call it in messages. Each method gives one member or raises DamagedInput."""

    def __init__(self, document: object, what: str) -> None:
        if not isinstance(document, dict):
            raise DamagedInput(f"{what} is no JSON object")
        self.document: Json = document
        self._what = what

    def text(self, name: str, default: str | None = None) -> str:
        """A string."""
        value = self.document.get(name, default)
        if not isinstance(value, str):
            raise self._wrong(name, "a string")
        return value

    def integer(self, name: str, default: int | None = None, *, most: int = MAX_INTEGER) -> int:
        """A whole number from 0 to ``most``."""
        value = self.document.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            raise self._wrong(name, f"a whole number from 0 to {most}")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self.document.get(name, default)
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false")
        return value

    def hexadecimal(self, name: str) -> bytes:
        """Bytes written in hexadecimal."""
        try:
            return bytes.fromhex(self.text(name))
        except ValueError:
            raise self._wrong(name, "hexadecimal") from None

    def base64(self, name: str) -> bytes:
        """Bytes written in Base64."""
        try:
            return base64.b64decode(self.text(name), validate=True)
        except (binascii.Error, ValueError):
            raise self._wrong(name, "Base64") from None

    def object(self, name: str) -> Json:
        """A JSON object; empty when it is absent."""
        value = self.document.get(name, {})
        if not isinstance(value, dict):
            raise self._wrong(name, "an object")
        return value

    def objects(self, name: str, *, most: int = 1024) -> list[Json]:
        """A list of at most ``most`` JSON objects; empty when it is absent."""
        value = self.document.get(name, [])
        if not isinstance(value, list) or len(value) > most or not all(isinstance(item, dict) for item in value):
            raise self._wrong(name, f"a list of at most {most} objects")
        return value

    def _wrong(self, name: str, expected: str) -> DamagedInput:
        state = "is missing" if name not in self.document else f"is not {expected}"
        return DamagedInput(f"{self._what}: member {name!r} {state}")
