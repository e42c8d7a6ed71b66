"""Rules for a header in which nothing is damaged: of another volume, of other data, for another key, or healthy."""

from __future__ import annotations

from luksafe.luks.model import Header
from luksafe.luks.requirements import unknown_requirements
from luksafe.ops.diagnosis.against_backup import formatted_again
from luksafe.ops.diagnosis.model import Chance, Lead, Missing, State, Verdict
from luksafe.ops.diagnosis.rules.commands import bring_back, find_key, keep_and_prove, resume
from luksafe.ops.diagnosis.rules.rule import AVOID_WRITES, Case, Rule
from luksafe.ops.diagnosis.rules.words import culprit_names, keyslot_words

LUKS1_REENCRYPTING_STORY = (
    "A reencryption was begun and has not ended. Part of the data has the old key, part the new one; both headers, and "
    "how far it came, are in the files LUKS-<UUID>.org, .new and .log, where cryptsetup was started. It can be resumed "
    "with them; do not format, restore or repair anything before."
)


def _unknown(case: Case) -> list[str]:
    header = case.facts.inspection.header
    return unknown_requirements(header.config.requirements) if header else []


UNKNOWN_REQUIREMENT = Rule(
    code="unknown-requirement",
    missing=Missing.PROGRAM,
    verdict=Verdict.UNSUPPORTED,
    seen="the header requires something that nothing here knows",
    applies=lambda case: bool(_unknown(case)),
    summary=lambda case: f"the header is whole, but it requires {', '.join(_unknown(case))}, which nothing here knows",
    story=lambda case: (
        f"The header is whole, but it says that it takes a program which knows {', '.join(_unknown(case))}. luksafe"
        " does not: it can copy the header, but not judge what opens it. A newer cryptsetup may know it."
    ),
    next=lambda case: (f"luksafe show {case.volume}",),
    ways={Lead.SEARCH: Chance.MAY},
)
LUKS1_REENCRYPTION = Rule(
    code="luks1-reencryption",
    verdict=Verdict.NEEDS_BACKUP,
    seen=(
        "the mark that cryptsetup leaves while it reencrypts a LUKS1 volume (the rest of that is in files of its own)"
    ),
    applies=lambda case: case.facts.inspection.is_luks1_reencrypting,
    summary=lambda case: (
        "a reencryption of this LUKS1 volume was interrupted; it goes on with the files LUKS-<UUID>.log, .org"
        " and .new, which lie in the folder in which cryptsetup ran and hold both headers"
    ),
    story=lambda case: LUKS1_REENCRYPTING_STORY,
    next=resume,
    ways={Lead.REENCRYPTION: Chance.LIKELY, Lead.MAPPING: Chance.LIKELY, Lead.SEARCH: Chance.MAY},
    avoid=(
        "do not restore or repair the header before the reencryption has ended, do not format: part of the data has"
        " the new key, part the old one",
    ),
)


def is_decrypted(header: Header | None) -> bool:
    """Whether a volume was decrypted on purpose: its data lie in the clear, and no key is needed or kept."""
    return header is not None and header.is_decrypted


def _clear_words(case: Case) -> str:
    header = case.header
    start = header.data_offset if header else 0
    inside = sorted((m for m in case.facts.recognised if m.offset >= start), key=lambda m: m.offset)
    names = ", ".join(dict.fromkeys(m.name for m in inside if not m.name.startswith("crypto_")))
    return f"from byte {start} on" + (f", as {names}" if names else "")


DECRYPTED = Rule(
    code="decrypted",
    missing=Missing.NOTHING,
    verdict=Verdict.NOT_LUKS,
    seen="a header without keyslots and digests, all of whose segments are in the clear",
    applies=lambda case: is_decrypted(case.header),
    summary=lambda case: (
        f"decrypted on purpose: the data lie in the clear {_clear_words(case)}; there is nothing to open or to restore"
    ),
    story=lambda case: (
        "The volume was decrypted on purpose (cryptsetup reencrypt --decrypt): its header says that the data are not"
        f" encrypted, and holds no keyslot. They lie in the clear {_clear_words(case)}. Nothing is lost; there is"
        " nothing to open or to restore. A header from before would make noise of the data."
    ),
    next=lambda case: (f"luksafe show {case.volume}",),
    ways={},
    avoid=("do not restore a header from before the decryption: under it the data are noise",),
    headline="decrypted",
)
FORMATTED_AGAIN = Rule(
    code="formatted-again",
    verdict=Verdict.NEEDS_BACKUP,
    seen="the device held another volume before (vault), and the present header has no backup",
    applies=lambda case: case.header is not None and formatted_again(case.facts, case.header) is not None,
    summary=lambda case: f"the header in place is not that of volume {_before(case)}, which this device held before",
    story=lambda case: (
        "The header on it is whole, but it is not that of the volume which this device held before: it was formatted"
        " again (cryptsetup luksFormat), another disk's header was copied here, or this is another disk under the same"
        f" name. The header of the old volume, {_before(case)}, is in the vault; its data are there as far as nothing"
        " was written over them since."
    ),
    next=bring_back,
    ways={
        Lead.BACKUP: Chance.VERY_LIKELY,
        Lead.MAPPING: Chance.LIKELY,
        Lead.PACKET: Chance.LIKELY,
        Lead.REENCRYPTION: Chance.LIKELY,
        Lead.SEARCH: Chance.MAY,
    },
    avoid=AVOID_WRITES,
)


