"""What will be written, in which order, to what: complete before the first byte, readable by people and machines."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from luksafe.device.identity import DeviceFacts
from luksafe.errors import DamagedInput, Refused
from luksafe.reader import Reader, read_with_holes

Purpose = Literal["restore", "repair", "rebuild", "undo", "finish", "rescue"]


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes to be put at ``offset``; ``old`` is what stands there now, ``what`` says what it is in words."""

    offset: int
    old: bytes
    new: bytes
    what: str

    @property
    def end(self) -> int:
        """The offset of the first byte after it."""
        return self.offset + len(self.new)


@dataclass(frozen=True, slots=True)
class Phase:
    """Writes that are synced together; the next phase begins when they are on the medium."""

    name: str
    writes: tuple[Write, ...]


@dataclass(frozen=True, slots=True)
class Danger:
    """A reason not to write. ``flag`` is the command line option that accepts it; empty when nothing does.

    ``instead`` says what to do where accepting it is hardly ever right: then no next command names the flag. One that
    ``destroys`` more than the write mends has its flag in the manual only.
    """

    code: str
    text: str
    flag: str = ""
    instead: str = ""
    destroys: bool = False


@dataclass(frozen=True, slots=True)
class WritePlan:
    """Everything about a write to come. ``changes`` and ``notes`` are words for the person who confirms it.

    ``evidence``: what ties the source to the target, as ``Ties.to_json`` and the proof by a key have it.
    """

    purpose: Purpose
    target: DeviceFacts
    phases: tuple[Phase, ...]
    dangers: tuple[Danger, ...] = ()
    changes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    source: str = ""
    uuid: str = ""
    evidence: Mapping[str, Any] | None = None

    @property
    def writes(self) -> tuple[Write, ...]:
        """All writes, in order."""
        return tuple(write for phase in self.phases for write in phase.writes)

    @property
    def is_needless(self) -> bool:
        """Whether the target holds all these bytes already: then there is nothing to write, and nothing to undo."""
        return all(write.old == write.new for write in self.writes)

    @property
    def size_bytes(self) -> int:
        """How many bytes will be written."""
        return sum(len(write.new) for write in self.writes)

    def dangers_left(self, accepted: Sequence[str] = ()) -> list[Danger]:
        """The dangers that no flag accepted."""
        return dangers_left(self.dangers, accepted)

    def refuse_dangers(self, accepted: Sequence[str] = ()) -> None:
        """Raise Refused unless every danger is accepted by its flag. Each one names its own flag."""
        try:
            refuse_dangers(self.dangers, accepted)
        except Refused as refused:
            refused.result = {"plan": self.to_json()}
            raise

    def to_json(self) -> dict[str, Any]:
        """The plan as ``--dry-run --json`` prints it; bytes only as their SHA-256."""
        return {
            "purpose": self.purpose,
            "target": self.target.to_json(),
            "source": self.source,
            "uuid": self.uuid,
            "phases": [{"name": p.name, "writes": [_write_to_json(w) for w in p.writes]} for p in self.phases],
            "bytes": self.size_bytes,
            "dangers": [{"code": d.code, "text": d.text, "flag": d.flag} for d in self.dangers],
            "changes": list(self.changes),
            "notes": list(self.notes),
            **({"evidence": dict(self.evidence)} if self.evidence is not None else {}),
        }


def dangers_left(dangers: Sequence[Danger], accepted: Sequence[str] = ()) -> list[Danger]:
    """The dangers that no flag accepted."""
    return [danger for danger in dangers if danger.flag not in accepted or not danger.flag]


def refuse_dangers(dangers: Sequence[Danger], accepted: Sequence[str] = ()) -> None:
    """Raise Refused, which names the flags, unless every danger is accepted."""
    left = dangers_left(dangers, accepted)
    if not left:
        return
    flags = " ".join(dict.fromkeys(danger.flag for danger in left if danger.flag))
    hopeless = [danger.text for danger in left if not danger.flag]
    better = "; ".join(dict.fromkeys(danger.instead for danger in left if danger.instead))
    wish = f"{better}; to write all the same" if better else "if that is what you want"
    hint = f"{wish}, add {flags}" if flags and not hopeless else "see the plan with --dry-run"
    if any(danger.destroys for danger in left):
        hint = better or "is it the right device? see what is on it: lsblk --fs"
    raise Refused("; ".join(danger.text for danger in left), code=left[0].code, hint=hint)


def read_old(reader: Reader, offset: int, new: bytes, what: str) -> Write:
    """A Write whose ``old`` is read from the target. Raises DamagedInput when the target ends before it.

    Blocks that cannot be read count as zeros: undo then writes zeros, which is all that can be done.
    """
    if offset + len(new) > reader.size_bytes:
        raise DamagedInput(f"the target ends at byte {reader.size_bytes}; {what} reaches to {offset + len(new)}")
    return Write(offset, read_with_holes(reader, offset, len(new)), new, what)


def _write_to_json(write: Write) -> dict[str, Any]:
    return {
        "offset": write.offset,
        "length": len(write.new),
        "what": write.what,
        "changes_bytes": write.old != write.new,
        "old_sha256": hashlib.sha256(write.old).hexdigest(),
        "new_sha256": hashlib.sha256(write.new).hexdigest(),
    }
