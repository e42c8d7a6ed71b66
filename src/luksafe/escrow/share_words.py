"""The words of a share: found in what was typed, their checksum verified; wrong ones are set right in share_typos.

A line may hold numbers, as in the grid on a sheet; what follows ``#`` is no part of the share. The first four letters
of a word are enough, as SLIP-39 has it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from luksafe.errors import DamagedInput, Unsupported
from luksafe.extras import install_hint

WORDS = 20
UNIQUE_LETTERS = 4
MAX_TEXT = 1 << 16
EXTENDABLE = b"shamir_extendable"
NOT_EXTENDABLE = b"shamir"

# RS1024 (SLIP-39, "Checksum"): a code over GF(1024) with three checksum words
_GENERATOR = (
    0xE0E040,
    0x1C1C080,
    0x3838100,
    0x7070200,
    0xE0E0009,
    0x1C0C2412,
    0x38086C24,
    0x3090FC48,
    0x21B1F890,
    0x3F3F120,
)


def slip39() -> Any:
    """The SLIP-39 library; raises Unsupported when it is not installed."""
    try:
        import shamir_mnemonic
    except ModuleNotFoundError:
        raise Unsupported("shares need the library shamir-mnemonic", hint=install_hint("paper")) from None
    return shamir_mnemonic


def typed_words(text: str) -> list[str]:
    """The words in what was typed, in lower case; raises DamagedInput when there is far too much of it."""
    if len(text) > MAX_TEXT:
        raise DamagedInput("a text that long is no share")
    lines = [line.split("#", 1)[0] for line in text.splitlines()]
    letters = "".join(c if c.isalpha() else " " for c in " ".join(lines).lower())
    return letters.split()


@cache
def wordlist() -> dict[str, int]:
    """The 1024 words and their numbers."""
    slip39()
    from shamir_mnemonic.wordlist import WORD_INDEX_MAP

    return dict(WORD_INDEX_MAP)


@cache
def _by_first_letters() -> dict[str, str]:
    return {word[:UNIQUE_LETTERS]: word for word in wordlist()}


def known_word(typed: str) -> str | None:
    """The word itself, or the one whose first four letters were typed; None for any other."""
    return typed if typed in wordlist() else _by_first_letters().get(typed)


def feed_checksum(state: int, indices: list[int] | bytes) -> int:
    """The checksum's state after these words; a share is right when it comes from 1 back to 1."""
    for value in indices:
        top = state >> 20
        state = (state & 0xFFFFF) << 10 ^ value
        for bit in range(10):
            state ^= _GENERATOR[bit] if top >> bit & 1 else 0
    return state


def customization(indices: list[int]) -> bytes:
    """What the checksum begins with, by the flag in the second word."""
    return EXTENDABLE if indices[1] >> 4 & 1 else NOT_EXTENDABLE


def is_right(words: list[str] | tuple[str, ...]) -> bool:
    """Whether the checksum of these known words is right."""
    indices = [wordlist()[word] for word in words]
    return feed_checksum(feed_checksum(1, customization(indices)), indices) == 1
