"""What ``check`` says of a volume: its state, each reason with how grave it is, and what "safe" rests on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from luksafe.vault.backup import Backup
from luksafe.vault.record import Proof

if TYPE_CHECKING:
    from luksafe.ops.escrow.summary import PacketSummary

State = Literal["safe", "at-risk", "unprotected", "unknown"]
Severity = Literal["", "warning", "critical"]
"""``warning``: what was kept is good, there should be more of it. ``critical``: damaged, lost, changed, not kept."""
RestsOn = Literal["", "data", "opens"]
"""What a proof showed: that the data were recognised, or only that a key opens the header."""

_WARNINGS = frozenset(
    {"too-few-copies", "unproven", "unknown-device", "tpm-only", "header-detached", "split", "absent", "device-grown"}
)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a volume is not safe; ``next`` is the command that mends it, empty for a mere note.

    ``severity`` follows from the code; one that says so itself is an exception to that.
    """

    code: str
    text: str
    next: str = ""
    severity: Severity = ""

    def __post_init__(self) -> None:
        if not self.severity:
            object.__setattr__(self, "severity", "warning" if self.code in _WARNINGS else "critical")


@dataclass(frozen=True, slots=True)
class VolumeCheck:
    """One volume. ``reasons`` make it unsafe; ``notes`` are worth knowing (what revoked passphrases still open).

    ``copies`` count, ``away`` are those of them in stores that are not here now; ``rests_on`` is what the proof of
    ``proven`` showed, ``weaknesses`` what makes the header weak though nothing is lost,
    ``found`` what the data were recognised as. ``severity`` is that of the gravest reason.
    """

    device: str
    uuid: str
    state: State
    reasons: tuple[Reason, ...]
    notes: tuple[Reason, ...] = ()
    copies: tuple[str, ...] = ()
    away: tuple[str, ...] = ()
    wanted_copies: int = 0
    proven: str = ""
    rests_on: RestsOn = ""
    found: str = ""
    backup_id: str = ""
    packets: tuple[PacketSummary, ...] = ()
    weaknesses: tuple[Reason, ...] = ()
    severity: Severity = field(init=False, default="")

    def __post_init__(self) -> None:
        object.__setattr__(self, "severity", gravest(self.reasons))


@dataclass(frozen=True, slots=True)
class CheckReport:
    """All volumes, and the stores themselves."""

    volumes: tuple[VolumeCheck, ...]
    stores: tuple[Reason, ...] = ()


def gravest(reasons: Sequence[Reason]) -> Severity:
    """How grave it is altogether."""
    found = {reason.severity for reason in reasons}
    return "critical" if "critical" in found else "warning" if "warning" in found else ""


def best_proof(proofs: Sequence[Proof]) -> Proof | None:
    """The latest proof by which the data were recognised, else the latest: that it opens is less."""
    recognised = [proof for proof in proofs if rests_on(proof) == "data"] or [*proofs]
    return recognised[-1] if recognised else None


def rests_on(proof: Proof | None) -> RestsOn:
    """What a proof showed."""
    if proof is None:
        return ""
    return "data" if proof.has_recognised_data else "opens"


def is_in_use(backups: Iterable[Backup]) -> bool:
    """Whether they are of a volume whose data were recognised: that it took the place of another one was meant."""
    return any(rests_on(best_proof(backup.proofs)) == "data" for backup in backups)
