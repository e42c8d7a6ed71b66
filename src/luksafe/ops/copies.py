"""How many copies there are: stores on disks of their own, counted here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from luksafe.device.identity import DeviceFacts, describe
from luksafe.device.location import falls_with, lie_together
from luksafe.errors import LuksafeError
from luksafe.ops.recorded_device import tie_of
from luksafe.vault.backup import Backup
from luksafe.vault.folder_store import FolderStore
from luksafe.vault.report import Check, Copy
from luksafe.vault.vault import Vault


@dataclass(frozen=True, slots=True)
class CountedCopies:
    """``stores`` hold a copy that counts, ``away`` are those of them that are not here now.

    ``others`` could hold one and it does not count: their names, and why.
    """

    stores: tuple[str, ...]
    away: tuple[str, ...] = ()
    others: tuple[tuple[str, str], ...] = ()

    @property
    def names(self) -> str:
        """Those that count, away ones named as away."""
        return ", ".join(f"{name} (away)" if name in self.away else name for name in self.stores)

    @property
    def reasons(self) -> list[str]:
        """Why each of the others does not count."""
        return [f"{name} {why}" for name, why in self.others]


def count_copies(vault: Vault, copies: Iterable[Copy], facts: DeviceFacts | None) -> CountedCopies:
    """The copies on disks of their own: not on that of the device or image, and of several on one disk the first.

    Of a store that is away the disk is not known: it is taken for one of its own.
    """
    paths = {store.name: Path(store.folder.path) for store in vault.stores if isinstance(store, FolderStore)}
    good: list[str] = []
    away: list[str] = []
    others: list[tuple[str, str]] = []
    for copy in copies:
        path = paths.get(copy.store) if copy.here else None
        twin = next((name for name in good if path and name in paths and lie_together(path, paths[name])), "")
        if path and facts and falls_with(path, facts):
            others.append((copy.store, "lies on the disk that it is to save"))
        elif twin:
            others.append((copy.store, f"lies on the disk of {twin}"))
        else:
            good.append(copy.store)
            away += [] if copy.here else [copy.store]
    return CountedCopies(tuple(good), tuple(away), tuple(others))


def good_copies(vault: Vault, stores: Check, backup: Backup, facts: DeviceFacts | None) -> CountedCopies:
    """The same of a backup, whose copies were read just now: only whole ones can count."""
    whole = {report.store for report in stores.stores if backup.id in report.intact}
    return count_copies(vault, (copy for copy in backup.copies if not copy.here or copy.store in whole), facts)


def listed_copies(vault: Vault, backup: Backup) -> CountedCopies:
    """The same of a backup as it is listed, beside its device where that is here."""
    return count_copies(vault, backup.copies, device_of(backup))


def device_of(backup: Backup) -> DeviceFacts | None:
    """The device that a backup was taken of, where its recorded path still leads to it."""
    recorded = backup.record.device
    try:
        facts = describe(recorded.path) if recorded.path else None
    except LuksafeError:
        return None
    return facts if facts and tie_of(recorded, facts).is_tied else None


def twin_of(vault: Vault, name: str) -> str:
    """The store that lies on the disk of this one and was there before; empty where it has a disk of its own."""
    counted = count_copies(vault, [Copy(store.name, here=True) for store in vault.stores], None)
    return next((why.removeprefix("lies on the disk of ") for other, why in counted.others if other == name), "")
