"""From the parts to the one word; the rules, in their order, are the table in spec/diagnosis.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from luksafe.luks.compact import KNOWN_REQUIREMENTS
from luksafe.luks.finding import Severity
from luksafe.luks.model import Header
from luksafe.ops.diagnosis.against_backup import Contradiction, formatted_again
from luksafe.ops.diagnosis.culprits import FILLINGS
from luksafe.ops.diagnosis.facts import Facts
from luksafe.ops.diagnosis.layout import VolumeLayout
from luksafe.ops.diagnosis.model import Culprit, KeyslotState, State, Verdict
from luksafe.ops.diagnosis.remains import USUAL_DATA_OFFSETS, has_luks_left
from luksafe.probe.statistics import SectorClass, classify_sectors

REENCRYPTION = ("online-reencrypt", "offline-reencrypt")
SPLIT_CODES = frozenset({"copies-uuid-differ", "copies-seqid-differ", "copies-content-differ"})


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict and the sentence that gives its reason."""

    verdict: Verdict
    summary: str


def decide(
    facts: Facts,
    layout: VolumeLayout,
    keyslots: Sequence[KeyslotState],
    culprits: Sequence[Culprit],
    contradiction: Contradiction | None,
) -> Judgement:
    """The first rule that applies."""
    if foreign := unknown_requirements(facts.inspection.header):
        text = f"the header is whole, but it requires {', '.join(foreign)}, which nothing here knows"
        return Judgement(Verdict.UNSUPPORTED, text)
    if facts.inspection.is_luks1_reencrypting:
        text = (
            "a reencryption of this LUKS1 volume was interrupted; it goes on with the files LUKS-<UUID>.log, .org"
            " and .new, which lie in the folder in which cryptsetup ran and hold both headers"
        )
        return Judgement(Verdict.NEEDS_BACKUP, text)
    if facts.mended.header is None:
        return _without_header(facts, culprits)
    header = facts.mended.header
    return (
        _keyslot_rules(facts, header, keyslots)
        or _metadata_rules(facts, contradiction, culprits)
        or _other_rules(facts, header)
        or Judgement(Verdict.HEALTHY, _healthy_words(header, culprits))
    )


def unknown_requirements(header: Header | None) -> list[str]:
    """The requirements that stop this and every other known tool."""
    names = header.config.requirements if header else ()
    return [name for name in names if name not in KNOWN_REQUIREMENTS and not name.startswith(REENCRYPTION)]


def _without_header(facts: Facts, culprits: Sequence[Culprit]) -> Judgement:
    unsupported = next((f for f in facts.inspection.findings if f.code == "unsupported-version"), None)
    if unsupported and not facts.backups and not facts.repair.proposals:
        return Judgement(Verdict.UNSUPPORTED, unsupported.text)
    if facts.backups:
        text = "no usable header is on the device; a backup in the vault brings it back"
        return Judgement(Verdict.NEEDS_BACKUP, text)
    if facts.headers_elsewhere:
        volume = facts.headers_elsewhere[0].uuid
        text = f"no header belongs here: that of volume {volume} is a detached one, of which the vault has a backup"
        return Judgement(Verdict.NEEDS_BACKUP, text)
    if facts.mappings:
        text = "no usable header is on the device, but it is mapped: the kernel still has the key"
        return Judgement(Verdict.NEEDS_KEY, text)
    if any(packet.is_of_volume and packet.holds_volume_key for packet in facts.packets):
        text = "no usable header is on the device, but an escrow packet in the vault holds a key of this volume"
        return Judgement(Verdict.NEEDS_KEY, text)
    if not has_luks_left(facts):
        return Judgement(Verdict.NOT_LUKS, _not_luks_words(facts, culprits))
    if _is_data_gone(facts) and not facts.packets:
        text = "neither header nor data are left: what was encrypted here reads as zeros or foreign data throughout"
        return Judgement(Verdict.LOST, text)
    text = "the header cannot be mended from what is left; a header backup or the volume key brings the data back"
    if facts.repair.is_unfinished:
        text = "how to mend the header was not found yet (repair searches longer); a backup or the volume key helps too"
    return Judgement(Verdict.NEEDS_BACKUP, text + _foreign_words(culprits))


def _foreign_words(culprits: Sequence[Culprit]) -> str:
    """A reminder that what is there now may be what somebody wants."""
    names = [culprit.name for culprit in culprits if culprit.name not in FILLINGS]
    return f" ({', '.join(names)} stands there now: if that is in use, leave it)" if names else ""


def _is_data_gone(facts: Facts) -> bool:
    """Nothing looks encrypted: in no sample, not where data usually begin, and nowhere behind the first keyslots."""
    samples = [s for s in (*facts.data_samples, facts.data_start) if len(s) >= 512]
    seen = any(SectorClass.RANDOM in classify_sectors(s).tolist() for s in samples)
    near = any(r.kind is SectorClass.RANDOM and r.end > min(USUAL_DATA_OFFSETS) for r in facts.runs)
    return bool(samples) and not seen and not near


