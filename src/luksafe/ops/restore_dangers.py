"""What speaks against a place to restore to, and against a state that is not the latest known one."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from luksafe.luks.compare import Change, describe_keyslot
from luksafe.luks.model import Header
from luksafe.ops.elsewhere import OWN_MATERIAL, Part, place_within
from luksafe.ops.newer import keyslots_returning, keyslots_vanishing, newer_remains, returning_words
from luksafe.ops.proof import ProofReport
from luksafe.ops.ties import is_same_volume
from luksafe.ops.write.plan import Danger
from luksafe.vault.record import NOT_RECOGNISED
from luksafe.wall import ParserStopped

if TYPE_CHECKING:
    from luksafe.ops.restore_plan import RestoreSource, RestoreTarget

ANSWERED_BY_DATA = frozenset({"unknown-device", "larger-device", "smaller-device", "other-place", "other-key"})
"""The dangers that are none where the key decrypts the device's data to sense."""
ANSWERED_BY_NAMED_DATA = frozenset(
    {"other-uuid", "other-key-size", "other-cipher", "other-sector-size", "other-offset"}
)
"""Those that need more: a name for what the data are, as sense further on may be left of an earlier volume."""


def is_named(proof: ProofReport) -> bool:
    """Whether it is known what the data are."""
    return proof.data.found not in NOT_RECOGNISED


def place_dangers(source: RestoreSource, target: RestoreTarget, new: Header) -> Iterator[Danger]:
    """What speaks against writing there."""
    for use in target.uses:
        yield Danger("in-use", use.detail, "--allow-in-use")
    for name in dict.fromkeys(signature.name for signature in target.signatures):
        text = f"there is {name} on the device, which would be overwritten or left broken"
        yield Danger("foreign-signature", text, f"--over {name}")
    yield from _noise(target)
    yield from _other_place(source, target, new)
    yield from _over_data(source, target, new)
    yield from _unknown_device(source, target, new)
    yield from _sizes(source, target, new)


def unread_dangers(target: RestoreTarget, changes: Sequence[Change]) -> Iterator[Danger]:
    """That a parser stopped at its wall: what it would have said against the write is not known."""
    findings = [finding.text for finding in target.inspection.all_findings if finding.code == ParserStopped.code]
    texts = [*findings, *(change.text for change in changes if change.code == ParserStopped.code), *target.unread]
    for text in dict.fromkeys(texts):
        yield Danger("unread", f"what is on the device is not known to the end: {text}", "--allow-unread")


def _noise(target: RestoreTarget) -> Iterator[Danger]:
    if target.proof is not None and target.proof.is_noise:
        text = f"the key opens the backup, but the data on {target.facts.path} make no sense: {target.proof.data.why}"
        yield Danger("data-noise", text, "--allow-noise", _scan(target))


def _scan(target: RestoreTarget) -> str:
    return f"luksafe scan {shlex.quote(target.facts.path)}"


def _other_place(source: RestoreSource, target: RestoreTarget, new: Header) -> Iterator[Danger]:
    """The volume is at another place: nothing that this write could mend is here."""
    if target.ties.is_at_least("keys"):
        return
    own = next((part for part in target.parts if part.header and is_same_volume(part.header, new)), None)
    own = own or next((part for part in target.parts if OWN_MATERIAL in part.names), None)
    if own is not None:
        text = f"the volume is not at the start of {target.facts.path}, but begins at byte {own.offset}: {own.words}"
        yield _wrong_place(text, _restore_to(source, place_within(target.facts, own)))
    elif target.elsewhere is not None:
        yield _wrong_place(target.elsewhere.text, _restore_to(source, shlex.quote(target.elsewhere.device)))
    elif alive := _alive(target):
        text = f"{target.facts.path} holds others that are alive: {'; '.join(part.words for part in alive[:4])}"
        yield _wrong_place(text, _scan(target))


def _wrong_place(text: str, instead: str) -> Danger:
    return Danger("other-place", text, "--allow-other-place", instead, destroys=True)


def _alive(target: RestoreTarget) -> list[Part]:
    return [part for part in target.parts if part.is_listed or part.header is not None]


