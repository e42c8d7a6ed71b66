"""What differs between two headers, in words: meaning first, bytes of the keyslot areas where both are at hand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from luksafe.luks.areas import MAX_LUKS1_GAP_BYTES
from luksafe.luks.luks1.luksmeta import Note, read_luksmeta
from luksafe.luks.model import Digest, Header, Keyslot, Segment
from luksafe.luks.tokens import explain_token
from luksafe.reader import Reader
from luksafe.wall import ParserStopped, walled


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. ``code`` is stable; ``old`` and ``new`` are short texts, empty where there is nothing."""

    code: str
    where: str
    text: str
    old: str = ""
    new: str = ""


def _stopped(why: ParserStopped, *_: object) -> list[Change]:
    """Two headers that cannot be compared are not known to be the same."""
    return [Change(why.code, "", str(why))]


@walled("the difference between two headers", _stopped)
def compare(
    old: Header, new: Header, old_reader: Reader | None = None, new_reader: Reader | None = None
) -> list[Change]:
    """Every difference from ``old`` to ``new``. With both readers the key material is compared too."""
    return [
        *_compare_identity(old, new),
        *_compare_keys(old, new),
        *_compare_segments(old, new),
        *_compare_keyslots(old, new, old_reader, new_reader),
        *_compare_tokens(old, new),
        *_compare_settings(old, new),
        *_compare_luksmeta(old, new, old_reader, new_reader),
    ]


def same_volume_key(old: Header, new: Header) -> bool | None:
    """Whether both hold the same volume key, judged by their digests; None when that does not tell.

    The same salt and value mean the same key; the same salt with another value, or another size, another key. What
    differs in the salt does not tell: a header may have been made anew round the same key.
    """
    ours, theirs = _key_digest(old), _key_digest(new)
    if ours is None or theirs is None:
        return None
    if (ours.salt, ours.digest) == (theirs.salt, theirs.digest):
        return True
    if old.volume_key_size and new.volume_key_size and old.volume_key_size != new.volume_key_size:
        return False
    made_alike = [(d.salt, d.type, d.hash, d.iterations, len(d.digest)) for d in (ours, theirs)]
    return False if made_alike[0] == made_alike[1] else None


def keyslot_fingerprint(keyslot: Keyslot) -> str:
    """What tells one passphrase enrolment from another: the salt is new with every one."""
    salt = keyslot.kdf.salt if keyslot.kdf else b""
    return hashlib.sha256(salt + _bytes_of(keyslot.type)).hexdigest()[:16]


