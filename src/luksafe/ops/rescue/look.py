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

MOST_NAMED = 4


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
    """Search the whole device; the guesses are where volumes lie on it, the surest first."""
    found = scan(workspace, Path(device), begin)
    backups = {(r.start, r.uuid): f"vault:{r.known.name[7:]}" for r in found.remains if r.known.name[:7] == "backup "}
    headers = {(volume.offset, volume.uuid) for volume in found.volumes if volume.is_usable}
    guesses = []
    for part in found.partitions:
        if part.is_whole_device or not part.length:
            continue  # what begins with the device was looked at before
        place = (part.start, part.uuid)
        header = "" if place in headers else backups.get(place, "")
        guesses.append(Guess(part.start, part.length, part.uuid, part.sure, header))
    return found, sorted(guesses, key=lambda guess: not guess.sure)


def searched_words(found: Scanned) -> str:
    """What a search found that leads nowhere further, in words."""
    bad = " (parts of it cannot be read)" if found.unreadable else ""
    if not found.volumes and not found.remains:
        return f"no header and no key material of one anywhere in {found.bytes_read} bytes{bad}"
    seen = ", ".join(f"a header at byte {volume.offset}" for volume in found.volumes[:MOST_NAMED])
    more = f" and {len(found.volumes) - MOST_NAMED} more" if len(found.volumes) > MOST_NAMED else ""
    return f"{seen or 'key material'}{more}, but no volume at another place than the start of the device{bad}"
