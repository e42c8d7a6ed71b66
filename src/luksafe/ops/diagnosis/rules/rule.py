"""What a rule of the diagnosis is: a condition, and every text and proposal that follows from it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from luksafe.luks.model import Header
from luksafe.ops.diagnosis.against_backup import Contradiction
from luksafe.ops.diagnosis.facts import Facts
from luksafe.ops.diagnosis.layout import VolumeLayout
from luksafe.ops.diagnosis.model import Chance, Culprit, KeyslotState, Lead, Missing, State, Verdict


@dataclass(frozen=True, slots=True)
class Case:
    """All that a rule may look at: what was gathered, and what was judged of keyslots, culprits and backups."""

    facts: Facts
    layout: VolumeLayout
    keyslots: Sequence[KeyslotState]
    culprits: Sequence[Culprit]
    contradiction: Contradiction | None

    @property
    def header(self) -> Header | None:
        """The header as it stands, or as a repair would leave it."""
        return self.facts.mended.header

    @property
    def usable(self) -> list[int]:
        """The keyslots of the data that may open: neither free nor destroyed."""
        header = self.header
        digests = header.digests.values() if header else ()
        counts_all = header is not None and header.is_in_reencryption
        bound = {slot for d in digests if d.segments or counts_all for slot in d.keyslots}
        gone = (State.INACTIVE, State.DESTROYED)
        return [k.slot for k in self.keyslots if k.slot in bound and k.state not in gone]

    @property
    def destroyed(self) -> list[KeyslotState]:
        """The keyslots whose key material is destroyed."""
        return [k for k in self.keyslots if k.state is State.DESTROYED]

    @property
    def has_volume_key_packet(self) -> bool:
        """Whether a packet in the vault holds, as far as is known, the volume key."""
        return any(packet.holds_volume_key for packet in self.facts.packets)

    @property
    def device(self) -> str:
        """The device as commands name it."""
        return shlex.quote(self.facts.device or self.facts.target)

    @property
    def place(self) -> str:
        """Where the header stands: what repair and restore are to write to."""
        return shlex.quote(self.facts.header or self.facts.device or self.facts.target)

    @property
    def volume(self) -> str:
        """The device with its detached header, as commands name both."""
        return f"{self.device} --header {self.place}" if self.facts.header else self.device


Ways = Mapping[Lead, Chance]


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the table. ``seen`` are the words of its condition; ``story`` tells what it means, for people under
    stress; ``next`` are commands, the best first; ``ways`` say how likely each lead gets in (those missing do not);
    ``missing`` is what is needed when none of them got in; ``headline`` stands over the report where the verdict's
    word alone would mislead.
    """

    code: str
    verdict: Verdict
    seen: str
    applies: Callable[[Case], bool]
    summary: Callable[[Case], str]
    story: Callable[[Case], str]
    next: Callable[[Case], Iterable[str]]
    ways: Ways
    avoid: tuple[str, ...] = ()
    headline: str = ""
    missing: Missing = Missing.HEADER


AVOID_WRITES = (
    "do not run cryptsetup on it (isLuks, luksDump and repair may write); do not format, fsck or partition it",
)


def listed(numbers: Iterable[int]) -> str:
    """Numbers in words: 1; 1 and 2; 1, 2 and 3."""
    words = [str(number) for number in numbers]
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1] if words else "") if part)
