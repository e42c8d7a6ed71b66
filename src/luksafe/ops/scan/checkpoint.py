"""The state of an interrupted scan in a file, so that hours of reading are not lost."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from luksafe.errors import DamagedInput, LuksafeError, UsageError
from luksafe.luks.search import Mark
from luksafe.wall import walled

MAX_FILE_BYTES = 16 << 20
_FORMAT = 1
_KINDS = ("luks1", "primary", "secondary", "json", "gzip", "key-material")


@dataclass
class Checkpoint:
    """How far the search of one disk got: ``marks`` that proved to be something, ranges that could not be read."""

    target: str
    size_bytes: int
    done_bytes: int = 0
    marks: list[Mark] = field(default_factory=list)
    unreadable: list[tuple[int, int]] = field(default_factory=list)


def read_checkpoint(path: Path, target: str, size_bytes: int) -> Checkpoint:
    """The state in ``path``, or a new one when there is no such file.

    Raises UsageError when it is of another disk, DamagedInput when it is no such file.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return Checkpoint(target, size_bytes)
    except OSError as problem:
        raise LuksafeError(f"cannot read {path}: {problem.strerror}", hint="check the path given to --resume") from None
    found = _parse(raw, path)
    if (found.target, found.size_bytes) != (target, size_bytes):
        raise UsageError(
            f"{path} is of a scan of {found.target} ({found.size_bytes} bytes), not of {target} ({size_bytes} bytes)",
            hint="give another file to --resume",
        )
    return found


@walled("the state of a scan")
def _parse(raw: bytes, path: Path) -> Checkpoint:
    try:
        if len(raw) > MAX_FILE_BYTES:
            raise ValueError("too long")
        members = json.loads(raw)
        if members["format"] != _FORMAT:
            raise ValueError("of another version")
        found = Checkpoint(
            str(members["target"]),
            int(members["size_bytes"]),
            int(members["done_bytes"]),
            [Mark(int(offset), _KINDS[_KINDS.index(kind)]) for offset, kind in members["marks"]],  # type: ignore[arg-type]
            [(int(start), int(end)) for start, end in members["unreadable"]],
        )
        offsets = [found.done_bytes, *(mark.offset for mark in found.marks)]
        if not all(0 <= offset <= found.size_bytes for offset in offsets):
            raise ValueError("places outside the disk")
    except (ValueError, KeyError, TypeError, RecursionError) as problem:
        hint = "give the file that an interrupted scan wrote, or a new name"
        raise DamagedInput(f"{path} holds no state of a scan ({problem})", hint=hint) from None
    return found


def write_checkpoint(path: Path, state: Checkpoint) -> None:
    """Replace the file by the present state, in one step."""
    members = {
        "format": _FORMAT,
        "target": state.target,
        "size_bytes": state.size_bytes,
        "done_bytes": state.done_bytes,
        "marks": [[mark.offset, mark.kind] for mark in state.marks],
        "unreadable": state.unreadable,
    }
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(json.dumps(members) + "\n")
        temporary.replace(path)
    except OSError as problem:
        temporary.unlink(missing_ok=True)
        raise LuksafeError(f"cannot write {path}: {problem.strerror}", hint="give another file to --resume") from None
