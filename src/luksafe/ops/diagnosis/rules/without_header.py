"""Rules for a device on which no header can be used, not even after a repair."""

from __future__ import annotations

from luksafe.ops.diagnosis.facts import Facts
from luksafe.ops.diagnosis.model import Chance, Lead, Missing, Verdict
from luksafe.ops.diagnosis.remains import USUAL_DATA_OFFSETS, has_header_left
from luksafe.ops.diagnosis.rules import not_luks
from luksafe.ops.diagnosis.rules.commands import best_backups, bring_back, find_key, scan
from luksafe.ops.diagnosis.rules.not_luks import VOLUME_ELSEWHERE
from luksafe.ops.diagnosis.rules.rule import AVOID_WRITES, Case, Rule, Ways
from luksafe.ops.diagnosis.rules.words import foreign_words, vault_words
from luksafe.probe.statistics import SectorClass, classify_sectors


def _version_unknown(case: Case) -> bool:
    facts = case.facts
    # a text that begins with the magic states a version, too: that of its seventh and eighth letter
    is_unknown = any(f.code == "unsupported-version" for f in facts.inspection.findings) and facts.start[6:7] == b"\0"
    return case.header is None and is_unknown and not facts.backups and not facts.repair.proposals


def _version_words(case: Case) -> str:
    return next(f.text for f in case.facts.inspection.findings if f.code == "unsupported-version")


UNKNOWN_VERSION = Rule(
    code="unknown-version",
    missing=Missing.PROGRAM,
    verdict=Verdict.UNSUPPORTED,
    seen="no header even after repair, its version unknown, no backup of it in the vault",
    applies=_version_unknown,
    summary=_version_words,
    story=lambda case: (
        f"The header says of itself that it is of a kind that luksafe does not know ({_version_words(case)}). A newer"
        " program may have written it, or that number is damaged. It can be copied, but not judged."
    ),
    next=lambda case: (f"luksafe show {case.volume}",),
    ways={Lead.SEARCH: Chance.MAY},
)
IN_VAULT_WAYS: Ways = {
    Lead.BACKUP: Chance.VERY_LIKELY,
    Lead.MAPPING: Chance.LIKELY,
    Lead.PACKET: Chance.LIKELY,
    Lead.SEARCH: Chance.MAY,
}


def _is_in_vault(case: Case) -> bool:
    return case.header is None and bool(best_backups(case))


def _looks(case: Case) -> str:
    """What the device reads as where the data should be."""
    return "it reads as zeros throughout" if _is_blank(case.facts) else "what is there is not encrypted"


def _is_blank(facts: Facts) -> bool:
    """Whether nothing was seen but zeros (or 0xff, as some disks give for what was discarded)."""
    samples = (s for s in (*facts.data_samples, facts.data_start) if len(s) >= 512)
    classes = {kind for s in samples for kind in classify_sectors(s).tolist()} | {run.kind for run in facts.runs}
    return classes <= {SectorClass.ZEROS, SectorClass.FF}


