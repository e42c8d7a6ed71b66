"""Export and import: backups as the plain files that cryptsetup makes and takes, and dumps made with dd."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from luksafe.device.source import open_source
from luksafe.errors import DamagedInput, Refused, StoreError, UsageError
from luksafe.luks.compact import Capture, capture
from luksafe.luks.inspection import Inspection, inspect
from luksafe.ops.record import make_record
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
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise Refused(f"{path} exists already", code="exists", hint="choose another name") from None
    except OSError as problem:
        raise UsageError(f"{path} cannot be made: {problem.strerror}") from None
    try:
        _fill(fd, image)
    except OSError as problem:
        path.unlink(missing_ok=True)
        raise StoreError(f"{path} could not be written: {problem.strerror}; nothing is left of it") from None
    finally:
        os.close(fd)
    return len(image)


def _fill(fd: int, image: bytes) -> None:
    at = 0
    while at < len(image):
        at += os.write(fd, image[at:])
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    if os.pread(fd, len(image), 0) != image:
        raise OSError(None, "it reads back differently")


def import_file(workspace: Workspace, path: str, *, again: bool = False, why: str = "") -> Imported:
    """Take a header backup (cryptsetup's, or the start of a disk) into the vault. Raises DamagedInput for no header.

    It stands apart from the history of its volume: what followed what is not known of a file.
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
        record = make_record(workspace, inspection, taken, None, [], why or f"imported from {Path(path).name}")
        added = vault.add(record, taken.image, now=workspace.now(), again=again)
    return Imported(path, added, inspection, taken)
