"""Recovery keys as systemd-cryptenroll spells them: 256 bits in modhex, eight groups of eight letters with dashes.

The spelling is the passphrase: systemd enrolls the 71 characters themselves, dashes included.
"""

from __future__ import annotations

from collections.abc import Callable

from luksafe.errors import UsageError
from luksafe.secret import SecretBytes

MODHEX = "cbdefghijklnrtuv"
KEY_BYTES = 32
GROUPS = 8
GROUP_LETTERS = 8
LETTERS = GROUPS * GROUP_LETTERS


def make_recovery_key(random_bytes: Callable[[int], bytes]) -> SecretBytes:
    """A fresh recovery key: the passphrase of 71 ASCII characters."""
    with SecretBytes(random_bytes(KEY_BYTES)) as key:
        letters = [MODHEX[nibble] for byte in key.view for nibble in (byte >> 4, byte & 15)]
    return _spelled(letters)


def read_recovery_key(typed: str) -> SecretBytes:
    """The passphrase that somebody typed: any case, dashes and spaces anywhere or nowhere.

    Raises UsageError that says which letter cannot be, or how many are missing.
    """
    letters = [letter for letter in typed.lower() if letter not in "-–—_ \t\r\n."]
    wrong = next(((at, letter) for at, letter in enumerate(letters) if letter not in MODHEX), None)
    if wrong is not None:
        at, letter = wrong
        group, place = divmod(at, GROUP_LETTERS)
        raise UsageError(
            f"{letter!r} cannot be in a recovery key (letter {place + 1} of group {group + 1})",
            hint=f"its letters are {' '.join(MODHEX)}",
        )
    if len(letters) != LETTERS:
        raise UsageError(
            f"a recovery key has {LETTERS} letters, this has {len(letters)}",
            hint="type eight groups of eight letters",
        )
    return _spelled(letters)


def is_recovery_key(text: str) -> bool:
    """Whether a text has exactly the spelling of a recovery key."""
    groups = text.split("-")
    return len(groups) == GROUPS and all(len(g) == GROUP_LETTERS and set(g) <= set(MODHEX) for g in groups)


def _spelled(letters: list[str]) -> SecretBytes:
    groups = ["".join(letters[at : at + GROUP_LETTERS]) for at in range(0, LETTERS, GROUP_LETTERS)]
    return SecretBytes("-".join(groups).encode())
