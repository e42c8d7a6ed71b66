"""How much of a write that was saved is on the device now, told from the bytes and from nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from luksafe.errors import LuksafeError
from luksafe.luks.luks2.same_copy import begins_with_copy, is_same_copy
from luksafe.ops.workspace import Workspace
from luksafe.ops.write.saving import read_entry
from luksafe.reader import Reader, read_with_holes
from luksafe.vault.undo import Range, Replacement, UndoEntry

_SECTOR_BYTES = 512

Word = Literal["old", "new", "between", "changed", "gone"]
"""``changed``: neither the old nor the new bytes in places. ``gone``: the device ends before all of it."""
_Part = Literal["same", "old", "new", "between", "changed"]


@dataclass(frozen=True, slots=True)
class Progress:
    """The verdict. ``is_there``: something that the write changed is on the device as it wrote it."""

    word: Word
    is_there: bool


def progress_of(parts: Sequence[Replacement], now: Sequence[bytes]) -> Progress:
    """Judge by what is at each range now; what lies beyond the end of the device by now does not count."""
    judged = [(clip(part, len(seen)), seen) for part, seen in zip(parts, now, strict=True) if seen]
    copies_old = [part.old for part, _ in judged if begins_with_copy(part.old)]
    copies_new = [part.new for part, _ in judged if begins_with_copy(part.new)]
    return _sum_up([_judge(part, seen, copies_old, copies_new) for part, seen in judged])


def weigh(workspace: Workspace, reader: Reader, entry: UndoEntry) -> Progress:
    """The progress of an entry, by its sums where they tell, else by its contents."""
    now = [read_with_holes(reader, part.offset, part.length) for part in entry.manifest.ranges]
    states = [_by_sums(part, seen) for part, seen in zip(entry.manifest.ranges, now, strict=True)]
    if "changed" not in states:
        return _sum_up(states)
    try:
        return progress_of(read_entry(workspace, entry), now)
    except LuksafeError:
        return _sum_up(states)


def _sum_up(states: Sequence[_Part]) -> Progress:
    seen = set(states) - {"same"}
    is_there = bool(seen & {"new", "between"})
    word: Word = "between"
    if not states:
        word = "gone"
    elif "changed" in seen:
        word = "changed"
    elif seen <= {"new"}:
        word = "new"
    elif seen == {"old"}:
        word = "old"
    return Progress(word, is_there)


def _by_sums(part: Range, seen: bytes) -> _Part:
    found = hashlib.sha256(seen).hexdigest()
    if found == part.new_sha256:
        return "same" if part.old_sha256 == part.new_sha256 else "new"
    return "old" if found == part.old_sha256 else "changed"


def _judge(part: Replacement, seen: bytes, copies_old: Sequence[bytes], copies_new: Sequence[bytes]) -> _Part:
    if seen == part.new:
        return "same" if part.old == part.new else "new"
    if seen == part.old:
        return "old"
    if _is_partly_written(part, seen):
        return "between"
    # when a header copy is bad, cryptsetup writes it anew from the other one, at the next look
    for state, copies in (("new", [part.new]), ("old", [part.old]), ("new", copies_new), ("old", copies_old)):
        if any(is_same_copy(seen, copy) for copy in copies):
            return "new" if state == "new" else "old"
    return "changed"


def clip(part: Replacement, length: int) -> Replacement:
    """The first ``length`` bytes of a replacement."""
    return part if length == len(part.new) else Replacement(part.offset, part.old[:length], part.new[:length])


def _is_partly_written(part: Replacement, seen: bytes) -> bool:
    """Whether each sector is the old or the new one, or torn: the one in front and the other behind."""
    first = -part.offset % _SECTOR_BYTES
    bounds = [0, *range(first or _SECTOR_BYTES, len(seen), _SECTOR_BYTES), len(seen)]
    for start, end in pairwise(bounds):
        sector, old, new = (whole[start:end] for whole in (seen, part.old, part.new))
        if not (_is_torn(sector, new, old) or _is_torn(sector, old, new)):
            return False
    return True


def _is_torn(sector: bytes, front: bytes, back: bytes) -> bool:
    length = next((at for at, (seen, byte) in enumerate(zip(sector, front, strict=True)) if seen != byte), len(sector))
    return sector[length:] == back[length:]
