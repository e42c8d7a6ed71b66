"""Export and import: backups as the plain files that cryptsetup makes and takes, and dumps made with dd."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from luksafe.device.identity import DeviceFacts
from luksafe.device.source import open_source
from luksafe.errors import DamagedInput
from luksafe.luks.compact import Capture, capture
from luksafe.luks.inspection import Inspection, inspect
from luksafe.ops.new_file import write_new_file
from luksafe.ops.record import make_record, uuid_of
from luksafe.ops.target import open_backup
from luksafe.ops.workspace import Workspace
from luksafe.vault.report import Added


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of an imported file."""

    path: str
    added: Added
    inspection: Inspection
    taken: Capture


def export_backup(workspace: Workspace, name: str, path: Path) -> int:
    """Write a backup's image to a new file, mode 0600, synced, read back; gives its size in bytes.

    ``cryptsetup luksHeaderRestore`` and ``open --header`` take it. Raises Refused when the file exists.
    """
    target = open_backup(workspace, name)
    image = target.reader.read_at(0, target.reader.size_bytes)
    write_new_file(path, image)
    return len(image)


def import_file(
    workspace: Workspace, path: str, *, facts: DeviceFacts | None = None, again: bool = False, why: str = ""
) -> Imported:
    """Take a header backup (cryptsetup's, or the start of a disk) into the vault. Raises DamagedInput for no header.

    It stands apart from the history of its volume: what followed what is not known of a file. With ``facts`` of the
    device that it was just made for, it follows what was there.
    """
    with open_source(path) as reader:
        inspection = inspect(reader)
        if inspection.format == "none":
            raise DamagedInput(
                f"{path} holds no LUKS header",
                code="not-luks",
                hint=f"if it is a whole disk, look for the volume with: luksafe scan {path}",
                findings=inspection.all_findings,
            )
        taken = capture(reader, inspection)
    with workspace.open_vault(create=True) as vault:
        parents = vault.lineage(uuid_of(inspection)).events if facts else []
        record = make_record(workspace, inspection, taken, facts, parents, why or f"imported from {Path(path).name}")
        added = vault.add(record, taken.image, now=workspace.now(), again=again)
    return Imported(path, added, inspection, taken)