def _restore_to(source: RestoreSource, device: str) -> str:
    return f"luksafe restore {source.backup_id[:12] or shlex.quote(source.name)} {device} --dry-run"


def _over_data(source: RestoreSource, target: RestoreTarget, new: Header) -> Iterator[Danger]:
    size = target.facts.size_bytes
    has_header = any(copy.state != "missing" for copy in target.inspection.copies)
    is_detached = new.is_detached or (source.is_detached and size > new.data_offset)
    if not is_detached or size <= new.areas_end or has_header or target.ties.grade == "keys":
        return
    text = f"the header is a detached one: its data begin at byte {new.data_offset} of their device"
    what = "their start" if new.is_detached else "what lies before them"
    text += f", and if that is {target.facts.path}, this overwrites {what}"
    yield Danger("over-data", text, "--allow-over-data", _instead_of_over_data(source, target))


def _instead_of_over_data(source: RestoreSource, target: RestoreTarget) -> str:
    if not source.backup_id:
        return f"open it with the header where it is: luksafe prove {target.facts.path} --header FILE"
    return f"luksafe export {source.backup_id[:12]} FILE   (and open it with --header FILE)"


def _unknown_device(source: RestoreSource, target: RestoreTarget, new: Header) -> Iterator[Danger]:
    is_header_file = source.is_detached and target.facts.size_bytes <= max(new.areas_end, new.data_offset)
    has_other_header = target.inspection.header is not None and target.ties.grade == "none"
    if is_header_file and not has_other_header:
        return  # no data are there that another header could hide
    if target.ties.grade == "none":
        text = f"nothing ties the backup to {target.facts.path}: its data may be another volume's"
        if target.ties.against:
            text += f"; {target.ties.against}"
        yield Danger("unknown-device", text, "--allow-unknown-device")


def _sizes(source: RestoreSource, target: RestoreTarget, new: Header) -> Iterator[Danger]:
    size, was = target.facts.size_bytes, 0 if source.is_detached else source.device_size_bytes
    if size < max(was, new.areas_end):
        text = f"the device has {size} bytes, the one backed up had {max(was, new.areas_end)}"
        yield Danger("smaller-device", text, "--allow-smaller")
    elif was and size > was:
        yield Danger("larger-device", f"the device has {size} bytes, the one backed up had {was}", "--allow-larger")


def newer_dangers(source: RestoreSource, target: RestoreTarget, new: Header) -> Iterator[Danger]:
    """What is known of a later state than that of the backup, though the device may not show it any more."""
    left = newer_remains(target.inspection, new)
    newer = source.newer
    if newer is None and left is None:
        return
    returning = keyslots_returning(newer.header, new) if newer else []
    text = f"the header that is left on the device is newer: sequence id {left} against {new.seqid}"
    if newer is not None:
        better = f"luksafe restore {newer.backup_id[:12]} {shlex.quote(target.facts.path)}"
        text = f"{newer.what} is newer; better: {better}"
    yield Danger("older", text + returning_words(returning), "--allow-older")
    vanishing = keyslots_vanishing(newer.header, new) if newer else []
    if newer and vanishing:
        words = ", ".join(describe_keyslot(k) for k in vanishing)
        yield Danger("keyslots-vanish", f"in {newer.what} only, and lost: {words}", "--allow-lost-keyslots")


def evidence_notes(target: RestoreTarget) -> Iterator[str]:
    """What ties the backup to the device, and whether a key has proven it."""
    if target.ties.found:
        yield "tied to the device: " + "; ".join(tie.text for tie in target.ties.found)
    proof = target.proof
    if proof is None:
        yield "not proven: no key was given to try on the data (--key-file, --packet …)"
    elif not proof.data.is_recognised and not proof.is_noise:
        why = proof.data.why or f"they hold {proof.data.found}"
        yield f"not proven: the key opens the backup, but the data say nothing: {why}"


def evidence_to_json(target: RestoreTarget) -> dict[str, Any]:
    """The same for machines."""
    proof = target.proof
    return {
        **target.ties.to_json(),
        "proven": bool(proof and proof.data.is_recognised),
        "keyslot": proof.keyslot if proof else None,
        "data": {"found": proof.data.found, "makes_sense": proof.data.makes_sense} if proof else None,
    }
