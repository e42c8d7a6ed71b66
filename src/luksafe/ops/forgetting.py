"""May this backup be forgotten? One rule, asked by ``forget`` before it acts and by ``check`` before it advises it."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from luksafe.luks.model import Digest, Header
from luksafe.ops.check_report import rests_on
from luksafe.ops.recorded_device import is_one_device
from luksafe.ops.stored_headers import StoredHeader, stored_headers
from luksafe.vault.backup import Backup
from luksafe.vault.packets import StoredPacket
from luksafe.vault.record import Device, Proof
from luksafe.vault.vault import Vault

Key = tuple[bytes, bytes]
"""Salt and value of a digest: equal ones are of one volume key."""


@dataclass(frozen=True, slots=True)
class Keep:
    """Why a backup should stay; ``next`` is what would change that, empty where nothing would."""

    code: str
    text: str
    next: str = ""


class Forgetting:
    """The backups of one volume that can be read now, to ask of each whether it may go."""

    def __init__(self, vault: Vault, uuid: str) -> None:
        self._stored = list(stored_headers(vault, vault.backups(uuid)))

    def why_keep(self, backup: Backup, going: Collection[str] = ()) -> Keep | None:
        """Why this backup should stay when those of the ids ``going`` go with it; None when nothing is lost with it.

        What counts as a successor was opened by a keyslot: a header alone proves nothing.
        """
        rest = [stored for stored in self._stored if stored.backup.id not in {backup.id, *going}]
        if not rest:
            return Keep("last-backup", "it is the last backup of this volume that can be read")
        mine = next((stored for stored in self._stored if stored.backup.id == backup.id), None)
        if (backup.record.is_erased and mine is None) or (mine and not has_keyslots(mine.header)):
            return None
        if not any(has_keyslots(stored.header) for stored in rest):
            return Keep("last-with-keyslots", "it is the last backup with a keyslot: no passphrase opens the others")
        proven = [stored for stored in rest if _proven_keys(stored)]
        if proven_by_keyslot(backup) and not proven:
            return Keep("last-proven", "it is the last backup that was proven to open the volume", _prove(rest))
        if not proven or (mine is not None and not _is_succeeded(mine, proven)):
            text = "no other backup was proven to open the same volume key"
            return Keep("successor-unproven", text, _prove(rest))
        return None


def why_keep_packet(vault: Vault, packet: StoredPacket, going: Collection[str]) -> Keep | None:
    """Why an escrow packet should stay when those of the ids ``going`` go with it: where no passphrase opens a backup.

    Of a volume without any backup its device alone tells, and that is not looked at here.
    """
    if any(other.id not in {packet.id, *going} for other in vault.packets(packet.uuid)):
        return None
    stored = list(stored_headers(vault, vault.backups(packet.uuid)))
    if not stored or any(has_keyslots(each.header) for each in stored if each.backup.id not in going):
        return None
    text = "no backup with a keyslot and no other packet of this volume would be left: it may be the last way in"
    return Keep("last-packet", text)


def has_keyslots(header: Header) -> bool:
    """Whether any keyslot is there that a passphrase may open."""
    return any(keyslot.type == "luks2" for keyslot in header.keyslots.values())


def proven_by_keyslot(backup: Backup) -> bool:
    """Whether a keyslot of it was opened; that a bare volume key fits shows no way in."""
    return any(proof.keyslot is not None for proof in backup.proofs)


def why_keep_each(vault: Vault, going: Sequence[Backup]) -> dict[str, Keep]:
    """Of the backups that are to go together, those that should stay, by id."""
    going = [backup for backup in going if backup.tombstone is None]  # of the others the rest may go
    ids = {backup.id for backup in going}
    volumes = {backup.record.uuid: Forgetting(vault, backup.record.uuid) for backup in going}
    found = {backup.id: volumes[backup.record.uuid].why_keep(backup, ids) for backup in going}
    return {backup_id: keep for backup_id, keep in found.items() if keep is not None}


def _is_succeeded(mine: StoredHeader, proven: Iterable[StoredHeader]) -> bool:
    """Whether others open every key that this one opens, or the data of its device were seen to have another by now."""
    left = _keys(mine.header.digests_in_use)
    for stored in proven:
        if stored.header.is_in_reencryption:
            continue  # when the reencryption goes on, this header opens nothing any more
        left -= _proven_keys(stored)
        if stored.backup.is_current and not mine.backup.is_current and _is_seen_on(mine.backup.record.device, stored):
            return True
    return not left


def _is_seen_on(device: Device, stored: StoredHeader) -> bool:
    """Whether a keyslot of it was seen to decrypt the data of this very device: those of a clone say nothing."""
    return any(
        rests_on(proof) == "data" and proof.keyslot is not None and is_one_device(_device_of(proof, stored), device)
        for proof in stored.backup.proofs
    )


def _device_of(proof: Proof, stored: StoredHeader) -> Device:
    return proof.device if isinstance(proof.device, Device) else stored.backup.record.device


def _proven_keys(stored: StoredHeader) -> set[Key]:
    """The volume keys that a keyslot of this backup was seen to open, a keyslot that is in it."""
    header = stored.header
    opened = {proof.keyslot for proof in stored.backup.proofs if proof.keyslot in header.keyslots}
    digests = (header.digest_of_keyslot(keyslot) for keyslot in opened if keyslot is not None)
    return _keys(digest for digest in digests if digest is not None)


def _keys(digests: Iterable[Digest]) -> set[Key]:
    return {(digest.salt, digest.digest) for digest in digests}


def _prove(rest: Sequence[StoredHeader]) -> str:
    """The command that would prove a successor: the current one, if it has a keyslot."""
    usable = [stored for stored in rest if has_keyslots(stored.header)]
    best = next((stored for stored in usable if stored.backup.is_current), usable[0])
    device = best.backup.record.device.path
    return shlex.join(["luksafe", "prove", best.backup.id[:12], *(["--data", device] if device else [])])
