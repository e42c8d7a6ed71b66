"""Rules for a header that is there but whose keyslots are not all whole."""

from __future__ import annotations

from luksafe.ops.diagnosis.model import Chance, Lead, Missing, State, Verdict
from luksafe.ops.diagnosis.rules.commands import bring_back, find_key, use_what_opens
from luksafe.ops.diagnosis.rules.rule import AVOID_WRITES, Case, Rule, Ways
from luksafe.ops.diagnosis.rules.words import are, backup_words, keyslot_words, vault_words

ERASED_HEADLINE = "erased"


def _is_destroyed(case: Case) -> bool:
    return case.header is not None and not case.usable and bool(case.destroyed)


def _is_erased(case: Case) -> bool:
    return case.header is not None and not case.usable and not case.destroyed


def _is_mapped(case: Case) -> bool:
    return bool(case.facts.mappings) and not case.facts.backups


def _is_in_packet(case: Case) -> bool:
    return case.has_volume_key_packet and not case.facts.backups


TABLE_CODES = frozenset({"keyslot-mark", "keyslot-stripes", "keyslot-offset", "area-overlap", "luks1-key-size"})
"""Findings of a LUKS1 header that say that its table of keyslots cannot be believed."""
DESTROYED = "every keyslot is destroyed"
ERASED = "the header has no keyslot left (erased, or all removed)"
STAYS_SHUT = "no passphrase opens it without a header backup or the key"
DESTROYED_STORY = (
    "The header can be read, but the key material of every keyslot is destroyed: no passphrase opens it any more,"
    " however right it is."
)
ERASED_STORY = (
    "The header is whole, but it has no keyslot any more: they were erased (cryptsetup luksErase) or removed one by"
    " one. No passphrase opens it. If that was done on purpose, leave it so."
)
MAPPED_STORY = (
    " But the volume is open right now: the kernel has its key, and keyslots can be made round it while it stays open."
)
PACKET_STORY = (
    " But an escrow packet in the vault holds the volume key: whoever opens it can give the volume a passphrase."
)


def _backup_story(case: Case) -> str:
    with_keyslots = next((b for b in case.facts.backups if b.has_keyslots), None)
    if with_keyslots is not None:
        return f" The vault has backup {backup_words(with_keyslots)}, which has keyslots still."
    if case.facts.backups:
        return " The backups in the vault have no keyslot either."
    return f" {vault_words(case)} Without one, or the volume key, the data stay shut."


WITH_BACKUP: Ways = {
    Lead.BACKUP: Chance.VERY_LIKELY,
    Lead.MAPPING: Chance.LIKELY,
    Lead.PACKET: Chance.LIKELY,
    Lead.SEARCH: Chance.MAY,
}


def _bad_entries(case: Case) -> list[str]:
    header = case.header
    if header is None or header.format != "luks1":
        return []
    found = (f.where for f in case.facts.mended.findings if f.code in TABLE_CODES and f.where.startswith("keyslots."))
    return list(dict.fromkeys(where.split(".")[1] for where in found))


