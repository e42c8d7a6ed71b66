"""Apply: what a packet holds gives the volume a new passphrase, in a free keyslot of its intact header."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from luksafe.crypto.kdf import KdfLimits
from luksafe.errors import KeyRejected, LuksafeError
from luksafe.escrow.contents import Contents
from luksafe.luks.model import Json
from luksafe.ops.backup import backup_target, note_opened, require_whole_keyslots
from luksafe.ops.escrow.keyslots import LiveHeader, add_keyslot, prove_keyslot, require_live
from luksafe.ops.escrow.verify import require_same_volume
from luksafe.ops.escrow.volume import ProvenVolume, prove_volume
from luksafe.ops.target import Target
from luksafe.ops.workspace import Workspace
from luksafe.secret import SecretBytes

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ApplyPlan:
    """What will be done: a new passphrase in this free keyslot."""

    live: LiveHeader
    slot: int

    def lines(self) -> list[str]:
        """The plan in words."""
        return [
            f"{self.live.path} ({self.live.header.format}, {self.live.header.uuid}):",
            "  the header is backed up first, into the vault",
            f"  cryptsetup puts the new passphrase into the free keyslot {self.slot}",
            "  our own code then opens it",
            "  all other keyslots stay as they are",
        ]

    def to_json(self) -> Json:
        """The plan as ``--dry-run --json`` prints it."""
        return {"device": str(self.live.path), "uuid": self.live.header.uuid, "keyslot": self.slot}


def volume_from_packet(contents: Contents, target: Target, limits: KdfLimits | None = None) -> ProvenVolume:
    """The volume, opened with the first secret of the packet that fits. Raises KeyRejected, UsageError."""
    require_same_volume(contents.volume.uuid, target.inspection.require_header())
    problem: LuksafeError | None = None
    for secret in contents.secrets:
        try:
            if secret.kind == "volume-key":
                return prove_volume(target, volume_key=SecretBytes(secret.value.view), limits=limits)
            return prove_volume(target, passphrase=secret.value, limits=limits)
        except KeyRejected as error:
            problem = error
    raise KeyRejected(
        f"nothing in the packet opens {target.description} any more: {problem}",
        hint="see what changed: luksafe escrow verify PACKET DEVICE",
    )


def plan_apply(workspace: Workspace, volume: ProvenVolume) -> ApplyPlan:
    """The plan. Raises Refused without a free keyslot; what else ``require_live`` raises.

    A damaged keyslot may be why the packet is wanted: it is warned of, never refused.
    """
    live = require_live(volume.target)
    require_whole_keyslots(workspace, volume.target, allow_damaged=True)
    return ApplyPlan(live, live.free_keyslot())


def apply_packet(
    workspace: Workspace,
    volume: ProvenVolume,
    plan: ApplyPlan,
    passphrase: SecretBytes,
    cost: Sequence[str],
    say: Say,
) -> tuple[str, str]:
    """Carry out a confirmed plan; gives the ids of the backups before and after. Raises LuksafeError."""
    before = backup_target(workspace, volume.target, "before a new passphrase was added")
    say(f"backed up: {before}")
    add_keyslot(plan.live, volume.volume_key, passphrase, plan.slot, cost)
    try:
        prove_keyslot(plan.live.path, plan.slot, passphrase, volume.volume_key)
    except LuksafeError as error:
        error.hint = f"take it out again: cryptsetup luksKillSlot {plan.live.path} {plan.slot}"
        raise
    after = backup_target(workspace, volume.target, "with the new passphrase")
    note_opened(workspace, after, plan.slot, volume.digest_id, f"keyslot {plan.slot} opened with the new passphrase")
    return before, after
