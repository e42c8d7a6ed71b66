"""The journal of a rescue: what was done, where one is. With it a rescue can be left and resumed."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

import msgspec

from luksafe.errors import DamagedInput, StoreError
from luksafe.ops.own_folder import make_private_folder
from luksafe.ops.rescue.model import Guess, Tried, Way
from luksafe.wall import walled

MAX_FILE_BYTES = 1 << 20
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Done:
    """A command that was run, as it was shown, and its exit status."""

    command: str
    status: int
    when: str


@dataclass
class Journal:
    """One rescue. ``done`` are the commands that were run, ``way`` and ``step`` where one is.

    ``tried`` are the ways that led nowhere.
    """

    device: str
    target_key: str
    begun: str
    copy_file: str = ""
    undo_id: str = ""
    way: str = ""
    step: int = 0
    is_finished: bool = False
    done: list[Done] = field(default_factory=list)
    guesses: list[Guess] = field(default_factory=list)
    tried: list[Tried] = field(default_factory=list)

    def note(self, command: str, status: int, when: str) -> None:
        """Add a command that was run."""
        self.done.append(Done(command, status, when))

    def strike(self, way: Way, answer: str) -> None:
        """Note that a way was gone in vain; a later answer replaces an earlier one."""
        self.tried = [item for item in self.tried if item.key != way.key]
        self.tried.append(Tried(way.key, way.title, answer))


def journal_folder(state_folder: Path, target_key: str) -> Path:
    """The folder of the rescue of one device."""
    return state_folder / "rescue" / hashlib.sha256(target_key.encode("utf-8", "surrogateescape")).hexdigest()[:16]


@walled("the journal of a rescue")
def read_journal(folder: Path) -> Journal | None:
    """The journal of a rescue that was begun; None when there is none. Raises DamagedInput."""
    path = folder / "journal.json"
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise StoreError(f"{path} cannot be read: {problem.strerror}") from None
    try:
        members = json.loads(raw) if len(raw) <= MAX_FILE_BYTES else None
        if not isinstance(members, dict) or members.get("format") != _FORMAT:
            raise ValueError("another version")
        return msgspec.convert(members, Journal)
    except (ValueError, msgspec.ValidationError, RecursionError) as problem:
        raise DamagedInput(
            f"{path} is no journal of a rescue ({problem})", hint=f"to begin anew, move it away: mv {path} {path}.old"
        ) from None


def write_journal(folder: Path, journal: Journal) -> None:
    """Replace the journal in one step, synced. Raises StoreError."""
    path, temporary = folder / "journal.json", folder / f".journal.{os.getpid()}"
    try:
        make_private_folder(folder)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(fd, "w") as file:
            json.dump({"format": _FORMAT, **asdict(journal)}, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(fd)
        temporary.replace(path)
    except OSError as problem:
        raise StoreError(f"{path} cannot be written: {problem.strerror}") from None
