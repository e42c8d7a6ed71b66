"""What became of each copy: the reports of adding, forgetting, checking and levelling."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from luksafe.errors import LuksafeError
from luksafe.vault.name import Name


class State(StrEnum):
    """The state of one file in one store."""

    INTACT = "intact"
    DAMAGED = "damaged"
    MISSING = "missing"
    UNREADABLE = "unreadable"
    FORGOTTEN = "forgotten"
    """It belongs to a forgotten backup and should be gone."""
    FOREIGN = "foreign"
    """A proof, sighting or tombstone that counts for nothing: no own store has it."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a store: with one file, or (``name`` empty) with the store itself."""

    store: str
    name: str
    text: str
    code: str = ""
    hint: str = ""

    @classmethod
    def of(cls, store: str, name: Name | str, error: LuksafeError) -> Problem:
        """The problem that an error tells of."""
        return cls(store, str(name), str(error), error.code, error.hint)


@dataclass(frozen=True, slots=True)
class Away:
    """A configured store that cannot be used now."""

    name: str
    id: str
    where: str
    why: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Copy:
    """A store that holds a backup: ``here`` now, or as last seen; ``verified``: when it was last read in full."""

    store: str
    here: bool
    verified: str = ""


@dataclass(frozen=True, slots=True)
class Added:
    """What ``add`` did. ``new``: no store had it. ``returned``: the device went back to a header stored before."""

    id: str
    new: bool
    returned: bool
    stores: list[str]
    away: list[Away]
    problems: list[Problem]


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What ``forget`` did: the stores that now hold the tombstone and nothing else of the backup."""

    id: str
    stores: list[str]
    away: list[Away]
    problems: list[Problem]


@dataclass(slots=True)
class StoreCheck:
    """One store, every file in it read: ``files`` by name; ``intact`` lists the backups that are whole there."""

    store: str
    id: str
    files: dict[str, State] = field(default_factory=dict)
    intact: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def names(self, *states: State) -> list[str]:
        """The files in one of these states."""
        return [name for name, state in self.files.items() if state in states]

    @property
    def is_level(self) -> bool:
        """Whether the store holds all that it should, whole, and nothing that was forgotten."""
        return not self.problems and set(self.files.values()) <= {State.INTACT, State.FOREIGN}


@dataclass(frozen=True, slots=True)
class Check:
    """All stores that are here, and those that are away."""

    stores: list[StoreCheck]
    away: list[Away]


@dataclass(slots=True)
class StoreSync:
    """What was done to one store: the names of files, and as ``intact`` the ids of the backups that are whole there.

    ``not_taken``: what stays in this store, which is not own, because other stores would trust it more.
    """

    store: str
    id: str
    copied: list[str] = field(default_factory=list)
    healed: list[str] = field(default_factory=list)
    set_aside: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    intact: list[str] = field(default_factory=list)
    cleaned: list[str] = field(default_factory=list)
    not_taken: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Sync:
    """What was done to all stores. ``differing`` names records of which stores hold different, equally good ones."""

    stores: list[StoreSync]
    away: list[Away]
    differing: list[str]
