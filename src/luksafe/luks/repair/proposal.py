"""What a repair proposes: bytes to write, what they change, and the evidence that they are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from luksafe.reader import Reader


class Evidence(StrEnum):
    """What proves a proposal. ``structure`` alone leaves a doubt: nothing but the form of the header speaks for it."""

    CHECKSUM = "checksum"
    DIGEST = "digest"
    DATA = "data"
    AGREEMENT = "agreement"
    ONLY_VALUE = "only-value"
    STRUCTURE = "structure"

    @property
    def is_proof(self) -> bool:
        """Whether it leaves no doubt worth asking about."""
        return self is not Evidence.STRUCTURE


class Ground(StrEnum):
    """What would prove a guess. An opened keyslot says nothing of where the data begin, and neither says a UUID."""

    KEYSLOT = "keyslot"
    DATA = "data"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Patch:
    """Bytes to be put at ``offset`` of the volume; ``what`` names the place (a header copy, a keyslot)."""

    offset: int
    data: bytes
    what: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """One repair. ``code`` is stable; ``text`` says what is changed, ``why`` what makes it sure.

    ``ground``: what would prove it where ``evidence`` is no proof.
    """

    code: str
    text: str
    why: str
    evidence: Evidence
    patches: tuple[Patch, ...]
    ground: Ground = Ground.KEYSLOT


@dataclass(frozen=True, slots=True)
class Side:
    """One of several contents between which nothing decides: of a header copy, or of a source's name.

    ``option`` is the command line option that takes it.
    """

    copy: str
    text: str
    option: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that can be said. ``sides`` is filled where the evidence is split, and nothing is proposed then.

    ``left`` are faults that nothing here can mend, ``helps`` what would help with them. ``is_unfinished``: the time
    was over before the search was.
    """

    proposals: tuple[Proposal, ...] = ()
    sides: tuple[Side, ...] = ()
    left: tuple[str, ...] = ()
    helps: tuple[str, ...] = ()
    is_unfinished: bool = False

    @property
    def patches(self) -> tuple[Patch, ...]:
        """The bytes of all proposals, in their order."""
        return tuple(patch for proposal in self.proposals for patch in proposal.patches)


@dataclass
class PatchedReader:
    """A Reader that shows another one as it would be with some patches applied."""

    inner: Reader
    patches: Sequence[Patch] = field(default_factory=tuple)

    @property
    def size_bytes(self) -> int:
        """The size of the reader beneath."""
        return self.inner.size_bytes

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Bytes as after the repair; where the medium fails, only what a patch replaces in full can be read."""
        end = min(offset_bytes + length_bytes, self.size_bytes)
        for patch in self.patches:
            if patch.offset <= offset_bytes and end <= patch.offset + len(patch.data):
                return self._lay_over(bytearray(max(0, end - offset_bytes)), offset_bytes)
        return self._lay_over(bytearray(self.inner.read_at(offset_bytes, length_bytes)), offset_bytes)

    def _lay_over(self, out: bytearray, at: int) -> bytes:
        for patch in self.patches:
            start, end = max(at, patch.offset), min(at + len(out), patch.offset + len(patch.data))
            if start < end:
                out[start - at : end - at] = patch.data[start - patch.offset : end - patch.offset]
        return bytes(out)
