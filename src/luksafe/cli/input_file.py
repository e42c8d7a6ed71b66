"""A file that a verb reads whole: bounded, ``-`` is standard input."""

from __future__ import annotations

import sys

from luksafe.errors import NotFound, UsageError
from luksafe.secret import SecretBytes


def read_input(name: str, most_bytes: int) -> SecretBytes:
    """All bytes of a file. Raises NotFound, UsageError when there are more than ``most_bytes``."""
    try:
        if name == "-":
            data = sys.stdin.buffer.read(most_bytes + 1)
        else:
            with open(name, "rb") as file:
                data = file.read(most_bytes + 1)
    except OSError as problem:
        raise NotFound(f"{name}: {problem.strerror}", hint="check the name of the file") from None
    if len(data) > most_bytes:
        raise UsageError(f"{name} has more than the {most_bytes} bytes that can be taken here")
    return SecretBytes(data)
