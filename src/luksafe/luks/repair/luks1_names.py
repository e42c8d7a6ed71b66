"""The texts in a LUKS1 header: cipher, mode, hash, UUID; damaged ones are brought to the one spelling they can be."""

from __future__ import annotations

import itertools
import math
import re
import string
from collections.abc import Iterable

from luksafe.crypto.hashes import canonical_name, known_hashes

CIPHERS = (
    *("aes", "serpent", "twofish", "camellia", "cast5", "cast6", "anubis", "blowfish", "des3_ede", "des", "khazad"),
    *("aria", "sm4", "seed", "tea", "xtea", "cipher_null"),
)
MODES = (
    *("xts-plain64", "xts-plain", "xts-plain64be", "xts-benbi", "cbc-plain", "cbc-plain64", "cbc-plain64be"),
    *("cbc-benbi", "cbc-null", "cbc-tcw", "cbc-lmk", "lrw-benbi", "ecb", "ctr-plain", "ctr-plain64", "pcbc-plain"),
    *(f"{chain}-essiv:{name}" for chain in ("cbc", "xts") for name in ("sha1", "sha256", "sha512", "wp256")),
)
_ANY_MODE = re.compile("ecb|(xts|cbc|ctr|lrw|pcbc)-(plain(64(be)?)?|benbi|null|lmk|tcw|eboiv|essiv:([a-z0-9-]+))")
_MOST_BITS = 2
_MOST_CHARACTERS = 2
_MOST_UUIDS = 8
_UUID_DASHES = (8, 13, 18, 23)
_UUID_VERSION = 14
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def mend_cipher(text: str) -> str | None:
    """The cipher that the text can only be; None when it is right, or nothing tells."""
    return _nearest(text, CIPHERS)


def mend_mode(text: str) -> str | None:
    """The mode that the text can only be. ``ecb`` has no IV: cryptsetup takes nothing behind it."""
    if text.lower().startswith("ecb-"):
        return "ecb"
    parts = _ANY_MODE.fullmatch(text)
    if parts and (not parts[4] or parts[4] == "wp256" or canonical_name(parts[4]) in known_hashes()):
        return None
    return _nearest(text, MODES) or _few_characters_away(text, MODES)


def _few_characters_away(text: str, known: tuple[str, ...]) -> str | None:
    near = [
        name for name in known if len(name) == len(text) and sum(a != b for a, b in zip(name, text)) <= _MOST_CHARACTERS
    ]
    return near[0] if len(near) == 1 else None


def mend_hash(text: str) -> str | None:
    """The hash that the text can only be, in the spelling that every cryptsetup reads."""
    if text == text.lower() and canonical_name(text) in known_hashes():
        return None
    lower = text.lower()
    return lower if canonical_name(lower) in known_hashes() else _nearest(text, known_hashes())


def is_uuid(text: str) -> bool:
    """Whether it has the form of a UUID."""
    return bool(_UUID.fullmatch(text.lower()))


def possible_uuids(text: str) -> list[str]:
    """The UUIDs that damaged characters leave possible, if each lost one bit; none when they are too many."""
    if len(text) != 36:
        return []
    options = [_characters(at, character) for at, character in enumerate(text)]
    if math.prod(map(len, options)) > _MOST_UUIDS:
        return []
    return ["".join(characters) for characters in itertools.product(*options)]


def _characters(at: int, character: str) -> list[str]:
    """What may stand at a place of a UUID where this character was read: itself, or what one flipped bit made of it."""
    allowed = "-" if at in _UUID_DASHES else string.digits + "abcdef"
    if at == _UUID_VERSION and character.lower() not in allowed:
        allowed = "4"  # of random UUIDs, which cryptsetup makes
    if character.lower() in allowed:
        return [character]
    return [c for c in allowed if c == "-" or (ord(c) ^ ord(character)).bit_count() == 1]


def _nearest(text: str, known: Iterable[str]) -> str | None:
    """The only known name that the text is but for case or a flipped bit or two; None when it is known itself."""
    names = tuple(known)
    if text in names:
        return None
    near = [name for name in names if name == text.lower()] or [
        name for name in names if _distance(text, name) <= _MOST_BITS
    ]
    return near[0] if len(near) == 1 else None


def _distance(one: str, other: str) -> int:
    """In how many bits two texts differ, padded with zeros as in the header."""
    a, b = one.encode("utf-8", "surrogateescape"), other.encode()
    length = max(len(a), len(b))
    number = int.from_bytes(a.ljust(length, b"\0"), "big") ^ int.from_bytes(b.ljust(length, b"\0"), "big")
    return number.bit_count()