def _before(case: Case) -> str:
    found = formatted_again(case.facts, case.header) if case.header else None
    return found.uuid if found else ""


WRONG_PARAMETERS = Rule(
    code="wrong-parameters",
    verdict=Verdict.NEEDS_BACKUP,
    seen="the key that was given opens it, but with other parameters than the header's",
    applies=lambda case: case.facts.attempt is not None and bool(case.facts.attempt.better),
    summary=lambda case: f"the header is wrong about its data: {_better(case)}",
    story=lambda case: (
        "The key that was given is the right one, but with what the header says of the data they decrypt to noise:"
        f" {_better(case)}. The key is not lost; a header with the right parameters is needed."
    ),
    next=bring_back,
    ways={Lead.BACKUP: Chance.VERY_LIKELY, Lead.MAPPING: Chance.LIKELY, Lead.PACKET: Chance.LIKELY},
    avoid=AVOID_WRITES,
)


def _better(case: Case) -> str:
    return case.facts.attempt.better if case.facts.attempt else ""


KEY_REJECTED = Rule(
    code="key-rejected",
    missing=Missing.KEY,
    verdict=Verdict.NEEDS_KEY,
    seen="the key that was given opens nothing",
    applies=lambda case: case.facts.attempt is not None and case.facts.attempt.is_rejected,
    summary=lambda case: "nothing is damaged as far as can be seen, but this key does not open it",
    story=lambda case: (
        "The header can be read and shows no damage, but the key that was given does not open it. What is missing is"
        " the right one: another passphrase, a key file, a recovery key, an escrow packet."
    ),
    next=find_key,
    ways={
        Lead.KEY: Chance.MAY,
        Lead.BACKUP: Chance.MAY,
        Lead.MAPPING: Chance.LIKELY,
        Lead.PACKET: Chance.LIKELY,
        Lead.REENCRYPTION: Chance.LIKELY,
        Lead.SEARCH: Chance.MAY,
    },
    avoid=AVOID_WRITES,
)
IN_REENCRYPTION = Rule(
    code="in-reencryption",
    missing=Missing.KEY,
    verdict=Verdict.HEALTHY,
    seen="a reencryption was begun and has not ended; else nothing",
    applies=lambda case: case.header is not None and case.header.is_in_reencryption,
    summary=lambda case: "the header is whole; a reencryption was begun and not finished",
    story=lambda case: (
        "The header is whole. A reencryption was begun and has not ended: part of the data has the old key, part the"
        " new one; the header knows how far it came. It can be resumed; do not format or restore anything."
    ),
    next=lambda case: (*resume(case), *((f"luksafe prove {case.volume}",) if case.facts.attempt is None else ())),
    ways={Lead.REENCRYPTION: Chance.LIKELY, Lead.KEY: Chance.LIKELY, Lead.PACKET: Chance.LIKELY},
)
DATA_OVERWRITTEN = Rule(
    code="data-overwritten",
    missing=Missing.KEY,
    verdict=Verdict.HEALTHY,
    seen="the header is whole, but something was written over the data",
    applies=lambda case: case.header is not None and bool(case.culprits),
    summary=lambda case: (
        f"header and keyslots are whole; but {culprit_names(case.culprits)} was written over part of the data"
    ),
    story=lambda case: (
        f"Header and keyslots are whole, so it opens; but {culprit_names(case.culprits)} was written over part of the"
        " data, and no header brings those back. Copy out what can be read before a filesystem check changes it."
    ),
    next=keep_and_prove,
    ways={Lead.KEY: Chance.LIKELY, Lead.BACKUP: Chance.LIKELY, Lead.PACKET: Chance.LIKELY},
)


def _doubt(case: Case) -> str:
    suspect = [k.slot for k in case.keyslots if k.state is State.SUSPECT]
    return f" Of {keyslot_words(suspect)} nothing tells for sure: only the passphrase shows." if suspect else ""


HEALTHY = Rule(
    code="healthy",
    missing=Missing.KEY,
    verdict=Verdict.HEALTHY,
    seen="nothing of all that",
    applies=lambda case: case.header is not None,
    summary=lambda case: "header and keyslots are whole, as far as can be seen without a key",
    story=lambda case: (
        "The header is whole. Header and keyslots show no damage: if it does not open, then most likely the passphrase"
        f" is another one, or it is typed with another keyboard layout.{_doubt(case)}"
    ),
    next=keep_and_prove,
    ways={Lead.KEY: Chance.LIKELY, Lead.BACKUP: Chance.LIKELY, Lead.PACKET: Chance.LIKELY},
)
FIRST = (UNKNOWN_REQUIREMENT, LUKS1_REENCRYPTION)
BEFORE_KEYSLOTS = (DECRYPTED,)
LAST = (FORMATTED_AGAIN, WRONG_PARAMETERS, KEY_REJECTED, IN_REENCRYPTION, DATA_OVERWRITTEN, HEALTHY)
