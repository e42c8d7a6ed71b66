"""Repair: proposals for a damaged header become a plan of the one write path."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from luksafe.crypto.kdf import KdfLimits
from luksafe.device.identity import DeviceFacts, describe
from luksafe.device.source import DeviceReader, open_source
from luksafe.device.usage import find_uses
from luksafe.errors import DamagedInput, KeyRejected, NotFound, Refused, UsageError
from luksafe.luks.af import RandomBytes
from luksafe.luks.inspection import inspect
from luksafe.luks.luks1.binary_header import HEADER_BYTES
from luksafe.luks.model import CopyName
from luksafe.luks.repair.effort import Effort
from luksafe.luks.repair.proposal import Evidence, Ground, Outcome, Patch, PatchedReader, Proposal
from luksafe.luks.repair.stitch import Source, stitch
from luksafe.luks.repair.volume import propose_repair
from luksafe.luks.unlock import unlock
from luksafe.ops.container import require_bare
from luksafe.ops.foreign_signature import propose_wipe, wipeable_signatures
from luksafe.ops.interruption import require_no_interruption
from luksafe.ops.keyslot_health import destroyed_keyslots
from luksafe.ops.keyslot_repair import repair_keyslot
from luksafe.ops.leftovers import (
    LUKS,
    backup_gpt_patches,
    gpt_words,
    leftover_notes,
    live_backup_gpt,
    remaining,
)
from luksafe.ops.moment import read_moment
from luksafe.ops.repair_proof import RepairProof, prove_repair
from luksafe.ops.workspace import Workspace
from luksafe.ops.write.plan import Danger, Phase, WritePlan, read_old
from luksafe.probe.recognise import recognise
from luksafe.probe.recognised import Kind, Recognised
from luksafe.reader import Reader
from luksafe.secret import SecretBytes

UNPROVEN_FLAG = "--allow-unproven"
FLAG_HELP = {
    UNPROVEN_FLAG: "Write what only the form of the header speaks for; no checksum and no passphrase proves it.",
    "--allow-in-use": "The device is mounted, mapped or otherwise in use.",
}
"""Each danger has a flag of its own; ``--over NAME`` (a filesystem on the device) is the only one with a value."""
LUKS1_PLACE = "LUKS1 header"
_ORDER = ("secondary header", "primary header", LUKS1_PLACE)


@dataclass(frozen=True, slots=True)
class RepairRequest:
    """What the user asks for. ``take`` chooses a header copy; ``uuid`` replaces a lost one; ``passphrase`` proves;
    ``keyslot`` is searched for the flipped bit that keeps the passphrase from opening it; ``sources`` are files that
    may have whole what is damaged; ``wipe`` names foreign signatures to take out, ``remove_backup_gpt`` does so with
    a partition table at the end of the device.
    """

    take: CopyName | None = None
    uuid: str = ""
    passphrase: SecretBytes | None = None
    keyslot: int | None = None
    sources: tuple[str, ...] = ()
    wipe: tuple[str, ...] = ()
    remove_backup_gpt: bool = False
    limits: KdfLimits = field(default_factory=KdfLimits)


@dataclass(frozen=True, slots=True)
class RepairPlan:
    """What was found, and the write that mends it; ``plan`` is None when there is nothing to write."""

    outcome: Outcome
    plan: WritePlan | None
    wipeable: tuple[str, ...] = ()
    """Foreign signatures in unused bytes, which ``--wipe-signature`` takes out."""
    backup_gpt: str = ""
    """Words on a live backup GPT at the end of the device, if there is one."""
    proof: RepairProof | None = None
    """What the passphrase that was given proves."""
    destroyed: tuple[int, ...] = ()
    """Where nothing is written: the keyslots whose key material is destroyed, which no repair brings back."""

    def wants_key(self, accepted: Sequence[str] = ()) -> bool:
        """Whether something is a guess that a passphrase would prove, and none was given."""
        guesses = [p for p in self.outcome.proposals if not p.evidence.is_proof and p.ground is not Ground.NOTHING]
        return bool(guesses) and self.proof is None and UNPROVEN_FLAG not in accepted

    def to_json(self) -> dict[str, Any]:
        """Proposals, what is left, what helps, and the plan."""
        return {
            "proposals": [
                {"code": p.code, "text": p.text, "why": p.why, "evidence": p.evidence.value}
                for p in self.outcome.proposals
            ],
            "left": list(self.outcome.left),
            "helps": list(self.outcome.helps),
            "wipeable_signatures": list(self.wipeable),
            "backup_gpt": self.backup_gpt,
            "destroyed_keyslots": list(self.destroyed),
            "proof": self.proof.to_json() if self.proof else None,
            "plan": self.plan.to_json() if self.plan else None,
        }


def plan_repair(workspace: Workspace, device: str, request: RepairRequest, effort: Effort) -> RepairPlan:
    """The plan to mend the header on ``device``. Nothing is written.

    Raises Refused, with both sides, where the evidence is split and ``request.take`` does not choose.
    """
    facts = describe(device)
    require_no_interruption(workspace, facts)
    with open_source(device) as opened:
        _require_plain(opened)
        require_bare(opened)
        reader = read_moment(device, opened).reader
        outcome = propose_repair(
            reader,
            workspace.random_bytes,
            effort,
            take=request.take,
            uuid=request.uuid,
            key_at_hand=request.passphrase is not None,
        )
        if not outcome.sides:
            outcome = _from_sources(reader, outcome, request, workspace.random_bytes)
        if outcome.sides:
            raise _split(device, outcome)
        if request.wipe and outcome.proposals:
            later = f"wiping {', '.join(request.wipe)} waits until the header is in order: run the command again"
            outcome = replace(outcome, left=(*outcome.left, later))
        elif request.wipe and not outcome.left:
            outcome = replace(outcome, proposals=tuple(propose_wipe(reader, name) for name in request.wipe))
        if request.remove_backup_gpt:
            outcome = _without_gpt(reader, outcome)
        if request.keyslot is not None:
            outcome = _with_keyslot(reader, outcome, request, effort)
        proof = None
        if request.passphrase is not None:
            outcome, proof = prove_repair(reader, outcome, request.passphrase, request.keyslot, request.limits)
        if outcome.proposals:
            return RepairPlan(outcome, make_plan(facts, reader, outcome, proof), proof=proof)
        seen = inspect(reader)
        destroyed = destroyed_keyslots(reader, seen.header) if seen.header else ()
        gpt = live_backup_gpt(recognise(reader)) if seen.header else None
        words = gpt_words(facts.path, gpt) if gpt else ""
        return RepairPlan(outcome, None, tuple(wipeable_signatures(reader, seen)), words, proof, destroyed)


def _without_gpt(reader: Reader, outcome: Outcome) -> Outcome:
    """The outcome, and the removal of the backup partition table. Raises NotFound where there is none."""
    found = live_backup_gpt(recognise(reader))
    if found is None:
        raise NotFound("there is no live backup GPT at the end of the device", code="no-signature")
    text = f"take out the backup GPT at byte {found.offset}"
    why = "the volume begins at byte 0: a main table made of it again would overwrite the header"
    proposal = Proposal("backup-gpt-removed", text, why, Evidence.ONLY_VALUE, backup_gpt_patches(found))
    return replace(outcome, proposals=(*outcome.proposals, proposal))


def _from_sources(reader: Reader, outcome: Outcome, request: RepairRequest, random_bytes: RandomBytes) -> Outcome:
    """The outcome, completed with what the named files have whole."""
    if not request.sources:
        return outcome
    with ExitStack() as opened:
        sources = [Source(name, opened.enter_context(open_source(name))) for name in request.sources]
        opens = None if request.passphrase is None else partial(_opens, request.passphrase, request.limits)
        return stitch(reader, sources, outcome, random_bytes, opens)


def _opens(passphrase: SecretBytes, limits: KdfLimits, volume: Reader, slot: int) -> bool:
    try:
        unlock(volume, inspect(volume).require_header(), passphrase, keyslot=slot, limits=limits).volume_key.wipe()
    except (KeyRejected, DamagedInput):
        return False
    return True


def _with_keyslot(reader: Reader, outcome: Outcome, request: RepairRequest, effort: Effort) -> Outcome:
    """The outcome, and what can be done for the keyslot once the metadata are mended."""
    if request.passphrase is None:
        raise UsageError("a keyslot is searched with its passphrase: add --key-file F")
    after = PatchedReader(reader, outcome.patches)
    header = inspect(after).header
    if header is None:
        return outcome
    found = repair_keyslot(after, header, request.keyslot or 0, request.passphrase, request.limits, effort, reader)
    return Outcome(
        outcome.proposals + found.proposals,
        left=outcome.left + found.left,
        helps=tuple(dict.fromkeys(outcome.helps + found.helps)),
    )


def make_plan(facts: DeviceFacts, reader: Reader, outcome: Outcome, proof: RepairProof | None) -> WritePlan:
    """The write plan of the proposals: key material first, the primary copy last."""
    after = PatchedReader(reader, outcome.patches)
    header = inspect(after).require_header()
    notes = [proof.words] if proof else []
    lost = destroyed_keyslots(after, header)
    if lost:
        notes.append(f"the key material of keyslot {', '.join(map(str, lost))} is destroyed; no repair brings it back")
    notes += [f"not mended: {text}" for text in outcome.left]
    phases, signatures = tuple(_phases(reader, outcome.patches)), _foreign(reader)
    if signatures:
        notes += leftover_notes(facts.path, remaining(reader, phases), signatures)
    return WritePlan(
        purpose="repair",
        target=facts,
        phases=phases,
        dangers=tuple(_dangers(facts, reader, outcome, proof)),
        changes=tuple(f"{proposal.text}: {proposal.why}" for proposal in outcome.proposals),
        notes=tuple(notes),
        source=", ".join(dict.fromkeys(proposal.code for proposal in outcome.proposals)),
        uuid=header.uuid,
    )


def _foreign(reader: Reader) -> list[Recognised]:
    return [found for found in recognise(reader) if found.name != LUKS and found.kind is not Kind.BOOT_CODE]


def _require_plain(reader: DeviceReader) -> None:
    if reader.kind == "packed":
        raise UsageError(f"{reader.path} is packed; unpack it first: gunzip -k {Path(reader.path).name}")


def _split(device: str, outcome: Outcome) -> Refused:
    sides = "; ".join(f"{side.copy}: {side.text}" for side in outcome.sides)
    commands = "   or   ".join(f"luksafe repair {device} {side.option}" for side in outcome.sides)
    refused = Refused(
        f"the headers contradict each other, and nothing tells which is right: {sides}",
        code="split-evidence",
        hint=f"choose: {commands}",
    )
    refused.result = {
        "sides": [{"copy": side.copy, "text": side.text, "option": side.option} for side in outcome.sides]
    }
    return refused


def _phases(reader: Reader, patches: Sequence[Patch]) -> Iterator[Phase]:
    for what in sorted({patch.what for patch in patches}, key=lambda w: _ORDER.index(w) if w in _ORDER else -1):
        chosen = [patch for patch in patches if patch.what == what]
        if what == LUKS1_PLACE:
            chosen = [Patch(0, PatchedReader(reader, chosen).read_at(0, HEADER_BYTES), what)]
        yield Phase(what, tuple(read_old(reader, patch.offset, patch.data, what) for patch in chosen))


def _dangers(facts: DeviceFacts, reader: Reader, outcome: Outcome, proof: RepairProof | None) -> Iterator[Danger]:
    for use in find_uses(facts.path):
        yield Danger("in-use", use.detail, "--allow-in-use")
    guesses = [p for p in outcome.proposals if not p.evidence.is_proof and not (proof and proof.covers(p))]
    if guesses:
        yield Danger("unproven", _guess_words(guesses, proof), UNPROVEN_FLAG)
    for found in recognise(reader):
        # swap, LVM, RAID and partition tables are a sector that was laid over the header; a filesystem has more
        if found.kind is Kind.FILESYSTEM and found.copy == "primary" and _touches(found.offset, found.length, outcome):
            text = f"there is a {found.name} filesystem on the device; this would damage it"
            yield Danger("foreign-filesystem", text, f"--over {found.name}")


def _guess_words(guesses: Sequence[Proposal], proof: RepairProof | None) -> str:
    texts = "; ".join(proposal.text for proposal in guesses)
    if proof is not None:
        return f"the passphrase opens keyslot {proof.keyslot}, but that says nothing of this: {texts}"
    text = f"nothing but the form of the header speaks for this: {texts}"
    return text if all(p.ground is Ground.NOTHING for p in guesses) else f"{text} (--key-file F would prove it)"


def _touches(offset: int, length: int, outcome: Outcome) -> bool:
    return any(p.offset < offset + length and offset < p.offset + len(p.data) for p in outcome.patches)
