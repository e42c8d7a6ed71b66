"""The undo entries that hold a header: forgetting its backup does not reach them, so they are found and can go too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from luksafe.errors import LuksafeError
from luksafe.luks.inspection import inspect
from luksafe.luks.key_material import material_range
from luksafe.ops.workspace import Workspace
from luksafe.ops.write.saving import Place, find_entries, open_places
from luksafe.reader import BytesReader
from luksafe.vault.undo import Replacement, UndoEntry, UndoState
from luksafe.vault.undo_log import UndoLog

_NEEDLE_BYTES = 64
"""So much key material tells one enrolment from all others."""


@dataclass(frozen=True, slots=True)
class UndoCopy:
    """An entry with a header in it, and the device it is of. ``is_pending``: without it that write has no way back."""

    id: str
    device: str
    is_pending: bool


def undo_copies(workspace: Workspace, images: Sequence[bytes]) -> list[UndoCopy]:
    """The entries, in all places that are here, whose old or new bytes hold any of these header images."""
    needles = [needle for image in images for needle in _needles(image)]
    found: dict[str, UndoEntry] = {}
    with open_places(workspace) as places:
        for place in places:
            for entry in _entries(place):
                if entry.id not in found and _holds(place.log, entry, needles):
                    found[entry.id] = entry
    return [_copy(workspace, found[entry_id]) for entry_id in sorted(found)]


def remove_undo_copies(workspace: Workspace, copies: Sequence[UndoCopy]) -> list[str]:
    """Remove these entries from every place that is here, but not those of an interrupted write; gives their ids."""
    wanted = {copy.id for copy in copies if not copy.is_pending}
    removed: set[str] = set()
    failed: set[str] = set()
    with open_places(workspace) as places:
        for place in places:
            for entry in _entries(place):
                if entry.id in wanted:
                    try:
                        place.log.remove(entry.id)
                    except LuksafeError as problem:
                        workspace.warn(f"undo entry {entry.id} is still in {place.folder}: {problem}")
                        failed.add(entry.id)
                    removed.add(entry.id)
    return sorted(removed - failed)


def _entries(place: Place) -> list[UndoEntry]:
    """All entries of one place; none where it fails: what cannot be read is not reached."""
    try:
        return place.log.entries()
    except LuksafeError:
        return []


def _copy(workspace: Workspace, entry: UndoEntry) -> UndoCopy:
    """As the place that knows most of the entry has it."""
    known = next((e for e in find_entries(workspace, entry.manifest.target) if e.id == entry.id), entry)
    path = str(known.manifest.facts.get("path", "")) or known.manifest.target
    return UndoCopy(known.id, path, known.state is UndoState.PENDING and not known.is_first_copy)


def _needles(image: bytes) -> list[bytes]:
    """Bytes that are in no other header: the beginning of each keyslot's key material; without any, of the header."""
    header = inspect(BytesReader(image)).header
    ranges = [material_range(keyslot) for keyslot in header.keyslots.values()] if header else []
    starts = [part[0] for part in ranges if part is not None]
    found = [image[start : start + _NEEDLE_BYTES] for start in starts]
    usable = [needle for needle in found if len(needle) == _NEEDLE_BYTES and any(needle)]
    return usable or [image[:512]]


def _holds(log: UndoLog, entry: UndoEntry, needles: Sequence[bytes]) -> bool:
    try:
        parts: Sequence[Replacement] = log.read(entry)
    except LuksafeError:
        return False
    return any(needle in content for part in parts for content in (part.old, part.new) for needle in needles)
