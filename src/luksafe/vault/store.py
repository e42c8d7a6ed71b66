"""What a store must do, whatever keeps it: a folder now, other kinds beside it."""

from __future__ import annotations

from typing import Protocol

from luksafe.vault.name import Name


class Store(Protocol):
    """Create-only files under names of a vault. All calls may raise ``StoreError``, which says what to do.

    A store does not judge contents: it gives bytes back as they are, good or damaged.
    """

    @property
    def name(self) -> str:
        """What the user calls it."""
        ...

    @property
    def id(self) -> str:
        """The id in its marker."""
        ...

    @property
    def damage(self) -> str:
        """What is wrong with its marker; empty when nothing is."""
        ...

    @property
    def is_own(self) -> bool:
        """Whether what only the user may say (proofs, sightings, tombstones) counts when it says it."""
        ...

    def volumes(self) -> list[str]:
        """The volume folders, sorted."""
        ...

    def names(self, volume: str = "") -> list[Name]:
        """Every file of a known kind, sorted; of one volume folder when it is given."""
        ...

    def strays(self, volume: str) -> dict[str, str]:
        """Leftovers, files set aside and files of unknown kinds in a volume folder: their names, and whose they are."""
        ...

    def read(self, name: Name) -> bytes:
        """The whole file. Raises ``NotFound``; ``DamagedInput`` when it is too long or no plain file."""
        ...

    def create(self, name: Name, data: bytes) -> bool:
        """Store a new file durably, all or nothing, read back. False when the name is taken, whatever it holds."""
        ...

    def remove(self, name: Name | str) -> bool:
        """Delete a file or stray durably. False when there is none."""
        ...

    def set_aside(self, name: Name) -> str:
        """Rename a damaged file so that it is no longer read; gives its new name. Raises ``NotFound``."""
        ...

    def heal_marker(self) -> bool:
        """Write the marker anew when it is damaged. False when it is not."""
        ...

    def clean(self, now_seconds: float) -> list[str]:
        """Remove leftovers of killed writers older than a day; gives their names."""
        ...

    def close(self) -> None:
        """Let go of whatever it holds open."""
        ...
