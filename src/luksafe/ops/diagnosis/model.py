"""The words of a diagnosis: parts of a header with their state, keyslots, culprits, the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

from luksafe.luks.finding import Finding


class Verdict(StrEnum):
    """The answer in one word; spec/diagnosis.md says when each is given."""

    HEALTHY = "healthy"
    REPAIRABLE = "repairable"
    NEEDS_BACKUP = "needs-backup"
    NEEDS_KEY = "needs-key"
    LOST = "lost"
    NOT_LUKS = "not-luks"
    UNSUPPORTED = "unsupported"


class Chance(IntEnum):
    """How likely a way leads to the data; a lower number is better."""

    VERY_LIKELY = 0
    LIKELY = 1
    MAY = 2

    @property
    def words(self) -> str:
        """For people."""
        return ("very likely to work", "likely to work", "may work")[self]


class Lead(StrEnum):
    """What can lead in: a kind of way out."""

    REPAIR = "repair"
    BACKUP = "backup"
    MAPPING = "mapping"
    PACKET = "packet"
    REENCRYPTION = "reencryption"
    SEARCH = "search"
    KEY = "key"


class Missing(StrEnum):
    """What is missing to read the data, once all that is at hand was tried."""

    HEADER = "header"
    KEY = "key"
    DATA = "data"
    DEVICE = "device"
    PROGRAM = "program"
    NOTHING = "nothing"


class State(StrEnum):
    """How a part is. ``inactive``: a keyslot that holds no key; ``unknown``: nothing tells."""

    INTACT = "intact"
    SUSPECT = "suspect"
    DESTROYED = "destroyed"
    INACTIVE = "inactive"
    UNKNOWN = "unknown"


CERTAIN, LIKELY = "certain", "likely"
"""How sure the state of a keyslot is."""


@dataclass(frozen=True, slots=True)
class Damage:
    """``length`` bytes at ``offset`` that are not what they should be. ``looks``: a sector class, or ``changed``."""

    offset: int
    length: int
    looks: str
    evidence: str

    @property
    def end(self) -> int:
        """The offset of the first byte behind it."""
        return self.offset + self.length


@dataclass(frozen=True, slots=True)
class Part:
    """A region of the volume, bytes ``[start, end)``, with its state and the damage found in it.

    ``sure``: of a keyslot, ``certain`` or ``likely``; else empty.
    """

    kind: str
    name: str
    start: int
    end: int
    state: State
    why: str
    keyslot: int | None = None
    damage: tuple[Damage, ...] = ()
    sure: str = ""


@dataclass(frozen=True, slots=True)
class KeyslotState:
    """The answer to "is it damaged?" for one keyslot. ``sure``: ``certain`` or ``likely``; ``why`` says from what."""

    slot: int
    state: State
    sure: str
    why: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A range that a culprit wrote besides its own structure; ``where`` names the part of the volume it fell on."""

    offset: int
    length: int
    what: str
    where: str
    certain: bool


@dataclass(frozen=True, slots=True)
class Culprit:
    """What was written over the volume, named as blkid names it, or ``zeros``, ``ff``, ``random``, ``text``."""

    name: str
    offset: int
    length: int
    confidence: str
    evidence: str
    hits: tuple[Hit, ...] = ()
    not_covered: tuple[str, ...] = ()
    discards: bool = False


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Everything said of a target. ``first`` are the lines that come before all others; ``next`` commands in order.

    ``rule`` is the code of the rule that gave verdict, summary, ``story``, ``next``, ``ways``, ``missing``, ``avoid``.
    """

    target: str
    verdict: Verdict
    rule: str
    headline: str
    summary: str
    first: tuple[str, ...]
    findings: tuple[Finding, ...]
    parts: tuple[Part, ...]
    keyslots: tuple[KeyslotState, ...]
    culprits: tuple[Culprit, ...]
    next: tuple[str, ...]
    avoid: tuple[str, ...] = ()
    story: str = ""
    ways: Mapping[Lead, Chance] = field(default_factory=dict)
    missing: Missing = Missing.HEADER
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def overwritten_by(self) -> tuple[str, ...]:
        """The names of the culprits, each once."""
        return tuple(dict.fromkeys(culprit.name for culprit in self.culprits))

    def to_json(self) -> dict[str, Any]:
        """The object that ``--json`` prints (spec/diagnosis.md)."""
        return {
            "target": self.target,
            "verdict": self.verdict.value,
            "rule": self.rule,
            "headline": self.headline,
            "summary": self.summary,
            "first": list(self.first),
            "findings": [{**asdict(f), "severity": f.severity.value} for f in self.findings],
            "keyslots": [{"slot": k.slot, "state": k.state.value, "sure": k.sure, "why": k.why} for k in self.keyslots],
            "overwritten_by": list(self.overwritten_by),
            "culprits": [asdict(c) for c in self.culprits],
            "regions": [{**asdict(p), "state": p.state.value} for p in self.parts],
            "parameters": self.parameters,
            "next": list(self.next),
            "avoid": list(self.avoid),
        }
