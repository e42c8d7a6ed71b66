"""What the vault knows of a backup that is to be restored, and the proof of it on the device by a key."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from luksafe.luks.model import Header
from luksafe.ops.newer import Newer, newest_known
from luksafe.ops.proof import DataProof, ProofKey, ProofReport, examine_data, stored_id
from luksafe.ops.record import lineage_of
from luksafe.ops.restore_plan import RestoreTarget
from luksafe.ops.target import Target
from luksafe.ops.workspace import Workspace
from luksafe.reader import Reader
from luksafe.vault.backup import Backup
from luksafe.vault.record import Device


@dataclass(frozen=True, slots=True)
class Known:
    """``backup_id`` is that of the vault with these very bytes, ``devices`` those that the volume was seen on.

    ``size_bytes`` is that of the device that this backup was made of, 0 where that is not known.
    ``recognised`` says what an earlier proof saw the data to be.
    """

    backup_id: str = ""
    devices: tuple[Device, ...] = ()
    size_bytes: int = 0
    is_detached: bool = False
    newer: Newer | None = None
    recognised: str = ""


def known_of(workspace: Workspace, source: Target) -> Known:
    """What the vault says of a backup, also of one in a file."""
    header = source.inspection.require_header()
    backup_id = source.backup.id if source.backup else stored_id(workspace, source)
    with workspace.vault_if_readable() as vault:
        if vault is None:
            return Known()
        lineage = lineage_of(header)
        related = [b for b in vault.backups(header.uuid) if _is_of(b, backup_id, lineage)]
        records = [backup.record for backup in related]
        seen = [proof.found for backup in related for proof in backup.proofs if proof.has_recognised_data]
        own = next((record for record in records if record.id == backup_id), None)
        return Known(
            backup_id,
            tuple(record.device for record in sorted(records, key=lambda record: record.id != backup_id)),
            own.device.size if own else 0,
            any(record.parameters.get("detached") is True for record in records),
            newest_known(vault, header, backup_id),
            seen[-1] if seen else "",
        )


def _is_of(backup: Backup, backup_id: str, lineage: str) -> bool:
    """Whether it is this backup, or one of the same volume key; of others' stores only what was named."""
    is_related = bool(lineage) and backup.record.lineage == lineage and not backup.is_foreign
    return backup.id == backup_id or is_related


def prove_on(stored: Reader, header: Header, target: RestoreTarget, key: ProofKey, known: Known) -> ProofReport:
    """Open the stored header with a key and look at the data on the device. Raises what ``open`` does."""
    opened = key.open(stored, header)
    try:
        if opened.is_unbound:
            data = DataProof(False, why="the keyslot is unbound: its key decrypts no data")
        elif header.is_detached or known.is_detached:
            data = DataProof(False, why="the header is a detached one: its data are elsewhere")
        elif header.is_in_reencryption:
            data = DataProof(False, why="the volume is in reencryption: parts of it have another key")
        else:
            data = examine_data(target.reader, header, opened.volume_key, opened.digest_id)
    except OSError as problem:
        data = DataProof(False, why=f"the data cannot be read: {problem.strerror}")
    if data.is_doubtful and data.makes_sense is None and known.recognised:
        data = replace(data, why=f"{data.why}; they were seen to be {known.recognised} before", makes_sense=False)
    return ProofReport(
        keyslot=opened.keyslot if key.volume_key is None else None,
        volume_key_sha256=hashlib.sha256(opened.volume_key.view).hexdigest(),
        digest_id=opened.digest_id,
        is_unbound=opened.is_unbound,
        data=data,
        noted_with=known.backup_id if data.makes_sense else "",
    )
