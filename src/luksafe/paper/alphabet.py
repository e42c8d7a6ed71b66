"""The 32 symbols of a sheet and their check (spec/paper-sheet.md sections 2 and 3)."""

from __future__ import annotations

import base64
from collections.abc import Iterable

SYMBOLS = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"
BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
CHECK_SYMBOLS = 6

_VALUE = {symbol: value for value, symbol in enumerate(SYMBOLS)}
_TO_SYMBOLS = str.maketrans(BASE32, SYMBOLS)
_TO_BASE32 = str.maketrans(SYMBOLS, BASE32)
_LOOK_ALIKES = str.maketrans("OBI1", "08LL")
_NO_MEANING = str.maketrans("", "", ".:;,-_|/")

# Bech32m (BIP-350): the generators of BIP-173, folded into one table for the five bits that leave the register.
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_FINAL = 0x2BC830A3
_FEEDBACK = tuple(
    (_GENERATORS[0] * (top & 1))
    ^ (_GENERATORS[1] * (top >> 1 & 1))
    ^ (_GENERATORS[2] * (top >> 2 & 1))
    ^ (_GENERATORS[3] * (top >> 3 & 1))
    ^ (_GENERATORS[4] * (top >> 4 & 1))
    for top in range(32)
)


def squeeze(typed: str) -> str:
    """What was typed in capitals, without blanks and signs that mean nothing."""
    meant = "".join(typed.translate(_NO_MEANING).split())
    return "".join(sign.upper() if sign.isascii() else sign for sign in meant)  # other letters may become two


def read_look_alikes(squeezed: str) -> str:
    """Letters that are not in the alphabet become the symbol that they look like."""
    return squeezed.translate(_LOOK_ALIKES)


def strange(text: str) -> list[int]:
    """The places (from 0) of characters that are no symbols."""
    return [place for place, character in enumerate(text) if character not in _VALUE]


def encode(data: bytes) -> str:
    """Eight symbols for every five bytes; ``data`` is a multiple of five bytes long."""
    assert len(data) % 5 == 0
    return base64.b32encode(data).decode("ascii").translate(_TO_SYMBOLS)


def decode(text: str) -> bytes:
    """The bytes of ``text``: symbols only, a multiple of eight of them."""
    return base64.b32decode(text.translate(_TO_BASE32))


def values(text: str) -> list[int]:
    """The value, 0 to 31, of each symbol; ``text`` is symbols only."""
    return [_VALUE[symbol] for symbol in text]


def pair(number: int) -> list[int]:
    """A number below 1024 as two symbol values."""
    return [number >> 5, number & 31]


def remainder(word: Iterable[int], start: int = 1) -> int:
    """The Bech32 register after ``word``; linear in ``word`` when ``start`` is 0."""
    register = start
    for value in word:
        register = (register & 0x1FFFFFF) << 5 ^ value ^ _FEEDBACK[register >> 25]
    return register


def syndrome(word: Iterable[int]) -> int:
    """Zero if the word (check symbols last) is right; else it depends on the errors alone."""
    return remainder(word) ^ _FINAL


def check(word: list[int]) -> str:
    """The six check symbols that make ``word`` right when they follow it."""
    missing = syndrome([*word, 0, 0, 0, 0, 0, 0])
    return "".join(SYMBOLS[missing >> 5 * (CHECK_SYMBOLS - 1 - place) & 31] for place in range(CHECK_SYMBOLS))
