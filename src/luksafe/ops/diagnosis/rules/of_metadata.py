"""Rules for a header whose metadata are damaged, cut, or contradicted; keyslots that matter are there."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from luksafe.luks.finding import Severity
from luksafe.ops.diagnosis.model import Chance, Lead, Missing, Verdict
from luksafe.ops.diagnosis.rules.commands import best_backups, bring_back, repair, repair_uuid
from luksafe.ops.diagnosis.rules.of_keyslots import TABLE_CODES
from luksafe.ops.diagnosis.rules.rule import AVOID_WRITES, Case, Rule
from luksafe.ops.diagnosis.rules.words import foreign_words, vault_words

SPLIT_CODES = frozenset({"copies-uuid-differ", "copies-seqid-differ", "copies-content-differ"})
SIDES_STORY = (
    "The header is kept twice, and the two copies contradict each other, each of them whole. It opens as it is;"
    " which of the two is right, nothing on the device tells. Look at both before you choose."
)
UUID_STORY = (
    "It opens as it is. Only the UUID in the header is damaged: programs that look for the volume by its UUID"
    " (crypttab, for example) do not find it."
)


def _is_cut(case: Case) -> bool:
    """What ends before the data; where the table of keyslots is garbage, its offsets say nothing of the device."""
    codes = {f.code for f in case.facts.mended.findings}
    return "device-too-small" in codes and not codes & TABLE_CODES


def _falls_short(case: Case) -> bool:
    # the UUID alone is no obstacle: the volume opens without one
    after = case.facts.mended.findings
    is_serious = any(f.severity is not Severity.INFO and f.code != "uuid-form" for f in after)
    return bool(case.facts.repair.left) and (case.facts.inspection.is_refused or is_serious)


def _is_contradicted(case: Case) -> bool:
    found = case.contradiction
    return found is not None and not case.facts.repair.proposals and not found.is_only_uuid


def _contradiction_words(case: Case) -> str:
    found = case.contradiction
    return f"backup {found.backup.id[:12]}: {found.texts[0]}" if found else ""


def _which_is_right(case: Case) -> str:
    found = case.contradiction
    if found is not None and found.backup.proven:
        return "the backup was seen to open, so the header was damaged; the backup has it as it was"
    return "one of the two is damaged, most likely the header; whether the backup opens, 'luksafe prove' shows"


def _known_uuid(case: Case) -> str:
    return case.contradiction.backup.uuid if case.contradiction else ""


def _proposals(case: Case) -> str:
    return "; ".join(proposal.text for proposal in case.facts.repair.proposals)


def _reasons(case: Case) -> str:
    return "; ".join(dict.fromkeys(f"{p.text} ({p.why})" for p in case.facts.repair.proposals))


def _is_proven(case: Case) -> bool:
    return all(proposal.evidence.is_proof for proposal in case.facts.repair.proposals)


def _has_finding(case: Case, codes: frozenset[str]) -> bool:
    return case.header is not None and any(f.code in codes for f in case.facts.inspection.findings)


def _errors(case: Case) -> str:
    return "; ".join(f.text for f in case.facts.inspection.findings if f.severity is Severity.ERROR)


DEVICE_CUT = Rule(
    code="device-cut",
    missing=Missing.DATA,
    verdict=Verdict.NEEDS_BACKUP,
    seen="the device ends before the data begin",
    applies=lambda case: case.header is not None and _is_cut(case),
    summary=lambda case: (
        f"the device ends at byte {case.facts.size_bytes}, before the data begin: find the rest, a backup has no data"
    ),
    story=lambda case: (
        f"This device ends at byte {case.facts.size_bytes}, before the place at which the header says that the data"
        " begin. The header may be whole; what is missing are the data: the partition was made smaller, or this is a"
        " copy of the beginning only. No header backup brings them back. Find the whole disk, and search that."
    ),
    next=lambda case: (
        (f"luksafe scan {shlex.quote(case.facts.disk)} --table",)
        if case.facts.disk
        else ("lsblk", f"luksafe show {case.volume}")
    ),
    ways={Lead.SEARCH: Chance.MAY},
    avoid=AVOID_WRITES,
)


def _is_header_cut(case: Case) -> bool:
    header = case.header
    is_cut = header is not None and header.is_detached and case.facts.size_bytes < header.areas_end
    return is_cut and not {f.code for f in case.facts.mended.findings} & TABLE_CODES


def _whole_copies(case: Case) -> Iterator[str]:
    """A whole header from the vault in a new file beside the cut one, and the proof that it opens the data."""
    header = case.header
    needed = header.areas_end if header else 0
    whole = [b for b in best_backups(case) if len(b.image) >= needed]
    place = case.facts.header or case.facts.device or case.facts.target
    for backup in whole[:1]:
        if case.facts.header:
            yield f"luksafe prove {backup.id[:12]} --data {case.device}"
        yield f"luksafe export {backup.id[:12]} {shlex.quote(f'{place}.whole')}"
    if not whole:
        yield from bring_back(case)


HEADER_CUT = Rule(
    code="header-file-cut",
    verdict=Verdict.NEEDS_BACKUP,
    seen="a detached header whose file ends before its keyslots do",
    applies=_is_header_cut,
    summary=lambda case: (
        f"the file of the detached header was cut: it has {case.facts.size_bytes} bytes of"
        f" {case.header.areas_end if case.header else 0}; keyslots behind its end are gone"
    ),
    story=lambda case: (
        f"This is a detached header, and its file was cut: it has {case.facts.size_bytes} bytes of"
        f" {case.header.areas_end if case.header else 0}. What of its keyslots is behind the end is gone from this"
        f" file; the data are on another device and not touched by that. {vault_words(case)}"
    ),
    next=_whole_copies,
    ways={Lead.BACKUP: Chance.VERY_LIKELY, Lead.MAPPING: Chance.LIKELY, Lead.PACKET: Chance.LIKELY},
    avoid=AVOID_WRITES,
)
REPAIR_FALLS_SHORT = Rule(
    code="repair-falls-short",
    verdict=Verdict.NEEDS_BACKUP,
    seen="repair would leave faults that matter",
    applies=lambda case: case.header is not None and _falls_short(case),
    summary=lambda case: f"repair alone does not do: {case.facts.repair.left[0]}",
    story=lambda case: (
        f"The header is damaged, and what is left of it is not enough to mend it: {'; '.join(case.facts.repair.left)}."
        f" A backup of the header has what is missing. {vault_words(case)}"
    ),
    next=bring_back,
    ways={
        Lead.BACKUP: Chance.VERY_LIKELY,
        Lead.MAPPING: Chance.LIKELY,
        Lead.PACKET: Chance.LIKELY,
        Lead.KEY: Chance.MAY,
        Lead.REENCRYPTION: Chance.LIKELY,
        Lead.SEARCH: Chance.MAY,
    },
    avoid=AVOID_WRITES,
)
CONTRADICTED = Rule(
    code="contradicted",
    verdict=Verdict.NEEDS_BACKUP,
    seen="a backup proves the header wrong though nothing in it shows",
    applies=lambda case: case.header is not None and _is_contradicted(case),
    summary=lambda case: f"the header contradicts {_contradiction_words(case)}",
    story=lambda case: (
        "Nothing in the header itself shows a damage, but it says what it cannot say: it contradicts"
        f" {_contradiction_words(case)}. No program changes that: {_which_is_right(case)}."
    ),
    next=bring_back,
    ways={
        Lead.BACKUP: Chance.VERY_LIKELY,
        Lead.MAPPING: Chance.LIKELY,
        Lead.PACKET: Chance.LIKELY,
        Lead.KEY: Chance.MAY,
        Lead.REENCRYPTION: Chance.LIKELY,
        Lead.SEARCH: Chance.MAY,
    },
    avoid=AVOID_WRITES,
)
UUID_CHANGED = Rule(
    code="uuid-changed",
    missing=Missing.KEY,
    verdict=Verdict.REPAIRABLE,
    seen="the same, and only the UUID differs",
    applies=lambda case: case.header is not None and case.contradiction is not None and case.contradiction.is_only_uuid,
    summary=lambda case: f"it opens, but its UUID is damaged: it was {_known_uuid(case)}",
    story=lambda case: f"{UUID_STORY} A backup in the vault knows it: {_known_uuid(case)}.",
    next=lambda case: repair_uuid(case) if not case.facts.repair.proposals else repair(case),
    ways={Lead.REPAIR: Chance.VERY_LIKELY, Lead.BACKUP: Chance.LIKELY, Lead.MAPPING: Chance.LIKELY},
    avoid=AVOID_WRITES,
)
COPIES_CONTRADICT = Rule(
    code="copies-contradict",
    verdict=Verdict.REPAIRABLE,
    seen="the two copies contradict each other",
    applies=lambda case: case.header is not None and bool(case.facts.repair.sides),
    summary=lambda case: "the two header copies contradict each other; it opens, but choose one",
    story=lambda case: SIDES_STORY,
    next=repair,
    ways={
        Lead.REPAIR: Chance.MAY,
        Lead.BACKUP: Chance.LIKELY,
        Lead.MAPPING: Chance.LIKELY,
        Lead.REENCRYPTION: Chance.LIKELY,
    },
    avoid=AVOID_WRITES,
)
REPAIRABLE = Rule(
    code="repairable",
    verdict=Verdict.REPAIRABLE,
    seen="repair has something to mend, also where cryptsetup opens it as it is, and proves what it writes",
    applies=lambda case: case.header is not None and bool(case.facts.repair.proposals) and _is_proven(case),
    summary=lambda case: f"repair can mend it: {_proposals(case)}{foreign_words(case.culprits)}",
    story=lambda case: f"The header is damaged, but what is left of it is enough to mend it: {_reasons(case)}.",
    next=repair,
    ways={
        Lead.REPAIR: Chance.VERY_LIKELY,
        Lead.BACKUP: Chance.LIKELY,
        Lead.MAPPING: Chance.LIKELY,
        Lead.REENCRYPTION: Chance.LIKELY,
    },
    avoid=AVOID_WRITES,
)
REPAIRABLE_UNPROVEN = Rule(
    code="repairable-unproven",
    verdict=Verdict.REPAIRABLE,
    seen="the same, but nothing except the form of the header speaks for it",
    applies=lambda case: case.header is not None and bool(case.facts.repair.proposals),
    summary=lambda case: f"repair can mend it: {_proposals(case)}{foreign_words(case.culprits)}",
    story=lambda case: (
        f"The header is damaged, and can most likely be mended from what is left of it: {_reasons(case)}. That is not"
        " proven before a passphrase opens it."
    ),
    next=repair,
    ways={
        Lead.REPAIR: Chance.LIKELY,
        Lead.BACKUP: Chance.LIKELY,
        Lead.MAPPING: Chance.LIKELY,
        Lead.REENCRYPTION: Chance.LIKELY,
    },
    avoid=AVOID_WRITES,
)
COPIES_DIFFER = Rule(
    code="copies-differ",
    missing=Missing.KEY,
    verdict=Verdict.REPAIRABLE,
    seen="the two copies differ otherwise",
    applies=lambda case: _has_finding(case, SPLIT_CODES),
    summary=lambda case: "the two header copies differ",
    story=lambda case: (
        "The header is kept twice, and the two copies differ. It opens as it is: the one in force is read. 'luksafe"
        " repair' shows both, and what it would write."
    ),
    next=repair,
    ways={
        Lead.REPAIR: Chance.MAY,
        Lead.BACKUP: Chance.LIKELY,
        Lead.MAPPING: Chance.LIKELY,
        Lead.REENCRYPTION: Chance.LIKELY,
    },
    avoid=AVOID_WRITES,
)
UUID_DAMAGED = Rule(
    code="uuid-damaged",
    missing=Missing.KEY,
    verdict=Verdict.REPAIRABLE,
    seen="its UUID is none",
    applies=lambda case: _has_finding(case, frozenset({"uuid-form"})),
    summary=lambda case: "it opens, but its UUID is damaged",
    story=lambda case: f"{UUID_STORY} It can be set again.",
    next=lambda case: repair_uuid(case) if case.facts.repair.left else repair(case),
    ways={Lead.REPAIR: Chance.VERY_LIKELY, Lead.BACKUP: Chance.LIKELY, Lead.MAPPING: Chance.LIKELY},
    avoid=AVOID_WRITES,
)
REFUSED = Rule(
    code="header-refused",
    verdict=Verdict.NEEDS_BACKUP,
    seen="cryptsetup refuses it, and repair has nothing to mend",
    applies=lambda case: case.header is not None and case.facts.inspection.is_refused,
    summary=_errors,
    story=lambda case: (
        f"The header can be read, but cryptsetup refuses it: {_errors(case)}. luksafe has no repair for that. A backup"
        f" of the header would bring it back. {vault_words(case)}"
    ),
    next=bring_back,
    ways={
        Lead.BACKUP: Chance.VERY_LIKELY,
        Lead.MAPPING: Chance.LIKELY,
        Lead.PACKET: Chance.LIKELY,
        Lead.KEY: Chance.MAY,
        Lead.REENCRYPTION: Chance.LIKELY,
        Lead.SEARCH: Chance.MAY,
    },
    avoid=AVOID_WRITES,
)
RULES = (
    DEVICE_CUT,
    REPAIR_FALLS_SHORT,
    CONTRADICTED,
    UUID_CHANGED,
    COPIES_CONTRADICT,
    REPAIRABLE,
    REPAIRABLE_UNPROVEN,
    COPIES_DIFFER,
    UUID_DAMAGED,
    REFUSED,
)