DATA_GONE = Rule(
    code="data-gone",
    missing=Missing.DATA,
    verdict=Verdict.LOST,
    seen=(
        "no header even after repair; a backup belongs to this volume and was seen to open data, but the device reads"
        " as zeros throughout"
    ),
    applies=lambda case: (
        _is_in_vault(case)
        and is_nothing_encrypted(case.facts)
        and _is_blank(case.facts)
        and any(b.is_recognised for b in case.facts.backups)
    ),
    summary=lambda case: (
        f"the header is gone and so are the data: {_looks(case)}. The vault has a backup of the header, which brings no"
        " data back"
    ),
    story=lambda case: (
        f"The header is gone. {vault_words(case)} With it the data could be read once; but now nothing on the device"
        f" looks encrypted: {_looks(case)}. A header holds the key, not the data: writing it back brings none of them"
        " back. What may help is a copy of the whole disk, or a backup of the files; a disk that was only discarded"
        " (TRIM) may still hold them for a laboratory, if it is powered off now."
    ),
    next=lambda case: (*(f"luksafe prove {b.id[:12]} --data {case.device}" for b in best_backups(case)), scan(case)),
    ways={Lead.BACKUP: Chance.MAY, Lead.PACKET: Chance.MAY, Lead.SEARCH: Chance.MAY},
    avoid=AVOID_WRITES,
)
DATA_NOT_SEEN = Rule(
    code="data-not-seen",
    verdict=Verdict.NEEDS_BACKUP,
    seen=(
        "a backup belongs to this volume, but nothing on the device looks encrypted: nothing was ever written, or the"
        " data are overwritten, discarded or decrypted"
    ),
    applies=lambda case: _is_in_vault(case) and is_nothing_encrypted(case.facts),
    summary=lambda case: (
        f"the header is gone; a backup in the vault brings it back, but no data: {_looks(case)}"
        + foreign_words(case.culprits)
    ),
    story=lambda case: (
        f"The header is gone. {vault_words(case)} But nothing on the device looks encrypted: {_looks(case)}. Either"
        " nothing was ever written to the volume, or the data are gone, or it was decrypted on purpose and what is"
        " there are the data; a header holds the key, and brings no data back."
    ),
    next=bring_back,
    ways={Lead.BACKUP: Chance.MAY, Lead.MAPPING: Chance.MAY, Lead.PACKET: Chance.MAY, Lead.SEARCH: Chance.MAY},
    avoid=AVOID_WRITES,
)
ALL_RANDOM = Rule(
    code="all-random",
    verdict=Verdict.NEEDS_BACKUP,
    seen=(
        "no header even after repair; a backup belongs to this device, but the place of header and keyslots is random"
        " throughout and is not what the backup has"
    ),
    applies=lambda case: _is_in_vault(case) and _is_all_random(case),
    summary=lambda case: (
        "the place of the header reads as random, and no key material of the backup in the vault is there: if random"
        " bytes were written over all of it, no header brings the data back"
    ),
    story=lambda case: (
        "Random bytes stand where the header and its keyslots were. Whether the data behind them are still those of the"
        f" volume cannot be seen: random bytes and encrypted data look the same. {vault_words(case)} Try it before you"
        " write anything: 'luksafe prove' decrypts the data with it and says whether they make sense."
    ),
    next=bring_back,
    ways={Lead.BACKUP: Chance.MAY, Lead.MAPPING: Chance.LIKELY, Lead.PACKET: Chance.MAY, Lead.SEARCH: Chance.MAY},
    avoid=AVOID_WRITES,
)
HEADER_IN_VAULT = Rule(
    code="header-in-vault",
    verdict=Verdict.NEEDS_BACKUP,
    seen="no header even after repair; a backup in the vault belongs to this volume",
    applies=lambda case: _is_in_vault(case) and best_backups(case)[0].by != "path",
    summary=lambda case: (
        "no usable header is on the device; a backup in the vault brings it back" + foreign_words(case.culprits)
    ),
    story=lambda case: (
        "The header is gone, or damaged so far that it cannot be mended from itself. The data are encrypted with a key"
        f" that was kept in it, and a backup of the header has that key still. {vault_words(case)}"
    ),
    next=bring_back,
    ways=IN_VAULT_WAYS,
    avoid=AVOID_WRITES,
)
HEADER_IN_VAULT_BY_NAME = Rule(
    code="header-in-vault-by-name",
    verdict=Verdict.NEEDS_BACKUP,
    seen="the same, but nothing except a path ties the backup to the device",
    applies=_is_in_vault,
    summary=lambda case: (
        "no usable header is on the device; a backup in the vault may bring it back, but only the name of the device"
        " ties it to this one: prove it on the data first" + foreign_words(case.culprits)
    ),
    story=lambda case: (
        "The header is gone, or damaged so far that it cannot be mended from itself, and nothing left on the device"
        f" says which volume it was. {vault_words(case)} Prove it before you write anything: 'luksafe prove' decrypts"
        " the data with it and says whether they make sense."
    ),
    next=bring_back,
    ways={**IN_VAULT_WAYS, Lead.BACKUP: Chance.LIKELY},
    avoid=AVOID_WRITES,
)
DETACHED_HEADER = Rule(
    code="detached-header",
    verdict=Verdict.NEEDS_BACKUP,
    seen="no header, and none belongs here: the vault has a backup of the detached one",
    applies=lambda case: case.header is None and bool(case.facts.headers_elsewhere),
    summary=lambda case: (
        f"no header belongs here: that of volume {case.facts.headers_elsewhere[0].uuid} is a detached one, of which the"
        " vault has a backup"
    ),
    story=lambda case: (
        "There is no header on this device, and none belongs there: the header of this volume is a detached one, kept"
        " in a file or on another device. Nothing here shows a damage. If that file is lost, the vault has a backup of"
        f" it, {case.facts.headers_elsewhere[0].id[:12]}; written to this device it would overwrite data."
    ),
    next=bring_back,
    ways={
        Lead.BACKUP: Chance.VERY_LIKELY,
        Lead.MAPPING: Chance.LIKELY,
        Lead.PACKET: Chance.LIKELY,
        Lead.SEARCH: Chance.MAY,
    },
    avoid=AVOID_WRITES,
)
HEADER_GONE_MAPPED = Rule(
    code="header-gone-mapped",
    verdict=Verdict.NEEDS_KEY,
    seen="the same without a backup, but it is mapped: the kernel has the key",
    applies=lambda case: case.header is None and bool(case.facts.mappings),
    summary=lambda case: "no usable header is on the device, but it is mapped: the kernel still has the key",
    story=lambda case: (
        "The header is gone, or damaged so far that it cannot be mended from itself, and the vault has no backup of it."
        " But the volume is open right now: the kernel has its key, and a new header can be made round that key while"
        " it stays open."
    ),
    next=find_key,
    ways={Lead.MAPPING: Chance.LIKELY, Lead.PACKET: Chance.LIKELY, Lead.SEARCH: Chance.MAY},
    avoid=AVOID_WRITES,
)
HEADER_GONE_PACKET = Rule(
    code="header-gone-packet",
    verdict=Verdict.NEEDS_KEY,
    seen="the same, neither backup nor mapping, but a packet with the volume key of this volume in the vault",
    applies=lambda case: case.header is None and any(p.is_of_volume and p.holds_volume_key for p in case.facts.packets),
    summary=lambda case: (
        "no usable header is on the device, but an escrow packet in the vault holds a key of this volume"
    ),
    story=lambda case: (
        "The header is gone, or damaged so far that it cannot be mended from itself, and the vault has no backup of it."
        " But an escrow packet in the vault holds the key of this volume: whoever can open the packet can make a new"
        " header round it."
    ),
    next=find_key,
    ways={Lead.PACKET: Chance.LIKELY, Lead.SEARCH: Chance.MAY},
    avoid=AVOID_WRITES,
)


