"""Who holds a lock on a file, as ``/proc/locks`` tells."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from luksafe.wall import ParserStopped, walled

_LOCKS = Path("/proc/locks")


@dataclass(frozen=True, slots=True)
class LockHolder:
    """A process with a lock: ``kind`` is ``FLOCK``, ``POSIX`` or ``OFDLCK``; ``pid`` is -1 where it is not known."""

    pid: int
    kind: str
    exclusive: bool

    def __str__(self) -> str:
        if self.pid <= 0:
            return "a process that the kernel does not name"
        try:
            command = Path(f"/proc/{self.pid}/comm").read_text(errors="replace").strip()
        except OSError:
            command = "a process"
        return f"{command} (PID {self.pid})"


def lock_holders(facts: os.stat_result) -> list[LockHolder]:
    """The locks on the file with this ``stat``; none where ``/proc`` does not tell (btrfs, network filesystems)."""
    place = f"{os.major(facts.st_dev):02x}:{os.minor(facts.st_dev):02x}:{facts.st_ino}"
    try:
        text = _LOCKS.read_text(errors="replace")
    except OSError:
        return []
    return parse_locks(text, place)


def _stopped(_why: ParserStopped, _text: str, _place: str) -> list[LockHolder]:
    return []


@walled("the list of locks", _stopped)
def parse_locks(text: str, place: str) -> list[LockHolder]:
    """The lines of ``/proc/locks`` about one ``major:minor:inode``; waiting ones (``->``) hold nothing."""
    found = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < 6 or fields[1] not in ("FLOCK", "POSIX", "OFDLCK") or fields[5] != place:
            continue
        pid = int(fields[4]) if fields[4].isdecimal() and len(fields[4]) <= 20 else -1
        found.append(LockHolder(pid, fields[1], fields[3] == "WRITE"))
    return found
