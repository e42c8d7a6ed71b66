"""The plan of a restore: what will be written, what it changes, what speaks against it. Pure: facts in, plan out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from luksafe.device.identity import DeviceFacts
from luksafe.device.usage import Use
from luksafe.errors import Refused
from luksafe.luks.compare import Change, compare, describe_keyslot, same_volume_key
from luksafe.luks.finding import Severity
from luksafe.luks.inspection import Inspection
from luksafe.luks.model import Header
from luksafe.ops.container import container_dangers
from luksafe.ops.contradiction import Contradicted
from luksafe.ops.elsewhere import Elsewhere, Part
from luksafe.ops.keyslot_health import destroyed_words
from luksafe.ops.leftovers import gpt_phase, leftover_notes, leftover_phase, live_backup_gpt, remaining
from luksafe.ops.newer import Newer, keyslots_returning, keyslots_vanishing, returning_words
from luksafe.ops.proof import ProofReport
from luksafe.ops.restore_dangers import (
    ANSWERED_BY_DATA,
    ANSWERED_BY_NAMED_DATA,
    evidence_notes,
    evidence_to_json,
    is_named,
    newer_dangers,
    place_dangers,
    unread_dangers,
)
from luksafe.ops.ties import Ties
from luksafe.ops.write.phases import Range, header_phases
from luksafe.ops.write.plan import Danger, Phase, WritePlan
from luksafe.probe.container import Container
from luksafe.probe.recognised import Recognised
from luksafe.reader import Reader

FLAG_HELP = {
    "--allow-other-uuid": "The device has another UUID than the backup.",
    "--allow-other-format": "LUKS1 over LUKS2 or the reverse.",
    "--allow-other-key": "Nothing shows that the volume key is that of the device: its data may not be readable.",
    "--allow-other-key-size": "The volume keys differ in size.",
    "--allow-other-cipher": "The ciphers differ.",
    "--allow-other-sector-size": "The encryption sector sizes differ.",
    "--allow-other-offset": "The data begin elsewhere.",
    "--allow-older": "The backup is older; passphrases revoked since work again.",
    "--allow-lost-keyslots": "Keyslots that are on the device only will be gone.",
    "--allow-damaged-backup": "The backup is damaged, a keyslot in it destroyed, or a proven backup says otherwise.",
    "--allow-reencryption": "The device or the backup is in reencryption.",
    "--allow-over-data": "The header is a detached one: if the device holds its data, their start is overwritten.",
    "--allow-in-use": "The device is mounted, mapped or otherwise in use.",
    "--allow-smaller": "The device is smaller than the one that was backed up.",
    "--allow-larger": "The device is larger than the one that was backed up.",
    "--allow-unknown-device": "Nothing ties the backup to the device: its data may be another's.",
    "--allow-other-place": "The volume, or others that are alive, stand at another place.",
    "--allow-noise": "The data on the device make no sense with the key given.",
    "--allow-unread": "A fault in luksafe left unread what is on the device, and other dangers may go unsaid.",
}
"""Each danger has a flag of its own; ``--over NAME`` (a foreign signature) is the only one with a value."""


@dataclass(frozen=True, slots=True)
class RestoreSource:
    """What is restored: an image, the ranges of it that may be written, what it holds, what it is called."""

    image: bytes
    kept: tuple[Range, ...]
    inspection: Inspection
    reader: Reader
    name: str
    device_size_bytes: int = 0
    destroyed_keyslots: tuple[int, ...] = ()
    has_damage: bool = False
    contradicted: tuple[Contradicted, ...] = ()
    backup_id: str = ""
    is_detached: bool = False
    newer: Newer | None = None


@dataclass(frozen=True, slots=True)
class RestoreTarget:
    """What is known of the device: facts, bytes, its header if any, who uses it, what else is on it, and where.

    ``ties`` tie the backup to it; ``parts`` are alive within it; ``elsewhere`` is another device that has the volume;
    ``proof`` is what came of a key, None where none was given; ``unread`` says what no probe could tell.
    """

    facts: DeviceFacts
    reader: Reader
    inspection: Inspection
    uses: Sequence[Use] = ()
    signatures: Sequence[Recognised] = ()
    container: Container | None = None
    remove_backup_gpt: bool = False
    ties: Ties = field(default_factory=Ties)
    parts: Sequence[Part] = ()
    elsewhere: Elsewhere | None = None
    proof: ProofReport | None = None
    unread: Sequence[str] = ()


def plan_restore(source: RestoreSource, target: RestoreTarget) -> WritePlan:
    """The complete plan. Raises DamagedInput when the backup holds no header, Refused when the device is too small."""
    new = source.inspection.require_header()
    _require_room(source, target.facts)
    old = target.inspection.header
    changes = compare(old, new, target.reader, source.reader) if old else []
    phases = tuple(_phases(source, target, new))
    return WritePlan(
        purpose="restore",
        target=target.facts,
        phases=phases,
        dangers=tuple(_unproven(_dangers(source, target, old, new, changes), target.proof)),
        changes=tuple(change.text for change in changes),
        notes=(*evidence_notes(target), *_notes(source, old, new, changes), *_notes_on_others(target, phases)),
        source=source.name,
        uuid=new.uuid,
        evidence=evidence_to_json(target),
    )


def _unproven(dangers: Iterable[Danger], proof: ProofReport | None) -> Iterator[Danger]:
    """Without the dangers that a proof by the data answers."""
    answered: frozenset[str] = frozenset()
    if proof is not None and proof.data.is_recognised:
        answered = ANSWERED_BY_DATA | (ANSWERED_BY_NAMED_DATA if is_named(proof) else frozenset())
    yield from (danger for danger in dangers if danger.code not in answered)


def _phases(source: RestoreSource, target: RestoreTarget, new: Header) -> Iterator[Phase]:
    """The header, then what would be left of others: until the header stands, one of them may be the only way in."""
    phases = list(header_phases(source.image, source.kept, target.reader, new))
    yield from phases
    yield from leftover_phase(target.reader, phases, source.inspection, target.signatures)
    gpt = live_backup_gpt(target.signatures)
    if target.remove_backup_gpt and gpt:
        yield gpt_phase(target.reader, gpt)


def _notes_on_others(target: RestoreTarget, phases: Sequence[Phase]) -> Iterator[str]:
    if target.signatures:
        yield from leftover_notes(target.facts.path, remaining(target.reader, phases), target.signatures)


def _require_room(source: RestoreSource, facts: DeviceFacts) -> None:
    needed = max(end for _, end in source.kept)
    if facts.size_bytes < needed:
        raise Refused(
            f"{facts.path} has {facts.size_bytes} bytes; the header and its keyslots take {needed}",
            code="too-small",
            hint="is it the right device? see its size with lsblk; nothing accepts this",
        )


def _dangers(
    source: RestoreSource, target: RestoreTarget, old: Header | None, new: Header, changes: Sequence[Change]
) -> Iterator[Danger]:
    yield from container_dangers(target.container, target.facts.path)
    yield from place_dangers(source, target, new)
    yield from unread_dangers(target, changes)
    if source.has_damage:
        faults = "; ".join(f.text for f in source.inspection.all_findings if f.severity is not Severity.INFO)
        yield Danger("damaged-backup", f"the backup itself is damaged: {faults}", "--allow-damaged-backup")
    if source.destroyed_keyslots:
        text = destroyed_words(source.destroyed_keyslots, "the backup")
        yield Danger("destroyed-keyslot", text, "--allow-damaged-backup")
    for one in source.contradicted:
        text = f"{one.words('this backup')}; better: luksafe restore {one.backup_id[:12]} {target.facts.path}"
        yield Danger("contradicted-backup", text, "--allow-damaged-backup")
    if new.is_in_reencryption or (old and old.is_in_reencryption):
        where = "device" if old and old.is_in_reencryption else "backup"
        text = f"the {where} is in reencryption: another header would make part of the data unreadable"
        yield Danger("in-reencryption", text, "--allow-reencryption")
    found = list(_header_dangers(old, new, changes)) if old is not None else []
    told = {danger.flag for danger in found}
    known = newer_dangers(source, target, new) if changes or old is None else ()
    yield from (*found, *(danger for danger in known if danger.flag not in told))


_DANGEROUS_CHANGES = {
    "uuid-changed": ("other-uuid", "--allow-other-uuid"),
    "format-changed": ("other-format", "--allow-other-format"),
    "volume-key-changed": ("other-key", "--allow-other-key"),
    "digest-changed": ("other-key", "--allow-other-key"),
    "key-size-changed": ("other-key-size", "--allow-other-key-size"),
    "segment-encryption-changed": ("other-cipher", "--allow-other-cipher"),
    "segment-sector-size-changed": ("other-sector-size", "--allow-other-sector-size"),
    "segment-offset-changed": ("other-offset", "--allow-other-offset"),
    "segment-iv-tweak-changed": ("other-offset", "--allow-other-offset"),
}


def _header_dangers(old: Header, new: Header, changes: Sequence[Change]) -> Iterator[Danger]:
    for change in changes:
        if change.code in _DANGEROUS_CHANGES:
            code, flag = _DANGEROUS_CHANGES[change.code]
            yield Danger(code, f"it would change the device: {change.text}", flag)
    if not same_volume_key(old, new):
        return
    returning, vanishing = keyslots_returning(old, new), keyslots_vanishing(old, new)
    if new.seqid < old.seqid:
        text = f"the backup is older than the device: sequence id {new.seqid} against {old.seqid}"
        yield Danger("older", text + returning_words(returning), "--allow-older")
    elif returning:
        yield Danger(
            "keyslots-return", "the device lacks keyslots of the backup" + returning_words(returning), "--allow-older"
        )
    if vanishing:
        words = ", ".join(describe_keyslot(k) for k in vanishing)
        yield Danger("keyslots-vanish", f"on the device only, and gone afterwards: {words}", "--allow-lost-keyslots")


def _notes(source: RestoreSource, old: Header | None, new: Header, changes: Sequence[Change]) -> Iterator[str]:
    if old is None:
        yield "no usable header is on the device now; nothing there can be compared"
    elif same_volume_key(old, new):
        yield "same volume key (the digests agree)" + ("" if changes else "; nothing changes in meaning")
    if not new.keyslots:
        yield "the backup has no keyslot: afterwards only the volume key itself opens the volume"
    if len(source.kept) > 1:
        yield "only the ranges that the backup kept are written; of what lies between, remains of others are zeroed"
