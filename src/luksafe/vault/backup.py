"""A stored header, with what the vault knows of it."""

from __future__ import annotations

from dataclasses import dataclass

from luksafe.vault.record import Proof, Record, Tombstone
from luksafe.vault.report import Copy


@dataclass(frozen=True, slots=True)
class Backup:
    """``is_current``: nothing stored of its volume is later; ``copies``: listed now, or remembered of stores away.

    ``is_foreign``: only stores that are not the user's own have it, so that it may be anybody's.
    """

    record: Record
    is_current: bool
    tombstone: Tombstone | None
    proofs: list[Proof]
    copies: list[Copy]
    is_foreign: bool = False

    @property
    def id(self) -> str:
        """Its id."""
        return self.record.id