def _bytes_of(text: str) -> bytes:
    """As the text stands in the header: foreign bytes as they are; a surrogate that came as an escape has none."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def describe_keyslot(keyslot: Keyslot) -> str:
    """A few words: number, key derivation with its cost."""
    kdf = keyslot.kdf
    if kdf is None:
        return f"keyslot {keyslot.id} ({keyslot.type})"
    cost = f"{kdf.iterations} iterations" if kdf.type == "pbkdf2" else f"{kdf.memory_kib} KiB, time {kdf.time}"
    return f"keyslot {keyslot.id} ({kdf.type}{', ' + kdf.hash if kdf.hash else ''}, {cost})"


def _key_digest(header: Header) -> Digest | None:
    segment = header.default_segment
    digest = header.digest_of_segment(segment.id) if segment else None
    return digest if digest and digest.digest else None


def _compare_identity(old: Header, new: Header) -> Iterator[Change]:
    for name, text in (("format", "format"), ("uuid", "UUID"), ("label", "label"), ("subsystem", "subsystem")):
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            yield Change(
                f"{name}-changed", name, f"{text} changed from {before or 'none'} to {after or 'none'}", before, after
            )
    if old.seqid != new.seqid:
        yield Change("seqid-changed", "seqid", f"sequence id {old.seqid} → {new.seqid}", str(old.seqid), str(new.seqid))
    if old.header_size != new.header_size:
        text = f"one header copy has {new.header_size} bytes instead of {old.header_size}"
        yield Change("header-size-changed", "header_size", text, str(old.header_size), str(new.header_size))


def _compare_keys(old: Header, new: Header) -> Iterator[Change]:
    is_same = same_volume_key(old, new)
    if is_same is False:
        yield Change("volume-key-changed", "digests", "another volume key (formatted again, or another volume)")
    elif is_same is None and old.format == new.format and _key_digest(old) and _key_digest(new):
        text = "another digest of the volume key: whether the key is another one too, the header does not tell"
        yield Change("digest-changed", "digests", text)
    elif _digest_set(old) != _digest_set(new) and old.format == new.format:
        yield Change("digests-changed", "digests", "digests of other keys were added or removed")


def _digest_set(header: Header) -> set[tuple[bytes, bytes]]:
    return {(d.salt, d.digest) for d in header.digests.values()}


def _compare_segments(old: Header, new: Header) -> Iterator[Change]:
    if len(old.segments) != len(new.segments):
        text = f"{len(new.segments)} segments instead of {len(old.segments)}"
        yield Change("segments-changed", "segments", text, str(len(old.segments)), str(len(new.segments)))
    for number in sorted(set(old.segments) & set(new.segments)):
        yield from _compare_segment(old.segments[number], new.segments[number])


_SEGMENT_FIELDS = (
    ("encryption", "cipher"),
    ("sector_size", "sector size"),
    ("offset", "data offset"),
    ("size", "data size"),
    ("iv_tweak", "IV offset"),
    ("integrity", "integrity"),
    ("type", "segment type"),
    ("flags", "segment flags"),
)


def _compare_segment(old: Segment, new: Segment) -> Iterator[Change]:
    for name, text in _SEGMENT_FIELDS:
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            place = f"segments.{new.id}.{name}"
            words = f"{text} of segment {new.id} changed from {_show(before)} to {_show(after)}"
            yield Change(f"segment-{name.replace('_', '-')}-changed", place, words, _show(before), _show(after))


def _show(value: object) -> str:
    if value is None:
        return "dynamic"
    return ", ".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)


def _compare_keyslots(
    old: Header, new: Header, old_reader: Reader | None, new_reader: Reader | None
) -> Iterator[Change]:
    if old.volume_key_size and new.volume_key_size and old.volume_key_size != new.volume_key_size:
        before, after = str(old.volume_key_size * 8), str(new.volume_key_size * 8)
        yield Change("key-size-changed", "key_size", f"volume key of {after} bits instead of {before}", before, after)
    for number in sorted(set(old.keyslots) | set(new.keyslots)):
        before_slot, after_slot = old.keyslots.get(number), new.keyslots.get(number)
        where = f"keyslots.{number}"
        if before_slot is None and after_slot is not None:
            yield Change("keyslot-added", where, f"{describe_keyslot(after_slot)} added")
        elif after_slot is None and before_slot is not None:
            yield Change("keyslot-removed", where, f"{describe_keyslot(before_slot)} removed")
        elif before_slot is not None and after_slot is not None:
            yield from _compare_keyslot(before_slot, after_slot)
            same = keyslot_fingerprint(before_slot) == keyslot_fingerprint(after_slot)
            if same and old_reader and new_reader and _area_differs(old, new, number, old_reader, new_reader):
                yield Change("keyslot-area-differs", where, f"the key material of keyslot {number} differs")


def _compare_keyslot(old: Keyslot, new: Keyslot) -> Iterator[Change]:
    where = f"keyslots.{new.id}"
    if keyslot_fingerprint(old) != keyslot_fingerprint(new):
        text = f"keyslot {new.id} was written anew (another passphrase, or the same one enrolled again)"
        yield Change("keyslot-changed", where, text, describe_keyslot(old), describe_keyslot(new))
    elif old.kdf != new.kdf or old.af != new.af or old.area != new.area:
        text = f"the parameters of keyslot {new.id} changed"
        yield Change("keyslot-parameters-changed", where, text, describe_keyslot(old), describe_keyslot(new))
    if old.priority != new.priority:
        names = {0: "ignore", 1: "normal", 2: "prefer"}
        before, after = names.get(old.priority, str(old.priority)), names.get(new.priority, str(new.priority))
        text = f"priority of keyslot {new.id} changed from {before} to {after}"
        yield Change("keyslot-priority-changed", where, text, before, after)


def _area_differs(old: Header, new: Header, number: int, old_reader: Reader, new_reader: Reader) -> bool:
    before, after = old.keyslots[number].area, new.keyslots[number].area
    if before is None or after is None or before.size != after.size:
        return False
    try:
        one = old_reader.read_at(old.offset + before.offset, before.size)
        other = new_reader.read_at(new.offset + after.offset, after.size)
    except OSError:
        return True
    return one != other


def _compare_tokens(old: Header, new: Header) -> Iterator[Change]:
    for number in sorted(set(old.tokens) | set(new.tokens)):
        before, after = old.tokens.get(number), new.tokens.get(number)
        where = f"tokens.{number}"
        if before is None and after is not None:
            yield Change("token-added", where, f"token {number} added: {explain_token(after.type)}", "", after.type)
        elif after is None and before is not None:
            yield Change("token-removed", where, f"token {number} removed: {explain_token(before.type)}", before.type)
        elif before is not None and after is not None and before.raw != after.raw:
            text = f"token {number} changed: {explain_token(after.type)}"
            yield Change("token-changed", where, text, before.type, after.type)


def _compare_settings(old: Header, new: Header) -> Iterator[Change]:
    if old.config.flags != new.config.flags:
        before, after = _show(old.config.flags), _show(new.config.flags)
        yield Change("flags-changed", "config.flags", f"flags changed from {before} to {after}", before, after)
    if old.config.requirements != new.config.requirements:
        before, after = _show(old.config.requirements), _show(new.config.requirements)
        text = f"requirements changed from {before} to {after}"
        yield Change("requirements-changed", "config.requirements", text, before, after)
    if old.format == new.format and old.config.keyslots_size != new.config.keyslots_size:
        before, after = str(old.config.keyslots_size), str(new.config.keyslots_size)
        text = f"keyslots area of {after} bytes instead of {before}"
        yield Change("keyslots-size-changed", "config.keyslots_size", text, before, after)


def luksmeta_of(header: Header, reader: Reader) -> dict[int, Note]:
    """What clevis and others keep between the keyslots and the data of a LUKS1 volume, by keyslot."""
    length = min(header.data_offset - header.areas_end, MAX_LUKS1_GAP_BYTES)
    if header.format != "luks1" or length <= 0:
        return {}
    try:
        return read_luksmeta(reader.read_at(header.offset + header.areas_end, length), header.areas_end)
    except OSError:
        return {}


def _compare_luksmeta(
    old: Header, new: Header, old_reader: Reader | None, new_reader: Reader | None
) -> Iterator[Change]:
    if old_reader is None or new_reader is None:
        return
    before, after = luksmeta_of(old, old_reader), luksmeta_of(new, new_reader)
    for slot in sorted(before.keys() | after.keys()):
        ours, theirs = before.get(slot), after.get(slot)
        where = f"luksmeta.{slot}"
        if theirs is None and ours is not None:
            yield Change("luksmeta-lost", where, f"the luksmeta data of {ours.words} are gone", ours.owner)
        elif ours is None and theirs is not None:
            yield Change("luksmeta-added", where, f"luksmeta data of {theirs.words} added", "", theirs.owner)
        elif ours is not None and theirs is not None and ours != theirs:
            yield Change("luksmeta-changed", where, f"the luksmeta data of {theirs.words} changed", ours.owner)
