"""Data that were never written: zeros where cipher text would be, which decrypt to noise with the right key too."""

from __future__ import annotations

from luksafe.reader import Reader

UNWRITTEN = "unwritten"
UNWRITTEN_WORDS = "the data area holds zeros: nothing was ever written to it, or it was trimmed"
LOOKED_AT_BYTES = 2 << 20
PLACES, PLACE_BYTES = 64, 4096


def is_unwritten(ciphertext: Reader, offset: int) -> bool:
    """Zeros at the start, and wherever else it is looked: a start that was wiped leaves the rest to judge by.

    Raises OSError where it cannot be read.
    """
    if any(ciphertext.read_at(offset, LOOKED_AT_BYTES)):
        return False
    room = ciphertext.size_bytes - offset
    return not any(any(ciphertext.read_at(offset + room * n // PLACES, PLACE_BYTES)) for n in range(PLACES))