def is_data_gone(facts: Facts) -> bool:
    """Nothing looks encrypted: in no sample, not where data usually begin, and nowhere behind the first keyslots."""
    samples = [s for s in (*facts.data_samples, facts.data_start) if len(s) >= 512]
    seen = any(SectorClass.RANDOM in classify_sectors(s).tolist() for s in samples)
    near = any(r.kind is SectorClass.RANDOM and r.end > min(USUAL_DATA_OFFSETS) for r in facts.runs)
    return bool(samples) and not seen and not near


def is_nothing_encrypted(facts: Facts) -> bool:
    """Whether no sector looks encrypted or like key material: neither in the header area nor in any sample."""
    samples = [s for s in (*facts.data_samples, facts.data_start) if len(s) >= 512]
    seen = any(SectorClass.RANDOM in classify_sectors(s).tolist() for s in samples)
    return bool(samples) and not seen and not any(run.kind is SectorClass.RANDOM for run in facts.runs)


def _is_all_random(case: Case) -> bool:
    is_random = all(run.kind is SectorClass.RANDOM for run in case.facts.runs)
    return is_random and not any(backup.is_seen for backup in case.facts.backups)


NO_DATA_LEFT = Rule(
    code="no-data-left",
    missing=Missing.DATA,
    verdict=Verdict.LOST,
    seen=(
        "remains of LUKS, but nothing behind the first MiB and no sample of the data looks encrypted any more, and the"
        " vault has no packet that might be of it"
    ),
    applies=lambda case: (
        case.header is None and has_header_left(case.facts) and is_data_gone(case.facts) and not case.facts.packets
    ),
    summary=lambda case: (
        "neither header nor data are left: what was encrypted here reads as zeros or foreign data throughout"
    ),
    story=lambda case: (
        "Remains of a LUKS header are here, but nowhere on the device does anything look encrypted any more: what was"
        " looked at, from its start to its end, reads as zeros or as something else. A header backup or a key brings no"
        " data back where they are overwritten or discarded. What may help is a copy of the whole disk, or a backup of"
        " the files."
    ),
    next=bring_back,
    ways={Lead.SEARCH: Chance.MAY},
    avoid=AVOID_WRITES,
)
SEARCH_UNFINISHED = Rule(
    code="repair-not-found-yet",
    verdict=Verdict.NEEDS_BACKUP,
    seen="remains of LUKS, and the time was over before the search for a repair was",
    applies=lambda case: case.header is None and case.facts.repair.is_unfinished,
    summary=lambda case: (
        "how to mend the header was not found yet (repair searches longer); a backup or the volume key helps too"
        + foreign_words(case.culprits)
    ),
    story=lambda case: (
        "The header is damaged, and how to mend it was not found in the time that a diagnosis takes. 'luksafe repair'"
        f" searches longer. {vault_words(case)} With a backup of the header, or the volume key, nothing needs to be"
        " mended."
    ),
    next=bring_back,
    ways={Lead.PACKET: Chance.LIKELY, Lead.REPAIR: Chance.MAY, Lead.SEARCH: Chance.MAY},
    avoid=AVOID_WRITES,
)
HEADER_GONE = Rule(
    code="header-gone",
    verdict=Verdict.NEEDS_BACKUP,
    seen="something of a header is left, not enough to mend it",
    applies=lambda case: case.header is None and has_header_left(case.facts),
    summary=lambda case: (
        "the header cannot be mended from what is left; a header backup or the volume key brings the data back"
        + foreign_words(case.culprits)
    ),
    story=lambda case: (
        "The header is damaged so far that it cannot be mended from itself. The data are encrypted with a key that was"
        f" kept in it: a backup of the header, or that key, brings them back as far as they are still there."
        f" {vault_words(case)} Look for one on other disks and machines, on paper, with whoever set the volume up."
    ),
    next=bring_back,
    ways={Lead.BACKUP: Chance.LIKELY, Lead.PACKET: Chance.LIKELY, Lead.SEARCH: Chance.MAY},
    avoid=AVOID_WRITES,
)
CANNOT_TELL = Rule(
    code="cannot-tell",
    verdict=Verdict.NEEDS_BACKUP,
    seen="nothing of a header is left, but random bytes stand where key material or encrypted data would",
    applies=lambda case: case.header is None,
    summary=lambda case: (
        "whether LUKS was here cannot be told: no header, but random bytes where key material or encrypted data would"
        " be; if it was, only a header backup or the volume key brings the data back" + foreign_words(case.culprits)
    ),
    story=lambda case: (
        "Nothing of a LUKS header is on the device. But there are random bytes where a LUKS volume has its key material"
        " or its data, and so has a disk that was overwritten with random bytes, or is encrypted by another program:"
        f" nothing here tells which. If a LUKS volume was here, a backup of its header or its key is needed."
        f" {vault_words(case)} Look for one on other disks and machines, on paper, with whoever set the volume up."
    ),
    next=bring_back,
    ways={Lead.BACKUP: Chance.LIKELY, Lead.PACKET: Chance.MAY, Lead.SEARCH: Chance.MAY},
    avoid=AVOID_WRITES,
    headline="cannot tell",
)
RULES = (
    UNKNOWN_VERSION,
    VOLUME_ELSEWHERE,
    DATA_GONE,
    DATA_NOT_SEEN,
    ALL_RANDOM,
    HEADER_IN_VAULT,
    HEADER_IN_VAULT_BY_NAME,
    DETACHED_HEADER,
    HEADER_GONE_MAPPED,
    HEADER_GONE_PACKET,
    *not_luks.RULES,
    NO_DATA_LEFT,
    SEARCH_UNFINISHED,
    HEADER_GONE,
    CANNOT_TELL,
)
