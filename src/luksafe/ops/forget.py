"""Forget: what would go and what would stay of a backup or a packet, said beforehand; then the tombstone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from luksafe.errors import LuksafeError
from luksafe.ops.forgetting import Keep, why_keep_each, why_keep_packet
from luksafe.ops.undo_copies import UndoCopy, remove_undo_copies, undo_copies
from luksafe.ops.workspace import Workspace
from luksafe.vault.backup import Backup
from luksafe.vault.packets import StoredPacket
from luksafe.vault.report import Forgotten
from luksafe.vault.vault import Vault


@dataclass(frozen=True, slots=True)
class ForgetPlan:
    """What forgetting one thing comes to. ``undo``: entries that hold the same header; ``keep``: why it should stay."""

    id: str
    what: str
    uuid: str
    is_backup: bool
    stores: tuple[str, ...]
    away: tuple[str, ...]
    undo: tuple[UndoCopy, ...] = ()
    keep: Keep | None = None


@dataclass(frozen=True, slots=True)
class Forgot:
    """What was done, and the undo entries that went with it or still hold the header."""

    forgotten: Forgotten
    undo_removed: tuple[str, ...] = ()
    undo_kept: tuple[str, ...] = ()


def plan_forget(workspace: Workspace, vault: Vault, named: Sequence[Backup | StoredPacket]) -> list[ForgetPlan]:
    """The plans for backups and packets that are to go together, in their order."""
    keeps = why_keep_each(vault, [each for each in named if isinstance(each, Backup)])
    away = tuple(store.name for store in vault.away)
    going = {each.id for each in named}
    return [
        _of_backup(workspace, vault, each, away, keeps.get(each.id))
        if isinstance(each, Backup)
        else _of_packet(each, away, why_keep_packet(vault, each, going))
        for each in named
    ]


def forget(workspace: Workspace, vault: Vault, plan: ForgetPlan, *, why: str, with_undo: bool) -> Forgot:
    """Remove it everywhere, with a tombstone; and ``with_undo`` the undo entries of writes that are finished."""
    forgotten = vault.forget(plan.id, why, now=workspace.now(), host=workspace.host_name)
    removed = remove_undo_copies(workspace, plan.undo) if with_undo else []
    kept = tuple(copy.id for copy in plan.undo if copy.id not in removed)
    return Forgot(forgotten, tuple(removed), kept)


def _of_backup(
    workspace: Workspace, vault: Vault, backup: Backup, away: tuple[str, ...], keep: Keep | None
) -> ForgetPlan:
    state = "the current backup" if backup.is_current else "an older backup"
    try:
        undo = tuple(undo_copies(workspace, [vault.image(backup.id).data]))
    except LuksafeError:
        undo = ()  # no good copy is here to compare with
    return ForgetPlan(
        id=backup.id,
        what=f"{state} of {backup.record.uuid or 'a volume without a UUID'}, taken {backup.record.created}",
        uuid=backup.record.uuid,
        is_backup=True,
        stores=tuple(copy.store for copy in backup.copies if copy.here),
        away=away,
        undo=undo,
        keep=keep,
    )


def _of_packet(packet: StoredPacket, away: tuple[str, ...], keep: Keep | None) -> ForgetPlan:
    what = f"an escrow packet of {packet.uuid or 'a volume without a UUID'}"
    return ForgetPlan(packet.id, what, packet.uuid, is_backup=False, stores=packet.stores, away=away, keep=keep)
