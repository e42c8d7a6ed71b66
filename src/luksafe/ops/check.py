"""Check: is each volume safe? Its current header in enough places, each read, one copy proven to open it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from luksafe.device.identity import DeviceFacts, describe
from luksafe.errors import LuksafeError, NotFound
from luksafe.luks.finding import Severity
from luksafe.luks.model import Header
from luksafe.ops.check_keys import (
    DeviceInCheck,
    clear_text_reasons,
    decrypted_reason,
    erased_reason,
    keyslot_reasons,
    proof_reasons,
    reencryption_reason,
    weakness_notes,
)
from luksafe.ops.check_lost import Before, absence, as_note, replaced_reason, volumes_before
from luksafe.ops.check_match import Match, as_own, best_match, match_of, to_restore
from luksafe.ops.check_notes import backup_notes, copy_reasons, stale_packets, store_reasons
from luksafe.ops.check_reasons import (
    apart_reasons,
    damage_reasons,
    destroyed_reasons,
    device_reasons,
    drift_reasons,
    lost_header,
    size_reason,
)
from luksafe.ops.check_report import CheckReport, Reason, VolumeCheck, best_proof, is_in_use, rests_on
from luksafe.ops.check_ties import untied_reasons
from luksafe.ops.clones import own_lineage
from luksafe.ops.contradiction import find_contradicted, find_witnesses
from luksafe.ops.copies import good_copies
from luksafe.ops.mapping_header import mapped_uuid
from luksafe.ops.record import uuid_of
from luksafe.ops.recorded_device import backups_of_device, tie_of
from luksafe.ops.roster import MissingVolume, Roster, take_roster
from luksafe.ops.target import Target, open_target
from luksafe.ops.workspace import Workspace
from luksafe.vault.report import Check
from luksafe.vault.vault import Vault

if TYPE_CHECKING:
    from luksafe.ops.escrow.summary import PacketSummary

Judge = Callable[[str, Target], VolumeCheck]


@dataclass(frozen=True, slots=True)
class _Bench:
    """What every volume is judged with; ``present`` gathers the UUIDs of those that were found."""

    workspace: Workspace
    vault: Vault
    stores: Check
    present: set[str] = field(default_factory=set)


def check_devices(
    workspace: Workspace, devices: Sequence[tuple[str, str | None]], *, everything: bool = False
) -> CheckReport:
    """Check devices (each with its detached header, if any), and every file of every store that is here.

    With ``everything`` also every volume of this machine, and every one that the vault knows, here or not.
    """
    try:
        vault = workspace.open_vault()
    except NotFound:
        wanted = [*devices, *(take_roster(workspace, None).devices if everything else ())]
        return CheckReport(tuple(_check_one(workspace, device, header, _without_backup) for device, header in wanted))
    with vault:
        bench = _Bench(workspace, vault, vault.check(now=workspace.now()))
        roster = take_roster(workspace, vault) if everything else Roster(())
        wanted = list(dict.fromkeys([*devices, *roster.devices, *((m.device, None) for m in roster.with_device)]))
        volumes = [_check_one(workspace, device, header, partial(_judge, bench)) for device, header in wanted]
        volumes += [_judge_missing(bench, missing) for missing in roster.missing if not missing.has_device]
        vault.see_volumes(bench.present, now=workspace.now())
        return CheckReport(tuple(volumes), tuple(store_reasons(bench.stores)))


def _check_one(workspace: Workspace, device: str, header_name: str | None, judge: Judge) -> VolumeCheck:
    """The judgement of a device; of one that cannot be looked at, why. The others are checked all the same."""
    try:
        with open_target(workspace, device, header_name) as target:
            return judge(device, target)
    except LuksafeError as problem:
        return VolumeCheck(device, "", "unknown", (Reason(problem.code, str(problem), problem.hint),))


def _without_backup(device: str, target: Target) -> VolumeCheck:
    asked = DeviceInCheck(device, target)
    found = [*erased_reason(asked, None), *clear_text_reasons(asked), *reencryption_reason(asked)]
    reasons = _no_backup(device, target, [*found, *destroyed_reasons(target, device)])
    return VolumeCheck(device, uuid_of(target.inspection), "unprotected", reasons)


def _no_backup(device: str, target: Target, destroyed: Iterable[Reason]) -> tuple[Reason, ...]:
    reason = Reason("no-backup", "there is no backup of its header", f"luksafe backup {target.words(device)}")
    if target.inspection.format == "none":
        text = "it has no LUKS header, and no backup is known to be of this device (all that there are: luksafe list)"
        reason = Reason("no-header", text, f"luksafe diagnose {target.words(device)}")
    return (*lost_header(device), *apart_reasons(device, target), *destroyed, reason)


def _judge(bench: _Bench, device: str, target: Target) -> VolumeCheck:
    """The volume that a device holds, or held: with another header in its place, that of before is judged, as lost."""
    vault, uuid = bench.vault, uuid_of(target.inspection)
    facts = describe(target.data_path or device)
    if uuid:
        bench.present.add(uuid)
    before = volumes_before(vault, facts, target)
    of = uuid or mapped_uuid(device)
    if vault.current(of):
        return _judge_kept(bench, device, target, facts, of, before)
    if before:
        return _judge_replaced(bench, device, target, facts, before[0])
    known = [] if uuid else backups_of_device(vault, facts)
    if not known:
        return _without_backup(device, target)
    return _judge_kept(bench, device, target, facts, known[0].record.uuid, ())


def _judge_kept(
    bench: _Bench,
    device: str,
    target: Target,
    facts: DeviceFacts,
    uuid: str,
    before: Sequence[Before],
) -> VolumeCheck:
    if decrypted := tuple(decrypted_reason(DeviceInCheck(device, target))):
        return VolumeCheck(device, uuid, "at-risk", decrypted)
    vault, live = bench.vault, target.inspection.header
    own = own_lineage(vault, uuid, facts)
    current = [backup for backup in vault.backups(uuid) if backup.id in own.lineage.current]
    # what is kept of a clone that is not here now is no rival
    current = [backup for backup in current if tie_of(backup.record.device, facts).is_tied] or current
    opens = next((backup for backup in current if not backup.record.is_erased), None)
    is_erased = live is not None and live.is_erased
    # an erased header is no header to keep: the backup that opens is what counts
    match = match_of(vault, opens, live, target) if is_erased and opens else best_match(vault, current, live, target)
    chosen = as_own(match, own)
    uuid = chosen.backup.record.uuid
    witnesses = find_witnesses(vault, uuid)
    restorable = to_restore(chosen, witnesses, [backup.id for backup in vault.current(uuid)])
    asked = DeviceInCheck(device, target, facts.size_bytes)
    reasons = [*erased_reason(asked, opens), *clear_text_reasons(asked), *reencryption_reason(asked)]
    reasons += device_reasons(bench.workspace, facts, target, device, chosen, restorable)
    if len(current) > 1:
        ids = ", ".join(backup.id[:12] for backup in current)
        text = f"which backup is current cannot be told: {ids}"
        reasons.append(Reason("split", text, f"luksafe diff {current[0].id[:12]} {current[1].id[:12]}"))
    damaged = find_contradicted(live, target.reader, witnesses) if live else ()
    is_whole = not damaged and all(f.severity is Severity.INFO for f in target.inspection.all_findings)
    reasons += damage_reasons(damaged, target, device) if damaged else destroyed_reasons(target, device)
    if not is_erased:  # what the headline says is not to be kept
        reasons += drift_reasons(chosen, damaged, target.words(device))
    resized = size_reason(own, facts, target.words(device))
    reasons += [resized] if resized else []
    reasons += untied_reasons(vault, uuid, facts, target.words(device)) if live else ()
    replaced = [replaced_reason(volume, device, target) for volume in before]
    is_meant = is_in_use([chosen.backup])
    reasons += [] if is_meant else replaced
    packets = packets_of(vault, uuid, live)
    notes = (
        *backup_notes(vault, chosen, own, facts, is_same=is_whole),
        *stale_packets(packets, device),
        *(as_note(reason) for reason in replaced if is_meant),
    )
    found = _Found(tuple(reasons), notes, live or chosen.header, packets)
    return _summed_up(bench, device, facts, chosen, found)


def _judge_replaced(bench: _Bench, device: str, target: Target, facts: DeviceFacts, lost: Before) -> VolumeCheck:
    chosen = match_of(bench.vault, lost.backup, None, target)
    uuid = lost.backup.record.uuid
    note = Reason("no-backup", f"the header that is there now ({uuid_of(target.inspection)}) has no backup")
    reasons = (*lost_header(device), replaced_reason(lost, device, target))
    found = _Found(reasons, (note,), chosen.header, packets_of(bench.vault, uuid))
    return _summed_up(bench, device, facts, chosen, found)


def _judge_missing(bench: _Bench, missing: MissingVolume) -> VolumeCheck:
    """A volume that is not here: by what was kept of it, and by how long ago it was seen."""
    chosen = match_of(bench.vault, missing.backup, None, None)
    reasons: tuple[Reason, ...] = ()
    notes: tuple[Reason, ...] = ()
    if missing.fate == "partition-gone":
        reasons = (Reason("partition-gone", missing.text, missing.next),)
    else:
        absent, is_overdue = absence(missing, bench.workspace.now(), bench.vault.config.absent_days)
        reasons, notes = ((absent,), ()) if is_overdue else ((), (absent,))
    found = _Found(reasons, notes, chosen.header, packets_of(bench.vault, missing.uuid))
    summed_up = _summed_up(bench, missing.device, None, chosen, found)
    if {reason.code for reason in summed_up.reasons} <= {"absent"}:
        return replace(summed_up, state="unknown")
    return summed_up


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found of a volume itself; ``header`` is that of its device, else of its backup."""

    reasons: tuple[Reason, ...]
    notes: tuple[Reason, ...]
    header: Header | None
    packets: tuple[PacketSummary, ...]


