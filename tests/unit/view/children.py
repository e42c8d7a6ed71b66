"""The child processes of a test, so that it can see that none stays behind."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def children() -> set[str]:
    """The processes that this one began and that are still there, dead ones not waited for included."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = status.read_text(errors="replace").rpartition(")")[2].split()[1]
            found |= {status.parent.name} if parent == str(os.getpid()) else set()
    return found
