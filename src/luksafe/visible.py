"""Text from outside as a person may safely read it: what a terminal obeys, hides or turns round is spelled out."""

from __future__ import annotations

import re

_UNSEEN = (
    "\0-\x1f\x7f-\x9f"  # control characters, escape among them
    "\xad\u0600-\u0605\u061c\u06dd\u070f\u180e\u200b-\u200f\u2028-\u202f\u205f-\u206f\ufeff\ufff0-\ufffb\ufffe\uffff"
    "\ud800-\udfff"  # lone surrogates: bytes that are no UTF-8
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""Controls, formats (all that turn the direction of writing), separators of lines, and what has no glyph at all."""
_FIELD = re.compile(f"[{_UNSEEN}]")
_LINES = re.compile(f"(?![\n\t])[{_UNSEEN}]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def visible(text: str) -> str:
    """One field or one line: also a line break and a tab are spelled out, as ``\\n`` and ``\\t``."""
    return _FIELD.sub(_spelled, text)


def visible_lines(text: str) -> str:
    """A text of several lines: its line breaks and tabs stay."""
    return _LINES.sub(_spelled, text)


def ascii_json(text: str) -> str:
    """JSON that means the same, with the escapes of JSON for what is not to reach a terminal."""
    return _LINES.sub(_as_json, text)


def _spelled(found: re.Match[str]) -> str:
    letter = found[0]
    if letter in _SHORT:
        return _SHORT[letter]
    number = ord(letter)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _as_json(found: re.Match[str]) -> str:
    letter = found[0]
    units = letter.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