def _summed_up(bench: _Bench, device: str, facts: DeviceFacts | None, chosen: Match, found: _Found) -> VolumeCheck:
    """What was found of the volume, with what is kept of it: copies, proofs, ways in."""
    vault, backup = bench.vault, chosen.backup
    copies = good_copies(vault, bench.stores, backup, facts)
    proof = best_proof(backup.proofs)
    reasons = (
        *found.reasons,
        *copy_reasons(vault, copies),
        *proof_reasons(backup, chosen.header, device if facts else ""),
        *keyslot_reasons(found.header, device),
    )
    return VolumeCheck(
        device=device,
        uuid=backup.record.uuid,
        state="at-risk" if reasons else "safe",
        reasons=reasons,
        notes=found.notes,
        copies=copies.stores,
        away=copies.away,
        wanted_copies=vault.config.copies,
        proven=proof.when if proof else "",
        rests_on=rests_on(proof),
        found=proof.found if proof and rests_on(proof) == "data" else "",
        backup_id=backup.id,
        packets=found.packets,
        weaknesses=tuple(weakness_notes(found.header)),
    )


def packets_of(vault: Vault, uuid: str | None, live: Header | None = None) -> tuple[PacketSummary, ...]:
    """The escrow packets of a volume (of all with None), compared with its header, else with its current backup."""
    stored = vault.packets(uuid)
    if not stored:
        return ()
    # costs start-up time, and few volumes have packets
    from luksafe.ops.escrow.found import readable
    from luksafe.ops.escrow.summary import current_headers, summarise

    return summarise(readable(stored), live, current_headers(vault))
