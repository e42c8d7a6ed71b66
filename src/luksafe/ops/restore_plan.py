"""The plan of a restore: what will be written, what it changes, what speaks against it. Pure: facts in, plan out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from luksafe.device.identity import DeviceFacts
from luksafe.device.usage import Use
from luksafe.errors import Refused
from luksafe.luks.compare import Change, compare, describe_keyslot, keyslot_fingerprint, same_volume_key
from luksafe.luks.finding import Severity
from luksafe.luks.inspection import Inspection
from luksafe.luks.model import Header, Keyslot
from luksafe.ops.container import container_dangers
from luksafe.ops.contradiction import Contradicted
from luksafe.ops.keyslot_health import destroyed_words
from luksafe.ops.leftovers import gpt_phase, leftover_notes, leftover_phase, live_backup_gpt, remaining
from luksafe.ops.write.phases import Range, header_phases
from luksafe.ops.write.plan import Danger, Phase, WritePlan
from luksafe.probe.container import Container
from luksafe.probe.recognised import Recognised
from luksafe.reader import Reader

FLAG_HELP = {
    "--allow-other-uuid": "The device has another UUID than the backup.",
    "--allow-other-format": "LUKS1 over LUKS2 or the reverse.",
    "--allow-other-key": "The device has another volume key: its data will not be readable with this header.",
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


@dataclass(frozen=True, slots=True)
class RestoreTarget:
    """What is known of the device: facts, bytes, its header if any, who uses it, what else is on it."""

    facts: DeviceFacts
    reader: Reader
    inspection: Inspection
    uses: Sequence[Use] = ()
    signatures: Sequence[Recognised] = ()
    container: Container | None = None
    remove_backup_gpt: bool = False


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
        dangers=tuple(_dangers(source, target, old, new, changes)),
        changes=tuple(change.text for change in changes),
        notes=(*_notes(source, old, new, changes), *_notes_on_others(target, phases)),
        source=source.name,
        uuid=new.uuid,
    )


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
    yield from _place_dangers(source, target, new)
    if source.has_damage:
        faults = "; ".join(f.text for f in source.inspection.all_findings if f.severity is not Severity.INFO)
        yield Danger("damaged-backup", f"the backup itself is damaged: {faults}", "--allow-damaged-backup")
    if source.destroyed_keyslots:
        text = destroyed_words(source.destroyed_keyslots, "the backup")
        yield Danger("destroyed-keyslot", text, "--allow-damaged-backup")
    for found in source.contradicted:
        text = f"{found.words('this backup')}; better: luksafe restore {found.backup_id[:12]} {target.facts.path}"
        yield Danger("contradicted-backup", text, "--allow-damaged-backup")
    if new.is_in_reencryption or (old and old.is_in_reencryption):
        where = "device" if old and old.is_in_reencryption else "backup"
        text = f"the {where} is in reencryption: another header would make part of the data unreadable"
        yield Danger("in-reencryption", text, "--allow-reencryption")
    if old is not None:
        yield from _header_dangers(old, new, changes)


def _place_dangers(source: RestoreSource, target: RestoreTarget, new: Header) -> Iterator[Danger]:
    yield from container_dangers(target.container, target.facts.path)
    for use in target.uses:
        yield Danger("in-use", use.detail, "--allow-in-use")
    for name in dict.fromkeys(signature.name for signature in target.signatures):
        text = f"there is {name} on the device, which would be overwritten or left broken"
        yield Danger("foreign-signature", text, f"--over {name}")
    size = target.facts.size_bytes
    has_header = any(copy.state != "missing" for copy in target.inspection.copies)
    if new.is_detached and size > new.areas_end and not has_header:
        text = f"the header is a detached one: its data begin at byte {new.data_offset} of their device"
        text += f", and if that is {target.facts.path}, this overwrites their start"
        yield Danger("over-data", text, "--allow-over-data", _instead_of_over_data(source, target))
    needed = max(0 if new.is_detached else source.device_size_bytes, new.areas_end)
    if size < needed:
        yield Danger(
            "smaller-device", f"the device has {size} bytes, the one backed up had {needed}", "--allow-smaller"
        )


def _instead_of_over_data(source: RestoreSource, target: RestoreTarget) -> str:
    if not source.backup_id:
        return f"open it with the header where it is: luksafe prove {target.facts.path} --header FILE"
    return f"luksafe export {source.backup_id[:12]} FILE   (and open it with --header FILE)"


_DANGEROUS_CHANGES = {
    "uuid-changed": ("other-uuid", "--allow-other-uuid"),
    "format-changed": ("other-format", "--allow-other-format"),
    "volume-key-changed": ("other-key", "--allow-other-key"),
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
    returning, vanishing = keyslots_returning(old, new), keyslots_vanishing(old, new)
    if new.seqid < old.seqid and same_volume_key(old, new):
        text = f"the backup is older than the device: sequence id {new.seqid} against {old.seqid}"
        yield Danger("older", text + _returning_words(returning), "--allow-older")
    elif returning and same_volume_key(old, new):
        yield Danger(
            "keyslots-return", "the device lacks keyslots of the backup" + _returning_words(returning), "--allow-older"
        )
    if vanishing and same_volume_key(old, new):
        words = ", ".join(describe_keyslot(k) for k in vanishing)
        yield Danger("keyslots-vanish", f"on the device only, and gone afterwards: {words}", "--allow-lost-keyslots")


def _returning_words(returning: Sequence[Keyslot]) -> str:
    if not returning:
        return ""
    slots = ", ".join(str(keyslot.id) for keyslot in returning)
    return f"; revoked passphrases work again (keyslot {slots})"


def keyslots_returning(old: Header, new: Header) -> list[Keyslot]:
    """Keyslots of the backup that the device does not have any more."""
    present = {keyslot_fingerprint(k) for k in old.keyslots.values()}
    return [k for k in new.keyslots.values() if keyslot_fingerprint(k) not in present]


def keyslots_vanishing(old: Header, new: Header) -> list[Keyslot]:
    """Keyslots of the device that the backup does not have."""
    return keyslots_returning(new, old)


def _notes(source: RestoreSource, old: Header | None, new: Header, changes: Sequence[Change]) -> Iterator[str]:
    if old is None:
        yield "no usable header is on the device now; nothing there can be compared"
    elif same_volume_key(old, new):
        yield "same volume key (the digests agree)" + ("" if changes else "; nothing changes in meaning")
    if not new.keyslots:
        yield "the backup has no keyslot: afterwards only the volume key itself opens the volume"
    if len(source.kept) > 1:
        yield "only the ranges that the backup kept are written; of what lies between, remains of others are zeroed"
