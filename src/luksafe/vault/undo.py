"""One write to a device, as kept so that it can be undone or finished (spec/vault.md, section 9)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from luksafe.errors import UsageError
from luksafe.vault.document import Open
from luksafe.vault.image import MAX_IMAGE_BYTES
from luksafe.vault.record import FORMAT, Count, Format

_ID = re.compile(r"[0-9]{6}-[0-9a-f]{8}")


class UndoState(StrEnum):
    """What became of a write: unknown (perhaps interrupted), all new bytes in place, all old ones back, set aside."""

    PENDING = "pending"
    DONE = "done"
    UNDONE = "undone"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Replacement:
    """Bytes at an offset of the target, before and after; equally long."""

    offset: int
    old: bytes
    new: bytes


class Range(msgspec.Struct, frozen=True):
    """A range of the target, in bytes, and the sums of its two contents."""

    offset: Count
    length: Count
    old_sha256: str
    new_sha256: str


class Manifest(Open, frozen=True, kw_only=True):
    """One write. ``target`` is the key to find it by, ``facts`` whatever identifies the target to a person."""

    format: Format = FORMAT
    id: str
    target: str
    when: str
    why: str = ""
    ranges: list[Range]
    facts: dict[str, Any] = msgspec.field(default_factory=dict)


class Mark(Open, frozen=True, kw_only=True):
    """That a write has come to a state."""

    format: Format = FORMAT
    id: str
    state: UndoState
    when: str


@dataclass(frozen=True, slots=True)
class UndoEntry:
    """A saved write and the states that it went through since, oldest first."""

    manifest: Manifest
    states: tuple[UndoState, ...] = ()

    @property
    def id(self) -> str:
        """The name of its folder: a number, so that later ones sort after earlier ones, and random digits."""
        return self.manifest.id

    @property
    def follows(self) -> tuple[str, ...]:
        """The entries of this target that were known when it was saved, without those that another of them follows."""
        named = self.manifest.facts.get("follows")
        return tuple(each for each in named if isinstance(each, str)) if isinstance(named, list) else ()

    @property
    def is_undo(self) -> bool:
        """Whether it is itself an undo or a finish: what those began is done by doing them again."""
        return self.manifest.facts.get("purpose") in ("undo", "finish")

    @property
    def is_first_copy(self) -> bool:
        """Whether it replaced nothing, but keeps the device as a rescue found it."""
        return self.manifest.facts.get("purpose") == "rescue"

    @property
    def state(self) -> UndoState:
        """The latest state; ``PENDING`` when nothing was noted: the write may have been interrupted."""
        return self.states[-1] if self.states else UndoState.PENDING


def heads(chosen: Sequence[UndoEntry], known: Sequence[UndoEntry]) -> list[UndoEntry]:
    """Those of ``chosen`` that no other of them follows, be it by way of others of the ``known``."""
    before = {entry.id: entry.follows for entry in known}
    replaced: set[str] = set()
    for entry in chosen:
        seen: set[str] = {entry.id}
        waiting = list(before.get(entry.id, ()))
        while waiting:
            if (earlier := waiting.pop()) not in seen:
                seen.add(earlier)
                waiting += before.get(earlier, ())
        replaced |= seen - {entry.id}
    return [entry for entry in chosen if entry.id not in replaced]


def is_entry_id(text: str) -> bool:
    """Whether ``text`` is spelled as the id of an entry."""
    return _ID.fullmatch(text) is not None


def range_of(part: Replacement) -> Range:
    """The range of a replacement. Raises ``UsageError`` unless both contents are equally long."""
    if len(part.old) != len(part.new):
        raise UsageError(f"the two contents at {part.offset} are not equally long")
    return Range(part.offset, len(part.new), hashlib.sha256(part.old).hexdigest(), hashlib.sha256(part.new).hexdigest())


def check_manifest(manifest: Manifest) -> None:
    """Raise ``UsageError`` unless the id is one and the ranges are ascending, apart, and of bearable size."""
    if not is_entry_id(manifest.id):
        raise UsageError(f"{manifest.id!r} is no name of an undo entry")
    at = 0
    for part in manifest.ranges:
        if part.offset < at or not 1 <= part.length <= MAX_IMAGE_BYTES:
            raise UsageError(f"the range {part.offset}+{part.length} overlaps, is empty, too long or out of order")
        at = part.offset + part.length