TABLE_OVERWRITTEN = Rule(
    code="keyslot-table-overwritten",
    verdict=Verdict.NEEDS_BACKUP,
    seen="the LUKS1 table that says where the keyslots are makes no sense, even after repair, and no keyslot is left",
    applies=lambda case: len(_bad_entries(case)) > 1 and not any(k.state is State.INTACT for k in case.keyslots),
    summary=lambda case: (
        f"the table of keyslots in the header is overwritten ({len(_bad_entries(case))} of its 8 entries make no sense)"
        ": what it says of keyslots, salts and offsets is not to be believed; a header backup has it"
    ),
    story=lambda case: (
        "The beginning of the header can be read, but the table of its keyslots was overwritten: the salts were in it,"
        " without which no passphrase opens anything. The key material itself may be whole: a backup of the header"
        f" brings the table back. {vault_words(case)}"
    ),
    next=bring_back,
    ways=WITH_BACKUP,
    avoid=AVOID_WRITES,
)
DESTROYED_MAPPED = Rule(
    code="keyslots-destroyed-mapped",
    verdict=Verdict.NEEDS_KEY,
    seen="after repair every keyslot of the data is destroyed; no backup, but it is mapped",
    applies=lambda case: _is_destroyed(case) and _is_mapped(case),
    summary=lambda case: f"{DESTROYED}; the volume is mapped, so the kernel still has the key",
    story=lambda case: DESTROYED_STORY + MAPPED_STORY,
    next=find_key,
    ways={Lead.MAPPING: Chance.LIKELY, Lead.PACKET: Chance.LIKELY, Lead.SEARCH: Chance.MAY},
    avoid=AVOID_WRITES,
)
DESTROYED_PACKET = Rule(
    code="keyslots-destroyed-packet",
    verdict=Verdict.NEEDS_KEY,
    seen="the same, neither backup nor mapping, but a packet with a volume key in the vault",
    applies=lambda case: _is_destroyed(case) and _is_in_packet(case),
    summary=lambda case: f"{DESTROYED}; an escrow packet in the vault holds a key of this volume",
    story=lambda case: DESTROYED_STORY + PACKET_STORY,
    next=find_key,
    ways={Lead.PACKET: Chance.LIKELY, Lead.SEARCH: Chance.MAY},
    avoid=AVOID_WRITES,
)
ALL_DESTROYED = Rule(
    code="keyslots-destroyed",
    verdict=Verdict.NEEDS_BACKUP,
    seen="after repair every keyslot of the data is destroyed",
    applies=_is_destroyed,
    summary=lambda case: f"{DESTROYED}: {STAYS_SHUT}",
    story=lambda case: DESTROYED_STORY + _backup_story(case),
    next=bring_back,
    ways=WITH_BACKUP,
    avoid=AVOID_WRITES,
)
ERASED_MAPPED = Rule(
    code="erased-mapped",
    verdict=Verdict.NEEDS_KEY,
    seen="the header has no keyslot of the data; no backup, but it is mapped",
    applies=lambda case: _is_erased(case) and _is_mapped(case),
    summary=lambda case: f"{ERASED}; the volume is mapped, so the kernel still has the key",
    story=lambda case: ERASED_STORY + MAPPED_STORY,
    next=find_key,
    ways={Lead.MAPPING: Chance.LIKELY, Lead.PACKET: Chance.LIKELY, Lead.SEARCH: Chance.MAY},
    avoid=AVOID_WRITES,
    headline=ERASED_HEADLINE,
)
ERASED_PACKET = Rule(
    code="erased-packet",
    verdict=Verdict.NEEDS_KEY,
    seen="the same, neither backup nor mapping, but a packet with a volume key in the vault",
    applies=lambda case: _is_erased(case) and _is_in_packet(case),
    summary=lambda case: f"{ERASED}; an escrow packet in the vault holds a key of this volume",
    story=lambda case: ERASED_STORY + PACKET_STORY,
    next=find_key,
    ways={Lead.PACKET: Chance.LIKELY, Lead.SEARCH: Chance.MAY},
    avoid=AVOID_WRITES,
    headline=ERASED_HEADLINE,
)
ALL_ERASED = Rule(
    code="erased",
    verdict=Verdict.NEEDS_BACKUP,
    seen="the header has no keyslot of the data",
    applies=_is_erased,
    summary=lambda case: f"{ERASED}: {STAYS_SHUT}",
    story=lambda case: ERASED_STORY + _backup_story(case),
    next=bring_back,
    ways=WITH_BACKUP,
    avoid=AVOID_WRITES,
    headline=ERASED_HEADLINE,
)


def _destroyed_slots(case: Case) -> list[int]:
    return [keyslot.slot for keyslot in case.destroyed]


def _others_words(case: Case) -> str:
    """What the other keyslots promise: a suspect one is not said to open."""
    intact = [k.slot for k in case.keyslots if k.slot in case.usable and k.state is State.INTACT]
    if intact:
        return (
            f"{keyslot_words(intact).capitalize()} {are(intact)} whole, as far as can be seen:"
            f" {'their passphrases open' if len(intact) > 1 else 'its passphrase opens'} the volume."
        )
    return f"Of {keyslot_words(case.usable)} nothing tells whether it is whole: only its passphrase shows."


SOME_DESTROYED = Rule(
    code="keyslot-destroyed",
    missing=Missing.KEY,
    verdict=Verdict.NEEDS_BACKUP,
    seen="a keyslot in use is destroyed, others are whole",
    applies=lambda case: case.header is not None and bool(case.destroyed),
    summary=lambda case: (
        f"{keyslot_words(_destroyed_slots(case))} {are(_destroyed_slots(case))} destroyed and needs a backup;"
        f" {keyslot_words(case.usable)} {are(case.usable)} not"
    ).replace("are destroyed and needs", "are destroyed and need"),
    story=lambda case: (
        f"The key material of {keyslot_words(_destroyed_slots(case))} is destroyed: no passphrase opens it any more,"
        f" however right it is. {_others_words(case)} Only a header backup brings the destroyed one back."
        f" {vault_words(case)}"
    ),
    next=use_what_opens,
    ways={
        Lead.KEY: Chance.LIKELY,
        Lead.BACKUP: Chance.VERY_LIKELY,
        Lead.MAPPING: Chance.LIKELY,
        Lead.PACKET: Chance.LIKELY,
        Lead.REPAIR: Chance.MAY,
        Lead.REENCRYPTION: Chance.LIKELY,
    },
    avoid=AVOID_WRITES,
)
RULES = (
    TABLE_OVERWRITTEN,
    DESTROYED_MAPPED,
    DESTROYED_PACKET,
    ALL_DESTROYED,
    ERASED_MAPPED,
    ERASED_PACKET,
    ALL_ERASED,
    SOME_DESTROYED,
)
