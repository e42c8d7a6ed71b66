"""What is known to be newer than a backup: other backups of its volume, and what is left of the device's header."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from luksafe.luks.compare import keyslot_fingerprint, same_volume_key
from luksafe.luks.inspection import Inspection
from luksafe.luks.model import Header, Keyslot
from luksafe.ops.stored_headers import StoredHeader, stored_headers
from luksafe.vault.vault import Vault


@dataclass(frozen=True, slots=True)
class Newer:
    """A later state of the same volume; ``what`` names it, ``backup_id`` where the vault has it."""

    what: str
    header: Header
    backup_id: str


def newest_known(vault: Vault, header: Header, backup_id: str) -> Newer | None:
    """The latest backup of the volume that is newer than this one; None where none is."""
    stored = list(stored_headers(vault, vault.backups(header.uuid)))
    is_current = any(one.backup.id == backup_id and one.backup.is_current for one in stored)
    is_known = any(one.backup.id == backup_id for one in stored)
    newer = [one for one in stored if one.backup.id != backup_id and _is_newer(one, header, is_known, is_current)]
    if not newer:
        return None
    latest = max(newer, key=lambda one: (one.backup.is_current, one.header.seqid, one.backup.record.created))
    record = latest.backup.record
    return Newer(f"backup {record.id[:12]} of {record.created[:10]}", latest.header, record.id)


def _is_newer(one: StoredHeader, header: Header, is_known: bool, is_current: bool) -> bool:
    if same_volume_key(one.header, header) is not True:
        return False
    if is_current:  # what else is current stands beside it: which is later cannot be told
        return False
    later = one.header.seqid > header.seqid
    if not later and not keyslots_returning(one.header, header) and not keyslots_vanishing(one.header, header):
        return False  # the same state, of which another copy is damaged
    return (one.backup.is_current and (is_known or later)) or (later and not is_known)


def newer_remains(inspection: Inspection, header: Header) -> int | None:
    """The sequence id that is left of a newer header on the device, where no usable one is."""
    if inspection.header is not None:
        return None
    left = [copy.seqid or 0 for copy in inspection.copies if copy.uuid and copy.uuid.lower() == header.uuid.lower()]
    return max(left) if left and max(left) > header.seqid else None


def keyslots_returning(old: Header, new: Header) -> list[Keyslot]:
    """Keyslots of the backup that the device does not have any more."""
    present = {keyslot_fingerprint(k) for k in old.keyslots.values()}
    return [k for k in new.keyslots.values() if keyslot_fingerprint(k) not in present]


def keyslots_vanishing(old: Header, new: Header) -> list[Keyslot]:
    """Keyslots of the device that the backup does not have."""
    return keyslots_returning(new, old)


def returning_words(returning: Sequence[Keyslot]) -> str:
    """What it means that keyslots return."""
    if not returning:
        return ""
    slots = ", ".join(str(keyslot.id) for keyslot in returning)
    return f"; revoked passphrases work again (keyslot {slots})"
