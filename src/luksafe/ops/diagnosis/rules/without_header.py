"""Rules for a device on which no header can be used, not even after a repair."""

from __future__ import annotations

from luksafe.ops.diagnosis.facts import Facts
from luksafe.ops.diagnosis.model import Chance, Lead, Verdict
from luksafe.ops.diagnosis.remains import USUAL_DATA_OFFSETS, has_luks_left
from luksafe.ops.diagnosis.rules.commands import best_backups, bring_back, find_key, find_volume
from luksafe.ops.diagnosis.rules.rule import AVOID_WRITES, Case, Rule
from luksafe.ops.diagnosis.rules.words import culprit_names, foreign_words, vault_words
from luksafe.ops.diagnosis.traces import HeaderTrace
from luksafe.probe.statistics import SectorClass, classify_sectors


def _version_unknown(case: Case) -> bool:
    facts = case.facts
    is_unknown = any(f.code == "unsupported-version" for f in facts.inspection.findings)
    return case.header is None and is_unknown and not facts.backups and not facts.repair.proposals


def _version_words(case: Case) -> str:
    return next(f.text for f in case.facts.inspection.findings if f.code == "unsupported-version")


UNKNOWN_VERSION = Rule(
    code="unknown-version",
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
HEADER_IN_VAULT = Rule(
    code="header-in-vault",
    verdict=Verdict.NEEDS_BACKUP,
    seen="no header even after repair; a backup in the vault belongs to this volume",
    applies=lambda case: case.header is None and bool(best_backups(case)),
    summary=lambda case: "no usable header is on the device; a backup in the vault brings it back",
    story=lambda case: (
        "The header is gone, or damaged so far that it cannot be mended from itself. The data are encrypted with a key"
        f" that was kept in it, and a backup of the header has that key still. {vault_words(case)}"
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
EMPTY = Rule(
    code="empty",
    verdict=Verdict.NOT_LUKS,
    seen="no header, and the target has 0 bytes",
    applies=lambda case: case.header is None and case.facts.size_bytes == 0,
    summary=lambda case: "it is empty (0 bytes): is it the right path?",
    story=lambda case: "It has no bytes at all: it is another device, or another path, that you look for.",
    next=lambda case: ("lsblk",),
    ways={},
)


def _elsewhere(case: Case) -> HeaderTrace | None:
    """The header of a volume that begins elsewhere, where nothing says that one began here."""
    return next((t for t in case.facts.traces if t.volume_offset), None) if not has_luks_left(case.facts) else None


VOLUME_ELSEWHERE = Rule(
    code="volume-elsewhere",
    verdict=Verdict.NOT_LUKS,
    seen="no header and no remains of one here, but a header of a volume that begins at another byte",
    applies=lambda case: case.header is None and _elsewhere(case) is not None,
    summary=lambda case: f"no LUKS volume begins here, but {_begins(case)}",
    story=lambda case: (
        f"No LUKS volume begins at the start of this device, but {_begins(case)}. Nothing here shows that it is"
        " damaged: what is lost is the way to it, a partition table for example, or it was copied to another place."
    ),
    next=find_volume,
    ways={Lead.SEARCH: Chance.LIKELY},
)


def _begins(case: Case) -> str:
    found = _elsewhere(case)
    return f"one begins at byte {found.volume_offset} of it" if found else ""


NOT_LUKS = Rule(
    code="not-luks",
    verdict=Verdict.NOT_LUKS,
    seen="no header, and nothing says that LUKS was here",
    applies=lambda case: case.header is None and not has_luks_left(case.facts),
    summary=lambda case: (
        f"no LUKS volume: it holds {culprit_names(case.culprits)}"
        if case.culprits
        else "no LUKS volume, and nothing that looks like one"
    ),
    story=lambda case: (
        "There is no LUKS header at the start of this device, and nothing says that one was there. Either it is another"
        " device, or the volume is elsewhere on it: when a partition table is lost, the partitions are still there, one"
        " only has to know where they begin."
    ),
    next=find_volume,
    ways={Lead.SEARCH: Chance.LIKELY},
)


def is_data_gone(facts: Facts) -> bool:
    """Nothing looks encrypted: in no sample, not where data usually begin, and nowhere behind the first keyslots."""
    samples = [s for s in (*facts.data_samples, facts.data_start) if len(s) >= 512]
    seen = any(SectorClass.RANDOM in classify_sectors(s).tolist() for s in samples)
    near = any(r.kind is SectorClass.RANDOM and r.end > min(USUAL_DATA_OFFSETS) for r in facts.runs)
    return bool(samples) and not seen and not near


NO_DATA_LEFT = Rule(
    code="no-data-left",
    verdict=Verdict.LOST,
    seen=(
        "remains of LUKS, but nothing behind the first MiB and no sample of the data looks encrypted any more, and the"
        " vault has no packet that might be of it"
    ),
    applies=lambda case: case.header is None and is_data_gone(case.facts) and not case.facts.packets,
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
    seen="remains of LUKS otherwise",
    applies=lambda case: case.header is None,
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
RULES = (
    UNKNOWN_VERSION,
    HEADER_IN_VAULT,
    DETACHED_HEADER,
    HEADER_GONE_MAPPED,
    HEADER_GONE_PACKET,
    EMPTY,
    VOLUME_ELSEWHERE,
    NOT_LUKS,
    NO_DATA_LEFT,
    SEARCH_UNFINISHED,
    HEADER_GONE,
)
