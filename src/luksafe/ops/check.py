"""Check: is each volume safe? Its current header in enough places, each read, one copy proven to open it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from luksafe.device.discover import find_luks_devices
from luksafe.device.identity import DeviceFacts, describe
from luksafe.errors import LuksafeError, NotFound
from luksafe.luks.compare import keyslot_fingerprint
from luksafe.luks.finding import Severity
from luksafe.luks.model import Header
from luksafe.luks.tokens import machine_bound_keyslots
from luksafe.ops.check_copies import GoodCopies, good_copies
from luksafe.ops.check_match import Match, best_match, to_restore
from luksafe.ops.check_report import CheckReport, Reason, VolumeCheck, best_proof, rests_on
from luksafe.ops.contradiction import Contradicted, find_contradicted, find_witnesses
from luksafe.ops.interruption import interruption_words
from luksafe.ops.keyslot_health import destroyed_keyslots, destroyed_words
from luksafe.ops.mapping_header import open_without_header
from luksafe.ops.record import uuid_of
from luksafe.ops.target import Target, open_target
from luksafe.ops.workspace import Workspace
from luksafe.vault.backup import Backup
from luksafe.vault.report import Check
from luksafe.vault.vault import Vault

if TYPE_CHECKING:
    from luksafe.ops.escrow.summary import PacketSummary

Judge = Callable[[str, Target], VolumeCheck]


def check_devices(workspace: Workspace, devices: Sequence[tuple[str, str | None]]) -> CheckReport:
    """Check devices (each with its detached header, if any), and every file of every store that is here."""
    try:
        vault = workspace.open_vault()
    except NotFound:
        return CheckReport(tuple(_check_one(workspace, device, header, _without_backup) for device, header in devices))
    with vault:
        stores = vault.check(now=workspace.now())
        judge = partial(_judge, workspace, vault, stores)
        volumes = tuple(_check_one(workspace, device, header, judge) for device, header in devices)
        return CheckReport(volumes, tuple(_store_reasons(stores)))


def every_device() -> list[tuple[str, str | None]]:
    """Every LUKS volume of this machine, with the detached header that crypttab names."""
    return [(found.path, found.header_path or None) for found in find_luks_devices()]


def _check_one(workspace: Workspace, device: str, header_name: str | None, judge: Judge) -> VolumeCheck:
    """The judgement of a device; of one that cannot be looked at, why. The others are checked all the same."""
    try:
        with open_target(workspace, device, header_name) as target:
            return judge(device, target)
    except LuksafeError as problem:
        return VolumeCheck(device, "", "unknown", (Reason(problem.code, str(problem), problem.hint),))


def _without_backup(device: str, target: Target) -> VolumeCheck:
    reasons = _no_backup(device, target, _destroyed_reasons(target, device))
    return VolumeCheck(device, uuid_of(target.inspection), "unprotected", reasons)


def _no_backup(device: str, target: Target, destroyed: Iterable[Reason]) -> tuple[Reason, ...]:
    reason = Reason("no-backup", "there is no backup of its header", f"luksafe backup {target.words(device)}")
    if target.inspection.format == "none":
        text = "it has no LUKS header, and no backup is known to be of this device (all that there are: luksafe list)"
        reason = Reason("no-header", text, f"luksafe diagnose {target.words(device)}")
    return (*_lost_header(device), *destroyed, reason)


def _lost_header(device: str) -> Iterator[Reason]:
    lost = open_without_header(device)
    if lost is not None:
        yield Reason("open-without-header", lost.text, lost.header.next)


def _judge(workspace: Workspace, vault: Vault, stores: Check, device: str, target: Target) -> VolumeCheck:
    uuid = uuid_of(target.inspection)
    facts = describe(target.data_path or device)
    current = vault.current(uuid) if uuid else backups_of_device(vault, facts)
    if not current:
        return _without_backup(device, target)
    uuid = current[0].record.uuid
    live = target.inspection.header
    chosen = best_match(vault, current, live, target)
    witnesses = find_witnesses(vault, uuid)
    restorable = to_restore(chosen, witnesses)
    reasons = list(_device_reasons(workspace, facts, target, device, chosen, restorable))
    if len(current) > 1:
        ids = ", ".join(backup.id[:12] for backup in current)
        text = f"which backup is current cannot be told: {ids}"
        reasons.append(Reason("split", text, f"luksafe diff {current[0].id[:12]} {current[1].id[:12]}"))
    damaged = find_contradicted(live, target.reader, witnesses) if live else ()
    is_whole = not damaged and all(f.severity is Severity.INFO for f in target.inspection.all_findings)
    reasons += _damage_reasons(damaged, target, device) if damaged else _destroyed_reasons(target, device)
    reasons += _drift_reasons(chosen, damaged, target.words(device))
    copies = good_copies(vault, stores, chosen.backup, facts)
    packets = packets_of(vault, uuid, live)
    proof = best_proof(chosen.backup.proofs)
    reasons += _copy_reasons(vault, copies)
    reasons += _proof_reasons(chosen.backup, chosen.header, device)
    reasons += _keyslot_reasons(live or chosen.header, device)
    return VolumeCheck(
        device=device,
        uuid=uuid,
        state="at-risk" if reasons else "safe",
        reasons=tuple(reasons),
        notes=(
            *_notes(vault, uuid, chosen, is_same=is_whole),
            *_stale_packets(packets, device),
        ),
        copies=copies.stores,
        wanted_copies=vault.config.copies,
        proven=proof.when if proof else "",
        rests_on=rests_on(proof),
        found=proof.found if proof and rests_on(proof) == "data" else "",
        backup_id=chosen.backup.id,
        packets=packets,
    )


def packets_of(vault: Vault, uuid: str | None, live: Header | None = None) -> tuple[PacketSummary, ...]:
    """The escrow packets of a volume (of all with None), compared with its header where that is at hand."""
    stored = vault.packets(uuid)
    if not stored:
        return ()
    # costs start-up time, and few volumes have packets
    from luksafe.ops.escrow.found import readable
    from luksafe.ops.escrow.summary import summarise

    return summarise(readable(stored), live)


def _stale_packets(packets: Sequence[PacketSummary], device: str) -> Iterator[Reason]:
    for packet in packets:
        if packet.stale:
            text = f"escrow packet {packet.id} opens it no longer: {packet.stale}"
            yield Reason("packet-stale", text, f"luksafe escrow verify {packet.id} {device}")


def backups_of_device(vault: Vault, facts: DeviceFacts) -> list[Backup]:
    """The current backups that were taken of this very device: for when its header is gone."""
    found = [
        b for b in vault.backups() if b.is_current and b.record.device.partition.get("target_key") == facts.target_key
    ]
    return [b for b in found if not b.is_foreign] or found  # anybody can write the name of a device into a record


def _device_reasons(
    workspace: Workspace, facts: DeviceFacts, target: Target, device: str, chosen: Match, restorable: str
) -> Iterator[Reason]:
    interrupted = interruption_words(workspace, facts)
    if interrupted:
        yield Reason("interrupted-write", interrupted, f"luksafe undo {device}")
    yield from _lost_header(device)
    if target.inspection.header is None:
        yield _no_header(target, device, chosen, restorable)
        return
    for finding in target.inspection.findings:
        if finding.severity is not Severity.INFO:
            yield Reason(finding.code, finding.text, f"luksafe diagnose {target.words(device)}")


def _no_header(target: Target, device: str, chosen: Match, restorable: str) -> Reason:
    if chosen.header and chosen.header.is_detached and not target.has_header_apart:
        text = "no header is on the device: it is a detached one, and has to be named"
        return Reason("header-detached", text, f"luksafe check {device} --header FILE")
    text = "the header on the device is damaged or gone: " + "; ".join(f.text for f in target.inspection.findings)
    return Reason("header-damaged", text, f"luksafe restore {restorable} {target.header_place(device)} --dry-run")


def _damage_reasons(damaged: Sequence[Contradicted], target: Target, device: str) -> Iterator[Reason]:
    for found in damaged:
        # without a proof it may as well be the backup that is damaged: a passphrase tells
        hint = f"luksafe diagnose {target.words(device)}"
        if found.is_proven:
            hint = f"luksafe restore {found.backup_id[:12]} {target.header_place(device)} --dry-run"
        yield Reason("keyslot-damaged", found.words(device), hint)


def _destroyed_reasons(target: Target, device: str) -> Iterator[Reason]:
    """What needs no backup to be seen: key material that is not random."""
    header = target.inspection.header
    if header and (destroyed := destroyed_keyslots(target.reader, header)):
        yield Reason(
            "destroyed-keyslot", destroyed_words(destroyed, device), f"luksafe diagnose {target.words(device)}"
        )


def _drift_reasons(chosen: Match, damaged: Sequence[Contradicted], device: str) -> Iterator[Reason]:
    slots = {f"keyslots.{found.keyslot}" for found in damaged}
    changes = [c for c in chosen.changes if c.code != "keyslot-area-differs" or c.where not in slots]
    hint = f"luksafe diagnose {device}" if damaged else f"luksafe backup {device}"
    if changes:
        words = "; ".join(change.text for change in changes)
        yield Reason("drift", f"the device changed since its backup: {words}", hint)
    elif not chosen.backup.is_current and not damaged:
        text = f"the device has the header of backup {chosen.backup.id[:12]}, but another one is current"
        yield Reason("not-current", text, hint)


def _copy_reasons(vault: Vault, copies: GoodCopies) -> Iterator[Reason]:
    wanted = vault.config.copies
    if len(copies.stores) < wanted:
        where = f" (in {', '.join(copies.stores)})" if copies.stores else ""
        text = "; ".join((f"{len(copies.stores)} of {wanted} good copies{where}", *copies.others))
        useful = len(vault.stores) + len(vault.away) - len(copies.others)
        hint = "luksafe sync" if useful >= wanted else "luksafe stores add NAME DIR"
        yield Reason("too-few-copies", text, hint)


def _proof_reasons(backup: Backup, header: Header | None, device: str) -> Iterator[Reason]:
    if not backup.proofs:
        text = "no copy was ever proven to open it"
        yield Reason("unproven", text, f"luksafe prove {backup.id[:12]} --data {device}")
    if header is None:
        yield Reason("backup-damaged", "no good copy of its backup can be read", "luksafe sync")


def _keyslot_reasons(header: Header | None, device: str) -> Iterator[Reason]:
    """What the keyslots of the header on the device, or where that is lost, of its backup, say of the ways in."""
    if header is None:
        return
    if not header.keyslots:
        yield Reason("no-keyslots", "its header has no keyslot: no passphrase opens it", "")
        return
    bound = machine_bound_keyslots(header)
    if bound >= set(header.keyslots):
        text = "only this machine's TPM opens it: a header backup is of no use when the machine is gone"
        yield Reason("tpm-only", text, f"systemd-cryptenroll --recovery-key {device}")


def _notes(vault: Vault, uuid: str, current: Match, *, is_same: bool) -> Iterator[Reason]:
    """What still opens with a passphrase that the device no longer takes; which keyslot opens nothing any more."""
    if current.header is None or current.image is None:
        return
    # while the device is damaged or changed, no backup of it is one too many
    if is_same and current.backup.is_current and not current.changes:
        yield from _revoked(vault, uuid, current.backup, current.header)
    destroyed = destroyed_keyslots(current.image, current.header)
    if destroyed:
        yield Reason("destroyed-keyslot", destroyed_words(destroyed, "the backup"))


def _revoked(vault: Vault, uuid: str, current: Backup, header: Header) -> Iterator[Reason]:
    present = {keyslot_fingerprint(k) for k in header.keyslots.values()}
    for backup in vault.backups(uuid):
        slots = backup.record.parameters.get("keyslots", [])
        revoked = [s.get("slot") for s in slots if isinstance(s, dict) and s.get("enrolment", "") not in ("", *present)]
        if backup.id != current.id and revoked:
            numbers = ", ".join(map(str, revoked))
            text = f"backup {backup.id[:12]} opens with passphrases revoked since (keyslot {numbers})"
            yield Reason("revoked-keyslots", text, f"luksafe forget {backup.id[:12]}")


def _store_reasons(stores: Check) -> Iterator[Reason]:
    for report in stores.stores:
        for problem in report.problems:
            name = f"{problem.store}: {problem.name}: " if problem.name else f"{problem.store}: "
            if problem.code == "foreign-tombstone":
                yield Reason("foreign-tombstone", f"{name}{problem.text}", "luksafe stores check")
            else:
                yield Reason("store-damaged", f"{name}{problem.text}", "luksafe sync")
    for away in stores.away:
        yield Reason("store-away", f"{away.name} ({away.where}) is not here: {away.why}", "luksafe sync")
