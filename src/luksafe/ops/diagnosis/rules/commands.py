"""The commands that rules propose, built from what was gathered: each runs as it is printed."""

from __future__ import annotations

import hashlib
import shlex
import uuid
from collections.abc import Iterator

from luksafe.ops.diagnosis.elsewhere import VolumeElsewhere
from luksafe.ops.diagnosis.facts import Facts
from luksafe.ops.diagnosis.known_backups import KnownBackup
from luksafe.ops.diagnosis.known_packets import to_offer
from luksafe.ops.diagnosis.model import Verdict
from luksafe.ops.diagnosis.reencryption import resume_steps
from luksafe.ops.diagnosis.rules.rule import Case

DAMAGED = (Verdict.REPAIRABLE, Verdict.NEEDS_BACKUP, Verdict.NEEDS_KEY, Verdict.LOST)
MOST_BACKUPS = 3


def first_lines(facts: Facts, verdict: Verdict) -> Iterator[str]:
    """What has to be read before all else: a mapping that is the last holder of the key, an interrupted write."""
    for mapping in facts.mappings:
        if verdict in DAMAGED:
            yield (
                f"DO NOT CLOSE IT, DO NOT REBOOT: it is mapped right now as {mapping.name}. While it is, the data can"
                " be read and the kernel holds the volume key; once it is closed, nothing here is sure to open it."
            )
        if mapping.is_key_wiped:
            yield f"{mapping.name} is suspended, its key wiped from memory: do not reboot before you have a way in"
    if facts.interruption:
        yield f"{facts.interruption}: finish or undo that first"


def before_all(case: Case, verdict: Verdict) -> Iterator[str]:
    """What comes before the commands of any rule: to end a write that was interrupted, to use a key in memory."""
    if case.facts.interruption:
        yield f"luksafe undo {case.device}"
    if verdict in DAMAGED and not case.facts.repair.proposals:
        yield from (rebuild(case, mapping.name) for mapping in case.facts.mappings)


def mapped_avoid(case: Case, verdict: Verdict) -> Iterator[str]:
    """What not to do while the kernel has the key of a damaged volume."""
    if verdict in DAMAGED and case.facts.mappings:
        yield "do not close the mapping, do not reboot"


def rebuild(case: Case, mapping: str) -> str:
    """A new header round the key of a mapping; where a detached one belongs, into a file."""
    to = " --to FILE" if case.facts.header or case.facts.headers_elsewhere else ""
    return f"luksafe rebuild {case.device} --from-mapping {shlex.quote(mapping)}{to}"


def keep_and_prove(case: Case) -> Iterator[str]:
    """Of a header that is whole: the backup that is missing, else how safe it is; and a proof, where none was tried."""
    uuid = case.header.uuid.lower() if case.header else ""
    is_kept = any(backup.uuid.lower() == uuid for backup in case.facts.backups)
    yield f"luksafe check {case.volume}" if is_kept else f"luksafe backup {case.volume}"
    if case.facts.attempt is None:
        yield f"luksafe prove {case.volume}"


def resume(case: Case) -> Iterator[str]:
    """How a reencryption goes on, if one was begun."""
    yield from (shlex.join(step.command) for step in resume_steps(case.facts, case.facts.device or case.facts.target))


def repair(case: Case) -> Iterator[str]:
    """To mend the header; where it contradicts itself, once for each side."""
    sides = case.facts.repair.sides
    yield from (f"luksafe repair {case.place} {side.option}" for side in sides)
    if not sides:
        yield f"luksafe repair {case.place}"
    yield from (rebuild(case, mapping.name) for mapping in case.facts.mappings)  # where repair is refused
    yield from resume(case)


def repair_uuid(case: Case) -> Iterator[str]:
    """To set the UUID again: the one that a backup knows, else one that is made from the salts of the header."""
    known = next((b.uuid for b in case.facts.backups if b.inspection.header), _new_uuid(case))
    yield f"luksafe repair {case.place} --uuid {known}"
    yield from resume(case)


