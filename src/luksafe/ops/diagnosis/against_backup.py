"""What a backup of the same volume says against the header on the device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from luksafe.luks.compare import Change, compare, keyslot_fingerprint
from luksafe.luks.finding import Finding, Severity
from luksafe.luks.model import Header
from luksafe.ops.diagnosis.facts import Facts
from luksafe.ops.diagnosis.known_backups import KnownBackup
from luksafe.reader import BytesReader

NEVER_CHANGES = frozenset(
    {
        "volume-key-changed",
        "digest-changed",
        "segment-encryption-changed",
        "segment-offset-changed",
        "key-size-changed",
        "keyslot-parameters-changed",
        "uuid-changed",
    }
)
"""With the same keyslots and the same sequence id, no tool changes these: the header was damaged."""
MOST_SALT_BITS = 16


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A header that says what it cannot say, given ``backup``; ``texts`` are the differences.

    ``is_only_uuid``: nothing but the UUID, which can be set again.
    """

    backup: KnownBackup
    texts: tuple[str, ...]
    is_only_uuid: bool = False


def find_contradiction(facts: Facts, header: Header | None) -> Contradiction | None:
    """Whether a backup proves the header in force wrong though nothing in itself does. None when not."""
    for backup in facts.backups:
        stored = backup.inspection.header
        if header is None or stored is None or stored.format != header.format:
            continue
        found = list(_contradictions(stored, header, backup, facts))
        if found:
            is_only_uuid = stored.format == "luks1" and all(code == "uuid-changed" for code, _ in found)
            return Contradiction(backup, tuple(text for _, text in found), is_only_uuid)
    return None


def _contradictions(stored: Header, header: Header, backup: KnownBackup, facts: Facts) -> Iterator[tuple[str, str]]:
    changes = compare(stored, header, BytesReader(backup.image), BytesReader(facts.start))
    same_state = stored.format == "luks2" and stored.seqid == header.seqid and stored.uuid == header.uuid
    shared = _shared_salts(stored, header)
    for change in changes:
        if same_state and change.code not in ("keyslot-area-differs", "seqid-changed"):
            yield change.code, f"{change.text}, with the same sequence id"
        elif stored.format == "luks1" and shared and change.code in NEVER_CHANGES:
            yield change.code, f"{change.text}, with the same keyslots"
        elif change.code == "keyslot-changed" and _is_bit_flip(stored, header, change):
            yield change.code, f"{change.text}: the salt differs in a few bits only, so it was damaged"
        elif stored.format == "luks2" and change.code == "keyslot-parameters-changed":
            yield change.code, f"{change.text}, with the same salt"
    yield from _changed_digests(stored, header)


def _changed_digests(stored: Header, header: Header) -> Iterator[tuple[str, str]]:
    """Of a keyslot that was not written anew the digest stays what it was: it proves the same key."""
    for number in sorted(set(stored.keyslots) & set(header.keyslots)):
        ours, theirs = stored.digest_of_keyslot(number), header.digest_of_keyslot(number)
        is_same = keyslot_fingerprint(stored.keyslots[number]) == keyslot_fingerprint(header.keyslots[number])
        if ours is None or theirs is None or not is_same:
            continue
        names = [
            name for name in ("hash", "iterations", "salt", "digest") if getattr(ours, name) != getattr(theirs, name)
        ]
        if names:
            yield "digest-changed", f"the {' and '.join(names)} of the digest that proves keyslot {number} changed"


def _shared_salts(stored: Header, header: Header) -> bool:
    ours = {keyslot_fingerprint(k) for k in stored.keyslots.values()}
    return bool(ours & {keyslot_fingerprint(k) for k in header.keyslots.values()})


def _is_bit_flip(stored: Header, header: Header, change: Change) -> bool:
    """Two random salts of 32 bytes differ in about 128 bits; so few as these mean the same one, damaged."""
    number = int(change.where.split(".")[1])
    old, new = stored.keyslots[number].kdf, header.keyslots[number].kdf
    if old is None or new is None or len(old.salt) != len(new.salt):
        return False
    different = int.from_bytes(old.salt) ^ int.from_bytes(new.salt)
    return different.bit_count() <= MOST_SALT_BITS


def backup_findings(facts: Facts, header: Header | None) -> Iterator[Finding]:
    """What is worth knowing from the backups of the volume: drift, another volume on the device, a smaller device."""
    if header is None or not facts.backups:
        return
    same = [b for b in facts.backups if b.uuid.lower() == header.uuid.lower()]
    newest = next((b for b in same if b.is_current and b.inspection.header), None)
    if newest is not None and newest.inspection.header is not None:
        changes = compare(newest.inspection.header, header)
        if changes:
            words = "; ".join(change.text for change in changes)
            text = f"since backup {newest.id[:12]}: {words}"
            yield Finding("changed-since-backup", Severity.INFO, "header", text)
    if another := formatted_again(facts, header):
        text = (
            f"this device carried volume {another.uuid} (backup {another.id[:12]}); its header now is that of"
            f" {header.uuid}, which has no backup: it was formatted again, or another disk's header was copied here"
        )
        yield Finding("formatted-again", Severity.WARNING, "header", text, 0, header.areas_end)
    sizes = {b.device_size for b in same if b.device_size and b.by != "key-material"}
    if not facts.is_detached and facts.data_size_bytes and sizes and facts.data_size_bytes < max(sizes):
        missing = max(sizes) - facts.data_size_bytes
        text = f"the device is {missing} bytes smaller than when backup was made: the end of the data is missing"
        yield Finding("device-shrunk", Severity.WARNING, "data", text, facts.data_size_bytes, missing)


def formatted_again(facts: Facts, header: Header) -> KnownBackup | None:
    """The current backup of another volume that this very device held, when the present header has no backup.

    With the same keyslots it is no other volume: then the UUID was damaged.
    """
    if any(b.uuid.lower() == header.uuid.lower() for b in facts.backups):
        return None
    others = (b for b in facts.backups if b.is_of_device and b.is_current)
    another = next(others, None)
    stored = another.inspection.header if another else None
    return None if stored and _shared_salts(stored, header) else another
