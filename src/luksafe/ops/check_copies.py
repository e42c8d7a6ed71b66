"""Which copies of a backup count for a device: whole ones, read just now, and not on its own disk."""

from __future__ import annotations

from pathlib import Path

from luksafe.device.identity import DeviceFacts
from luksafe.device.location import shares_disk
from luksafe.vault.backup import Backup
from luksafe.vault.report import Check
from luksafe.vault.vault import Vault


def good_copies(vault: Vault, stores: Check, backup: Backup, facts: DeviceFacts) -> list[str]:
    """The stores that hold the backup whole, read just now (or remembered, when away), and not on this disk."""
    whole = {report.store for report in stores.stores if backup.id in report.intact}
    paths = {store.name: getattr(getattr(store, "folder", None), "path", None) for store in vault.stores}
    names = []
    for copy in backup.copies:
        path = paths.get(copy.store)
        if copy.here and (copy.store not in whole or (path and shares_disk(Path(path), facts))):
            continue
        names.append(copy.store)
    return names