def _new_uuid(case: Case) -> str:
    salts = b"".join(digest.salt for digest in case.header.digests.values()) if case.header else b""
    return str(uuid.UUID(bytes=hashlib.sha256(salts).digest()[:16], version=4))


def best_backups(case: Case) -> tuple[KnownBackup, ...]:
    """The backups to propose, at most three; they come in the order of what opens.

    Older ones that were seen to open stand beside a current one only while that was not. One without keyslots is
    never proposed: no passphrase opens it.
    """
    opening = [b for b in case.facts.backups if b.opens]
    if opening and opening[0].is_current and opening[0].proven:
        opening = [b for b in opening if b.is_current]
    others = [b for b in case.facts.backups if b.has_keyslots or b.inspection.header is None]
    return tuple(opening[:MOST_BACKUPS] or others[:1])


def with_backup(case: Case) -> Iterator[str]:
    """To look whether a backup opens the data, then to see what writing it back would do."""
    for backup in case.facts.headers_elsewhere[:1]:
        yield f"luksafe diagnose {case.device} --header FILE"
        yield f"luksafe prove {backup.id[:12]} --data {case.device}"
        yield f"luksafe export {backup.id[:12]} FILE"
    for backup in best_backups(case):
        yield f"luksafe prove {backup.id[:12]} --data {case.device}"
        yield f"luksafe restore {backup.id[:12]} {case.place} --dry-run"
    if not (best_backups(case) or case.facts.headers_elsewhere):
        yield "luksafe list"
        yield "luksafe import FILE"


def with_packet(case: Case) -> Iterator[str]:
    """To get a new passphrase from an escrow packet: those of the vault, else one that is elsewhere."""
    packets = case.facts.packets
    offered = to_offer(packets)
    for packet in offered:
        opening = shlex.join(packet.apply(case.facts.device or case.facts.target))
        at = f" --header {case.place}" if case.facts.header else ""
        yield opening + at + ("" if packet.asks else " --identity FILE")
    if len(offered) < len(packets):
        yield "luksafe escrow show"
    if not offered or len(offered) < len(packets):
        yield f"luksafe escrow apply PACKET {case.volume}"


def bring_back(case: Case) -> Iterator[str]:
    """Whatever brings a header back: a backup, a packet, a longer search for a repair, a search of the device."""
    yield from with_backup(case)
    if case.facts.packets or not (case.facts.backups or case.facts.headers_elsewhere):
        yield from with_packet(case)
    if case.facts.repair.is_unfinished:
        yield f"luksafe repair {case.place} --dry-run"
    yield scan(case)


def find_key(case: Case) -> Iterator[str]:
    """To find the right key: what another keyboard would have typed, the backups, a packet."""
    if case.facts.attempt is None or not case.facts.attempt.with_variants:
        yield f"luksafe diagnose {case.volume} --try-variants"
    yield from (f"luksafe prove {b.id[:12]} --data {case.device}" for b in best_backups(case))
    yield from with_packet(case)


def use_what_opens(case: Case) -> Iterator[str]:
    """Where a keyslot is destroyed and others are whole: the backup that has it; else to open by another one."""
    if best_backups(case):
        yield from with_backup(case)
    else:
        yield f"luksafe prove {case.volume} --key-slot {case.usable[0]}"
        yield f"luksafe backup {case.volume}"
        yield "luksafe import FILE"
    if case.facts.repair.proposals:
        yield f"luksafe repair {case.place}"
    yield from with_packet(case) if case.facts.packets else ()
    yield from resume(case)


def scan(case: Case) -> str:
    """To search the whole device."""
    return f"luksafe scan {case.device}"


def find_volume(case: Case) -> Iterator[str]:
    """To search the device for volumes."""
    yield scan(case)


def reach(case: Case, volume: VolumeElsewhere) -> Iterator[str]:
    """To make a volume that begins at another byte reachable, reading only, and to look at it."""
    if volume.node:
        yield f"luksafe diagnose {volume.node}"
    elif volume.offset > 0:
        size = f" --sizelimit {volume.size_bytes}" if volume.size_bytes else ""
        yield f"losetup --find --show --read-only --offset {volume.offset}{size} {case.device}"
