"""Before anything else: a copy of the header region as it is now, in a file and among the undo entries."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from luksafe.device.identity import describe
from luksafe.device.location import is_stored_on
from luksafe.device.source import open_source
from luksafe.errors import Refused
from luksafe.ops.new_file import write_new_file
from luksafe.ops.workspace import Workspace
from luksafe.ops.write.plan import Phase, Write, WritePlan
from luksafe.ops.write.saving import mark_everywhere, save_everywhere
from luksafe.reader import read_with_holes
from luksafe.vault.record import timestamp
from luksafe.vault.undo import UndoState

REGION_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class FirstCopy:
    """Where the copy lies. ``undo_id`` names the entry that ``luksafe undo --entry`` puts back; ``bad`` counts bytes
    that could not be read and are zeros in the copy.
    """

    file: Path
    places: tuple[Path, ...]
    undo_id: str
    size_bytes: int
    bad: int


def keep_first_copy(workspace: Workspace, device: str, folder: Path, header_bytes: int) -> FirstCopy:
    """Copy the header region (at least 16 MiB, if there is so much) to ``folder`` and to two undo logs.

    Raises Refused when all places lie on the device itself, StoreError.
    """
    facts = describe(device)
    if is_stored_on(folder, facts):
        raise Refused(
            f"{folder} lies on the device that is to be rescued",
            code="no-undo-place",
            hint="set XDG_STATE_HOME to a folder on another disk, a USB stick for example",
        )
    data, bad = _read(device, max(REGION_BYTES, header_bytes))
    file = folder / f"header-before-{timestamp(workspace.now()).replace(':', '')}.img"
    write_new_file(file, data)
    write = Write(0, data, data, "header region")
    plan = WritePlan("rescue", facts, (Phase("header region", (write,)),), source="as it was found")
    saved = save_everywhere(plan, workspace)
    # set aside at once: it is there to be put back by name, and must never count as an interrupted write
    mark_everywhere(saved.entry.id, facts.target_key, UndoState.DROPPED, workspace)
    return FirstCopy(file, saved.places, saved.entry.id, len(data), bad)


def _read(device: str, length: int) -> tuple[bytes, int]:
    """The first bytes of the device; what cannot be read is zeros, and counted."""
    holes: list[tuple[int, int]] = []
    with open_source(device) as reader:
        data = read_with_holes(reader, 0, min(length, reader.size_bytes), holes)
    return data, sum(end - start for start, end in holes)
