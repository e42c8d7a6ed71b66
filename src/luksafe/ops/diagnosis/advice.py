"""What to type next, and what not to do."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from luksafe.ops.diagnosis.facts import Facts
from luksafe.ops.diagnosis.known_packets import to_offer
from luksafe.ops.diagnosis.model import Verdict
from luksafe.ops.diagnosis.reencryption import resume_steps

DAMAGED = (Verdict.REPAIRABLE, Verdict.NEEDS_BACKUP, Verdict.NEEDS_KEY, Verdict.LOST)


def first_lines(facts: Facts, verdict: Verdict) -> Iterator[str]:
    """What has to be read before all else: a mapping that is the last holder of the key, an interrupted write."""
    for mapping in facts.mappings:
        if verdict in DAMAGED:
            yield (
                f"DO NOT CLOSE IT, DO NOT REBOOT: it is mapped right now as {mapping.name}. While it is, the data can"
                " be read and the kernel holds the volume key; once it is closed, a damaged header may keep it shut."
            )
        if mapping.is_key_wiped:
            yield f"{mapping.name} is suspended, its key wiped from memory: do not reboot before you have a way in"
    if facts.interruption:
        yield f"{facts.interruption}: finish or undo that first"


def next_commands(facts: Facts, verdict: Verdict) -> Iterator[str]:
    """Commands, the best first."""
    device, place = shlex.quote(facts.device or facts.target), _header_place(facts)
    volume = f"{device} --header {place}" if facts.header else device
    if facts.interruption:
        yield f"luksafe undo {device}"
    if verdict in DAMAGED and not facts.repair.proposals:
        yield from (_rebuild(facts, device, m.name) for m in facts.mappings)
    match verdict:
        case Verdict.HEALTHY:
            yield from _for_healthy(facts, volume)
        case Verdict.REPAIRABLE:
            yield from _for_repairable(facts, device, place)
        case Verdict.NOT_LUKS:
            yield from _for_not_luks(facts, device)
        case Verdict.UNSUPPORTED:
            yield f"luksafe show {volume}"
        case Verdict.NEEDS_KEY:
            yield f"luksafe diagnose {volume} --try-variants"
            yield from (f"luksafe prove {b.id[:12]} --data {device}" for b in facts.backups[:3])
            yield from _with_packet(facts, volume)
        case _ if facts.inspection.is_luks1_reencrypting:
            yield from _resume(facts)
        case _ if any(f.code == "device-too-small" for f in facts.mended.findings):
            yield "luksafe scan DISK --table   (the whole disk: where does the partition end?)"
        case _:
            yield from _with_backup(facts, device, place)
            if facts.packets or not (facts.backups or facts.headers_elsewhere):
                yield from _with_packet(facts, volume)
            if facts.repair.is_unfinished:
                yield f"luksafe repair {place} --dry-run"
            yield f"luksafe scan {device}"


def things_to_avoid(facts: Facts, verdict: Verdict) -> Iterator[str]:
    """What makes it worse."""
    if facts.inspection.is_luks1_reencrypting:
        yield (
            "do not restore or repair the header before the reencryption has ended, do not format: part of the data has"
            " the new key, part the old one"
        )
    elif verdict in DAMAGED:
        yield "do not run cryptsetup on it (isLuks, luksDump and repair may write); do not format, fsck or partition it"
    if verdict in DAMAGED and facts.mappings:
        yield "do not close the mapping, do not reboot"


def _header_place(facts: Facts) -> str:
    """Where the header stands: what repair and restore are to write to."""
    return shlex.quote(facts.header or facts.device or facts.target)


def _rebuild(facts: Facts, device: str, mapping: str) -> str:
    to = " --to FILE" if facts.header or facts.headers_elsewhere else ""
    return f"luksafe rebuild {device} --from-mapping {shlex.quote(mapping)}{to}"


def _for_healthy(facts: Facts, device: str) -> Iterator[str]:
    header = facts.mended.header
    if resume_steps(facts, device):
        yield from _resume(facts)
    elif not any(b.uuid.lower() == (header.uuid.lower() if header else "") for b in facts.backups):
        yield f"luksafe backup {device}"
    else:
        yield f"luksafe check {device}"
    if facts.attempt is None:
        yield f"luksafe prove {device}"


def _for_repairable(facts: Facts, device: str, place: str) -> Iterator[str]:
    for mapping in facts.mappings:
        yield f"{_rebuild(facts, device, mapping.name)}   (if repair is refused)"
    if facts.repair.left and not facts.repair.proposals:
        known = next((b.uuid for b in facts.backups if b.inspection.header), "UUID")
        yield f"luksafe repair {place} --uuid {known}"
    elif facts.repair.sides:
        yield from (f"luksafe repair {place} {side.option}" for side in facts.repair.sides)
    else:
        yield f"luksafe repair {place}"
    yield from _resume(facts)


def _resume(facts: Facts) -> Iterator[str]:
    yield from (shlex.join(step.command) for step in resume_steps(facts, facts.device or facts.target))


def _with_packet(facts: Facts, device: str) -> Iterator[str]:
    offered = to_offer(facts.packets)
    for packet in offered:
        opening = shlex.join(packet.apply(facts.device or facts.target))
        at = f" --header {_header_place(facts)}" if facts.header else ""
        yield opening + at + ("" if packet.asks else " --identity FILE")
    if len(offered) < len(facts.packets):
        yield "luksafe escrow show"
    if not offered or len(offered) < len(facts.packets):
        yield f"luksafe escrow apply PACKET {device}"


def _with_backup(facts: Facts, device: str, place: str) -> Iterator[str]:
    for backup in facts.headers_elsewhere[:1]:
        yield f"luksafe diagnose {device} --header FILE"
        yield f"luksafe prove {backup.id[:12]} --data {device}"
        yield f"luksafe export {backup.id[:12]} FILE"
    current = [b for b in facts.backups if b.is_current and not b.is_contradicted]
    for backup in current[:3] or facts.backups[:1]:
        yield f"luksafe prove {backup.id[:12]} --data {device}"
        yield f"luksafe restore {backup.id[:12]} {place} --dry-run"
    if not (facts.backups or facts.headers_elsewhere):
        yield "luksafe list"
        yield "luksafe import FILE"


def _for_not_luks(facts: Facts, device: str) -> Iterator[str]:
    if facts.size_bytes == 0:
        yield "lsblk   (which device is it?)"
        return
    for trace in facts.traces:
        if trace.volume_offset > 0:
            yield f"losetup --find --show --read-only --offset {trace.volume_offset} {device}"
            break
    yield f"luksafe scan {device}"
