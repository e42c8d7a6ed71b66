"""Keys of type ``user`` in the kernel's keyrings that this process may read (keyrings(7), keyctl(2))."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from luksafe.secret import SecretBytes
from luksafe.wall import ParserStopped, walled

PROC_KEYS = Path("/proc/keys")
_LINE = re.compile(r"([0-9a-f]{8}) [^ ]{7} +\d+ +\S+ [0-9a-f]{8} +\d+ +\d+ user +(.*): ([0-9]{1,10})")
_LIBRARY = "libkeyutils.so.1"


@dataclass(frozen=True, slots=True)
class ReadableKey:
    """A key that could be read; who takes it wipes ``payload``."""

    serial: int
    description: str
    payload: SecretBytes


def readable_keys(size_bytes: int) -> Iterator[ReadableKey]:
    """Every ``user`` key with a payload of that size. None where the kernel or libkeyutils shows none."""
    try:
        listed = PROC_KEYS.read_text(errors="replace")
        library = ctypes.CDLL(_LIBRARY)
    except OSError:
        return
    for serial, description, size in parse_user_keys(listed):
        if size == size_bytes and (payload := _read(library, serial, size)) is not None:
            yield ReadableKey(serial, description, payload)


def _stopped(_why: ParserStopped, _text: str) -> list[tuple[int, str, int]]:
    return []


@walled("the list of keys", _stopped)
def parse_user_keys(text: str) -> list[tuple[int, str, int]]:
    """Serial number, description and size in bytes of every ``user`` key that ``/proc/keys`` lists."""
    matches = (_LINE.fullmatch(line.rstrip()) for line in text.splitlines())
    return [(int(m[1], 16), m[2], int(m[3])) for m in matches if m]


def _read(library: ctypes.CDLL, serial: int, size: int) -> SecretBytes | None:
    buffer = bytearray(size)
    target = (ctypes.c_char * size).from_buffer(buffer)
    if library.keyctl_read(ctypes.c_int32(serial), target, ctypes.c_size_t(size)) != size:
        return None
    return SecretBytes(buffer)
