"""The headers of backups, read from the vault."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from luksafe.errors import LuksafeError
from luksafe.luks.inspection import inspect
from luksafe.luks.model import Header
from luksafe.reader import BytesReader, Reader
from luksafe.vault.backup import Backup
from luksafe.vault.vault import Vault


@dataclass(frozen=True, slots=True)
class StoredHeader:
    """A backup with its image, and the header in it."""

    backup: Backup
    reader: Reader
    header: Header


def stored_headers(vault: Vault, backups: Iterable[Backup]) -> Iterator[StoredHeader]:
    """Those of these backups that can be read and hold a usable header."""
    for backup in backups:
        try:
            reader = BytesReader(vault.image(backup.id).data)
        except LuksafeError:
            continue
        header = inspect(reader).header
        if header is not None:
            yield StoredHeader(backup, reader, header)
