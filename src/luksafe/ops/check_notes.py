"""What is worth knowing beside a volume's own state: copies, stores, packets, older backups, clones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from luksafe.device.identity import DeviceFacts
from luksafe.luks.compare import keyslot_fingerprint
from luksafe.luks.model import Header
from luksafe.ops.check_match import Match
from luksafe.ops.check_report import Reason
from luksafe.ops.copies import CountedCopies
from luksafe.ops.forgetting import Forgetting
from luksafe.ops.keyslot_health import destroyed_keyslots, destroyed_words
from luksafe.ops.recorded_device import tie_of
from luksafe.vault.backup import Backup
from luksafe.vault.lineage import OwnLineage
from luksafe.vault.report import Check
from luksafe.vault.vault import Vault

if TYPE_CHECKING:
    from luksafe.ops.escrow.summary import PacketSummary


def stale_packets(packets: Sequence[PacketSummary], device: str) -> Iterator[Reason]:
    """The escrow packets that open the volume no longer."""
    for packet in packets:
        if packet.stale:
            text = f"escrow packet {packet.id} opens it no longer: {packet.stale}"
            remedy = f"forget {packet.id}" if packet.is_dead else f"escrow verify {packet.id} {device}"
            yield Reason("packet-stale", text, f"luksafe {remedy}")


def copy_reasons(vault: Vault, copies: CountedCopies) -> Iterator[Reason]:
    """That there are too few copies, and why those that are there do not count."""
    wanted = vault.config.copies
    if len(copies.stores) < wanted:
        where = f" (in {copies.names})" if copies.stores else ""
        text = "; ".join((f"{len(copies.stores)} of {wanted} good copies{where}", *copies.reasons))
        useful = len(vault.stores) + len(vault.away) - len(copies.others)
        hint = "luksafe sync" if useful >= wanted else "luksafe stores add NAME DIR"
        yield Reason("too-few-copies", text, hint)


def backup_notes(
    vault: Vault, current: Match, own: OwnLineage, facts: DeviceFacts, *, is_same: bool
) -> Iterator[Reason]:
    """What still opens with a passphrase that the device no longer takes; which keyslot opens nothing any more."""
    yield from _clone_notes(own)
    if current.header is None or current.image is None:
        return
    # while the device is damaged or changed, no backup of it is one too many
    if is_same and current.backup.is_current and not current.changes:
        yield from _revoked(vault, current.backup, current.header, own, facts)
    destroyed = destroyed_keyslots(current.image, current.header)
    if destroyed:
        yield Reason("destroyed-keyslot", destroyed_words(destroyed, "the backup"))


def _clone_notes(own: OwnLineage) -> Iterator[Reason]:
    others = ", ".join(dict.fromkeys(event.device.path for event in own.apart))
    if others:
        text = f"another device has the same UUID ({others}): each is judged by what was kept of itself"
        yield Reason("clone", text, "", "warning")


def _revoked(vault: Vault, current: Backup, header: Header, own: OwnLineage, facts: DeviceFacts) -> Iterator[Reason]:
    """Backups that a revoked passphrase opens; those of a clone of the device are not the past of this one."""
    present = {keyslot_fingerprint(k) for k in header.keyslots.values()}
    forgetting = Forgetting(vault, current.record.uuid)
    for backup in vault.backups(current.record.uuid):
        slots = backup.record.parameters.get("keyslots", [])
        revoked = [s.get("slot") for s in slots if isinstance(s, dict) and s.get("enrolment", "") not in ("", *present)]
        if backup.id == current.id or backup.is_current or backup.id in own.apart_ids or not revoked:
            continue
        numbers = ", ".join(map(str, revoked))
        text = f"backup {backup.id[:12]} opens with passphrases revoked since (keyslot {numbers})"
        keep = forgetting.why_keep(backup)
        if keep is not None:
            yield Reason("revoked-keyslots", f"{text}; keep it: {keep.text}", keep.next)
        elif tie_of(backup.record.device, facts).is_tied:
            yield Reason("revoked-keyslots", text, f"luksafe forget {backup.id[:12]}")
        else:
            yield Reason("revoked-keyslots", f"{text}; it was not taken of this device, as far as is known")


def store_reasons(stores: Check) -> Iterator[Reason]:
    """What is wrong with stores."""
    for report in stores.stores:
        for problem in report.problems:
            name = f"{problem.store}: {problem.name}: " if problem.name else f"{problem.store}: "
            if problem.code == "foreign-tombstone":
                yield Reason("foreign-tombstone", f"{name}{problem.text}", "luksafe stores check")
            else:
                yield Reason("store-damaged", f"{name}{problem.text}", "luksafe sync")
    for away in stores.away:
        yield Reason("store-away", f"{away.name} ({away.where}) is not here: {away.why}", "luksafe sync")
