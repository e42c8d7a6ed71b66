"""Restore: gather the facts for a plan; carry a confirmed plan out and validate what is then on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from luksafe.device.identity import describe
from luksafe.device.lock import metadata_lock
from luksafe.device.source import open_source
from luksafe.device.usage import find_uses
from luksafe.luks.areas import header_area_bytes
from luksafe.luks.compact import capture
from luksafe.luks.finding import Severity
from luksafe.luks.inspection import Inspection, inspect
from luksafe.ops.container import container_of
from luksafe.ops.contradiction import Contradicted, contradicted_in_vault
from luksafe.ops.elsewhere import parts_of, same_volume_on_others
from luksafe.ops.interruption import require_no_interruption
from luksafe.ops.keyslot_health import destroyed_keyslots
from luksafe.ops.moment import read_moment
from luksafe.ops.proof import ProofKey, ProofReport
from luksafe.ops.restore_known import Known, known_of, prove_on
from luksafe.ops.restore_plan import RestoreSource, RestoreTarget, plan_restore
from luksafe.ops.target import Target, open_target
from luksafe.ops.ties import find_ties
from luksafe.ops.workspace import Workspace
from luksafe.ops.write.plan import WritePlan
from luksafe.probe.recognise import recognise
from luksafe.probe.recognised import Kind
from luksafe.wall import ParserStopped

Say = Callable[[str], None]


def plan(workspace: Workspace, backup: str, device: str, key: ProofKey | None = None) -> WritePlan:
    """The plan to restore ``backup`` (of the vault, or a header file) to ``device``. Nothing is written.

    With a ``key`` the backup is opened by it, and the data on the device decrypted. Raises KeyRejected.
    """
    return plan_with_proof(workspace, backup, device, key)[0]


def plan_with_proof(
    workspace: Workspace, backup: str, device: str, key: ProofKey | None = None, *, remove_backup_gpt: bool = False
) -> tuple[WritePlan, ProofReport | None]:
    """The plan, and what came of the key; see ``plan``."""
    with open_target(workspace, backup) as opened, _look(device, remove_backup_gpt) as target:
        require_no_interruption(workspace, target.facts)
        known = known_of(workspace, opened)
        source = _source(workspace, opened, known)
        proof = prove_on(source.reader, source.inspection.require_header(), target, key, known) if key else None
        return plan_restore(source, _with_evidence(source, target, known, proof)), proof


def _with_evidence(
    source: RestoreSource, target: RestoreTarget, known: Known, proof: ProofReport | None
) -> RestoreTarget:
    header, data = source.inspection.require_header(), proof.data if proof else None
    ties = find_ties(
        header,
        source.reader,
        known.devices,
        target.facts,
        target.reader,
        target.inspection,
        data.found if data and data.is_recognised else "",
    )
    target = replace(target, ties=ties, proof=proof)
    if ties.is_at_least("keys"):
        return target
    stopped: list[ParserStopped] = []
    parts = parts_of(target.reader, target.signatures, source.reader, header, stopped.append)
    elsewhere = None
    if not ties.is_at_least("device"):
        is_detached = source.is_detached
        elsewhere = same_volume_on_others(header, known.devices, target.facts, is_detached=is_detached)
    return replace(target, parts=parts, elsewhere=elsewhere, unread=(*target.unread, *map(str, stopped)))


def look_again(device: Path) -> Inspection:
    """What is on the device now."""
    with open_source(device) as reader, metadata_lock(device):
        return inspect(reader)


def _source(workspace: Workspace, target: Target, known: Known) -> RestoreSource:
    """A vault backup with the ranges that it kept; any other header as a fresh capture would keep them."""
    target.inspection.require_header()
    if target.backup is not None:
        image = target.reader.read_at(0, target.reader.size_bytes)
        # a record can say anything; behind the header area lie the data, which no header backup is of
        end = header_area_bytes(target.inspection)
        ranges = [(start, min(start + length, end)) for start, length in target.backup.record.kept]
        kept = tuple((first, last) for first, last in ranges if first < last)
    else:
        taken = capture(target.reader, target.inspection)
        image, kept = taken.image, taken.kept
    return RestoreSource(
        image=image,
        kept=kept,
        inspection=target.inspection,
        reader=target.reader,
        name=target.description,
        device_size_bytes=known.size_bytes,
        destroyed_keyslots=destroyed_keyslots(target.reader, target.inspection.require_header()),
        has_damage=any(f.severity is not Severity.INFO for f in target.inspection.all_findings),
        contradicted=_contradicted(workspace, target),
        backup_id=target.backup.id if target.backup else "",
        is_detached=known.is_detached or target.inspection.require_header().is_detached,
        newer=known.newer,
    )


def _contradicted(workspace: Workspace, target: Target) -> tuple[Contradicted, ...]:
    """The keyslots of what is restored that a proven backup of the vault shows to be damaged."""
    # what is proven itself is among its witnesses, and agrees
    found = contradicted_in_vault(workspace, target.inspection.require_header(), target.reader)
    return tuple(one for one in found if one.is_proven)


@contextmanager
def _look(device: str, remove_backup_gpt: bool) -> Iterator[RestoreTarget]:
    facts = describe(device)
    with open_source(device) as reader:
        moment = read_moment(device, reader)
        stopped: list[ParserStopped] = []
        seen = recognise(reader, stopped=stopped.append)
        foreign = [r for r in seen if r.name != "crypto_LUKS" and r.kind is not Kind.BOOT_CODE]
        packed, uses, unread = container_of(reader), find_uses(device), tuple(map(str, stopped))
        yield RestoreTarget(
            facts, moment.reader, moment.inspection, uses, foreign, packed, remove_backup_gpt, unread=unread
        )