def _not_luks_words(facts: Facts, culprits: Sequence[Culprit]) -> str:
    if facts.size_bytes == 0:
        return "it is empty (0 bytes): is it the right path?"
    shifted = next((trace for trace in facts.traces if trace.volume_offset), None)
    if shifted is not None:
        return f"no LUKS volume begins here, but one begins at byte {shifted.volume_offset} of it"
    names = ", ".join(dict.fromkeys(culprit.name for culprit in culprits))
    return f"no LUKS volume: it holds {names}" if names else "no LUKS volume, and nothing that looks like one"


def _keyslot_rules(facts: Facts, header: Header, keyslots: Sequence[KeyslotState]) -> Judgement | None:
    bound = {slot for d in header.digests.values() if d.segments for slot in d.keyslots}
    usable = [k for k in keyslots if k.slot in bound and k.state not in (State.INACTIVE, State.DESTROYED)]
    destroyed = [k.slot for k in keyslots if k.state is State.DESTROYED]
    if not usable:
        what = "every keyslot is destroyed" if destroyed else "the header has no keyslot left (erased, or all removed)"
        if facts.mappings and not facts.backups:
            return Judgement(Verdict.NEEDS_KEY, f"{what}; the volume is mapped, so the kernel still has the key")
        if any(packet.holds_volume_key for packet in facts.packets) and not facts.backups:
            return Judgement(Verdict.NEEDS_KEY, f"{what}; an escrow packet in the vault holds a key of this volume")
        return Judgement(Verdict.NEEDS_BACKUP, f"{what}: no passphrase opens it without a header backup or the key")
    if destroyed:
        names = ", ".join(map(str, destroyed))
        return Judgement(
            Verdict.NEEDS_BACKUP,
            f"keyslot {names} is destroyed and needs a backup; keyslot {', '.join(str(k.slot) for k in usable)} is not",
        )
    return None


def _metadata_rules(facts: Facts, contradiction: Contradiction | None, culprits: Sequence[Culprit]) -> Judgement | None:
    is_bad = facts.inspection.is_refused
    if any(f.code == "device-too-small" for f in facts.mended.findings):
        text = f"the device ends at byte {facts.size_bytes}, before the data begin: find the rest, a backup has no data"
        return Judgement(Verdict.NEEDS_BACKUP, text)
    # the UUID alone is no obstacle: the volume opens without one
    if facts.repair.left and (is_bad or _is_left_serious(facts)):
        return Judgement(Verdict.NEEDS_BACKUP, f"repair alone does not do: {facts.repair.left[0]}")
    if contradiction is not None and not facts.repair.proposals and not contradiction.is_only_uuid:
        text = f"the header contradicts backup {contradiction.backup.id[:12]}: {contradiction.texts[0]}"
        return Judgement(Verdict.NEEDS_BACKUP, text)
    if contradiction is not None and contradiction.is_only_uuid:
        return Judgement(Verdict.REPAIRABLE, f"it opens, but its UUID is damaged: it was {contradiction.backup.uuid}")
    if facts.repair.sides:
        return Judgement(Verdict.REPAIRABLE, "the two header copies contradict each other; it opens, but choose one")
    if facts.repair.proposals:
        what = "; ".join(proposal.text for proposal in facts.repair.proposals)
        return Judgement(Verdict.REPAIRABLE, f"repair can mend it: {what}{_foreign_words(culprits)}")
    if any(f.code in SPLIT_CODES for f in facts.inspection.findings):
        return Judgement(Verdict.REPAIRABLE, "the two header copies differ")
    if any(f.code == "uuid-form" for f in facts.inspection.findings):
        return Judgement(Verdict.REPAIRABLE, "it opens, but its UUID is damaged")
    if is_bad:
        errors = [f.text for f in facts.inspection.findings if f.severity is Severity.ERROR]
        return Judgement(Verdict.NEEDS_BACKUP, "; ".join(errors))
    return None


def _is_left_serious(facts: Facts) -> bool:
    after = facts.mended
    return any(f.severity is not Severity.INFO and f.code != "uuid-form" for f in after.findings)


def _other_rules(facts: Facts, header: Header) -> Judgement | None:
    if another := formatted_again(facts, header):
        text = f"the header in place is not that of volume {another.uuid}, which this device held before"
        return Judgement(Verdict.NEEDS_BACKUP, text)
    if facts.attempt is not None and facts.attempt.better:
        text = f"the header is wrong about its data: {facts.attempt.better}"
        return Judgement(Verdict.NEEDS_BACKUP, text)
    if facts.attempt is not None and facts.attempt.is_rejected:
        text = "nothing is damaged as far as can be seen, but this key does not open it"
        return Judgement(Verdict.NEEDS_KEY, text)
    return None


def _healthy_words(header: Header, culprits: Sequence[Culprit]) -> str:
    if header.is_in_reencryption:
        return "the header is whole; a reencryption was begun and not finished"
    if culprits:
        names = ", ".join(dict.fromkeys(c.name for c in culprits))
        return f"header and keyslots are whole; but {names} was written over part of the data"
    return "header and keyslots are whole, as far as can be seen without a key"
