"""A fresh recovery key: enrolled in a free keyslot, proven, marked by a token, sealed, kept. All of it or nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from luksafe.errors import LuksafeError, UsageError
from luksafe.escrow.contents import Secret
from luksafe.escrow.recovery_key import make_recovery_key
from luksafe.luks.model import Json
from luksafe.ops.backup import backup_target, note_opened, require_whole_keyslots
from luksafe.ops.escrow.enrolment import Enrolment, pending
from luksafe.ops.escrow.keeping import KeptPacket, keep, packet_files, proofs_of, require_place, sealed_path
from luksafe.ops.escrow.keyslots import (
    LiveHeader,
    add_keyslot,
    add_recovery_token,
    look_live,
    prove_keyslot,
    require_live,
)
from luksafe.ops.escrow.save import SaveOrder
from luksafe.ops.escrow.sealing import Sealed, seal_to_each
from luksafe.ops.escrow.unfinished import finish_unfinished, unfinished
from luksafe.ops.escrow.volume import ProvenVolume, make_contents
from luksafe.ops.workspace import Workspace
from luksafe.secret import SecretBytes

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class RecoveryPlan:
    """What will be done to a device: which keyslot, which token (None: LUKS1 has none)."""

    live: LiveHeader
    slot: int
    token: int | None
    unfinished: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """The plan in words."""
        token = (
            f"token {self.token} (systemd-recovery) will say so" if self.token is not None else "LUKS1 has no tokens"
        )
        return [
            f"{self.live.path} ({self.live.header.format}, {self.live.header.uuid}):",
            "  the header is backed up first, into the vault",
            *(f"  {words}" for words in self.unfinished),
            f"  cryptsetup puts a fresh recovery key into the free keyslot {self.slot}; {token}",
            "  it is opened with our own code, then sealed to the recipients; if any step fails, all is taken back",
        ]

    def to_json(self) -> Json:
        """The plan as ``--dry-run --json`` prints it."""
        return {
            "device": str(self.live.path),
            "uuid": self.live.header.uuid,
            "keyslot": self.slot,
            "token": self.token,
            "unfinished": list(self.unfinished),
        }


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was done. ``backups`` are the ids of the header before and after (empty when the last one failed)."""

    plan: RecoveryPlan
    kept: tuple[KeptPacket, ...]
    backups: tuple[str, str]
    note: str = ""


def plan_recovery(workspace: Workspace, volume: ProvenVolume, *, allow_damaged: bool = False) -> RecoveryPlan:
    """The plan. Raises Refused without a free keyslot, or for a damaged one; what else ``require_live`` raises."""
    live = require_live(volume.target)
    require_whole_keyslots(workspace, volume.target, allow_damaged=allow_damaged)
    left = tuple(
        f"keyslot {note.slot}, whose enrolment was interrupted, is taken back"
        for _, note in unfinished(workspace, live.header.uuid)
    )
    return RecoveryPlan(live, live.free_keyslot(), live.free_token(), left)


def save_recovery_key(
    workspace: Workspace, volume: ProvenVolume, plan: RecoveryPlan, order: SaveOrder, say: Say
) -> Recovered:
    """Carry out a confirmed plan. Whatever goes wrong or interrupts it, the device is as it was, and no packet is left.

    Raises LuksafeError with code ``undo-failed`` where it could not be taken back.
    """
    require_place(workspace, volume.facts, order.folder)
    if any(group.shares and group.shares_folder is None for group in order.groups):
        raise UsageError(
            "the shares of a recovery key are written to files, so that they are safe before its keyslot counts",
            hint="--shares-dir DIR",
        )
    for words in finish_unfinished(workspace, plan.live):
        say(words)
    before = backup_target(workspace, volume.target, "before a recovery key was added")
    say(f"backed up: {before}")
    with (
        make_recovery_key(workspace.random_bytes) as recovery_key,
        pending(workspace, plan.live, plan.slot, plan.token) as enrolment,
    ):
        now = _enrol(plan, volume, recovery_key, enrolment)
        say(f"keyslot {plan.slot} opens with the recovery key")
        sealed = _seal(workspace, now, order, plan, recovery_key)
        files = [sealed_path(each, order.folder) for each in sealed] if order.folder else []
        files += [path for each in sealed for path in each.share_files]
        enrolment.name_packets([packet_files(each).id for each in sealed], files)
        kept = keep(workspace, sealed, proofs_of(workspace, now.header), volume.facts, order.folder)
    try:
        after, note = backup_target(workspace, volume.target, "with the recovery key"), ""
        what = f"keyslot {plan.slot} opened with the recovery key that was just put there"
        note_opened(workspace, after, plan.slot, volume.digest_id, what)
    except LuksafeError as error:
        after, note = "", f"the header with the recovery key could not be backed up: {error}"
    return Recovered(plan, tuple(kept), (before, after), note)


def _enrol(plan: RecoveryPlan, volume: ProvenVolume, key: SecretBytes, enrolment: Enrolment) -> ProvenVolume:
    """The volume with its header as it is then."""
    add_keyslot(plan.live, volume.volume_key, key, plan.slot, enrolment.cost, enrolment.keep_open)
    prove_keyslot(plan.live.path, plan.slot, key, volume.volume_key)
    if plan.token is not None:
        add_recovery_token(plan.live, plan.slot, plan.token, enrolment.keep_open)
    inspection = look_live(plan.live.path)
    target = replace(volume.target, inspection=inspection)
    return replace(volume, header=inspection.require_header(), target=target)


def _seal(
    workspace: Workspace, volume: ProvenVolume, order: SaveOrder, plan: RecoveryPlan, key: SecretBytes
) -> list[Sealed]:
    secrets = [Secret("passphrase", key, plan.slot)]
    if "volume-key" in order.kinds:
        secrets.insert(0, Secret("volume-key", volume.volume_key, volume.digest_id))
    contents = make_contents(workspace, volume, tuple(secrets), reason=order.reason, with_header=order.with_header)
    return seal_to_each(workspace, contents, order.groups)
