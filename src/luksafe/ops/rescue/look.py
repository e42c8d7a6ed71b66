"""One look at the device: what is there, what can be done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from luksafe.errors import NotFound
from luksafe.luks.areas import header_area_bytes
from luksafe.ops.diagnosis.facts import gather
from luksafe.ops.diagnosis.judge import diagnose
from luksafe.ops.rescue.model import Guess, Outlook
from luksafe.ops.rescue.ways import outlook
from luksafe.ops.scan.model import Scanned
from luksafe.ops.scan.scan import scan
from luksafe.ops.target import open_target
from luksafe.ops.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Look:
    """The outlook, and how much of the device is header."""

    outlook: Outlook
    header_bytes: int


def look(workspace: Workspace, device: str, guesses: Sequence[Guess]) -> Look:
    """Look at the device; writes nothing. Raises what opening it raises, NotFound when it is empty."""
    with open_target(workspace, device) as target:
        if target.reader.size_bytes == 0:
            raise NotFound(
                f"{device} is empty (0 bytes): is it the right path?",
                code="empty-target",
                hint="see which devices there are: lsblk",
            )
        facts = gather(workspace, target)
    diagnosis = diagnose(facts)
    size = header_area_bytes(facts.mended) if facts.mended.header else 0
    return Look(outlook(workspace, device, facts, diagnosis, guesses), size)


def search(
    workspace: Workspace, device: str, begin: Callable[[str, int], Callable[[int], None]]
) -> tuple[Scanned, list[Guess]]:
    """Search the whole device; the guesses are the partitions that no table lists, the surest first."""
    found = scan(workspace, Path(device), begin)
    lost = [p for p in found.partitions if not p.listed and p.length]
    guesses = [Guess(p.start, p.length, p.uuid, p.sure) for p in lost]
    return found, sorted(guesses, key=lambda guess: not guess.sure)
