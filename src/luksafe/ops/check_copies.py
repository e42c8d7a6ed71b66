"""Which copies of a backup count for a device: whole ones, read just now, not on its own disk, each on another one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from luksafe.device.identity import DeviceFacts
from luksafe.device.location import lie_together, shares_disk
from luksafe.vault.backup import Backup
from luksafe.vault.folder_store import FolderStore
from luksafe.vault.report import Check
from luksafe.vault.vault import Vault


@dataclass(frozen=True, slots=True)
class GoodCopies:
    """``stores`` hold a copy that counts; ``others`` could hold none that does, and each says why."""

    stores: tuple[str, ...]
    others: tuple[str, ...]


def good_copies(vault: Vault, stores: Check, backup: Backup, facts: DeviceFacts | None) -> GoodCopies:
    """The stores that hold the backup whole, read just now (or remembered, when away), on a disk of their own.

    An image file counts as a disk of its own (``shares_disk``), and of one nothing is asked about the disks of stores.
    """
    whole = {report.store for report in stores.stores if backup.id in report.intact}
    paths = {store.name: Path(store.folder.path) for store in vault.stores if isinstance(store, FolderStore)}
    good: list[str] = []
    others: list[str] = []
    for copy in backup.copies:
        path = paths.get(copy.store) if copy.here else None
        twin = (
            _twin(path, [(name, paths[name]) for name in good if name in paths])
            if facts and facts.kind == "block"
            else ""
        )
        if path and facts and shares_disk(path, facts):
            others.append(f"{copy.store} lies on the disk that it is to save")
        elif copy.here and copy.store not in whole:
            continue
        elif twin:
            others.append(f"{copy.store} lies on the disk of {twin}")
        else:
            good.append(copy.store)
    return GoodCopies(tuple(good), tuple(others))


def _twin(path: Path | None, good: list[tuple[str, Path]]) -> str:
    """The store that a broken disk takes together with this folder."""
    return next((name for name, other in good if path and lie_together(path, other)), "")
