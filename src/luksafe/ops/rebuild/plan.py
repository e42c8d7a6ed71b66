"""The plan of a rebuild: what will be written, why that is safe, what speaks against it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from luksafe.device.usage import Use
from luksafe.errors import LuksafeError, Refused
from luksafe.luks.compare import same_volume_key
from luksafe.ops.proof import examine_data
from luksafe.ops.rebuild.known import Known, Volume
from luksafe.ops.rebuild.new_header import NewHeader
from luksafe.ops.write.phases import header_phases
from luksafe.ops.write.plan import Danger, Phase, Write, WritePlan, read_old
from luksafe.reader import Reader

Sense = Literal["sense", "noise", "unknown"]
BLOCK_BYTES = 4096
_OTHER_PARAMETERS = "give another key or other parameters, and look again with --dry-run"

FLAG_HELP = {
    "--allow-unproven": "Nothing proves the key: no digest, no mapping, no canary, and the data do not tell.",
    "--allow-unknown-device": "Nothing but your word says that this is the device that the key is of.",
    "--allow-noise": "The data decrypt to noise.",
    "--allow-other-volume": "There is a whole header of another volume key on the device.",
    "--allow-reencryption": "The device is in reencryption.",
    "--allow-in-use": "The device is in use by more than its own mapping.",
    "--allow-unread": "A fault in luksafe left unread what is on the device, and other dangers may go unsaid.",
}
"""Each danger has a flag of its own; ``--over NAME`` (a foreign signature) is the only one with a value."""


@dataclass(frozen=True, slots=True)
class Confidence:
    """How sure it is that key and parameters are right: ``text`` for people, ``dangers`` where it is not."""

    text: str
    data: Sense
    is_proven_by_data: bool
    dangers: tuple[Danger, ...] = ()


def judge(volume: Volume, known: Known, new: NewHeader) -> Confidence:
    """Weigh what proves the key, and what the data decrypt to with the new header."""
    said = [proof.text for proof in known.proofs]
    by = {proof.by for proof in known.proofs}
    if "mapping" in by:
        return Confidence("; ".join(said), "sense", True)
    data, words = _look_at_data(volume.reader, known, new)
    said.append(words)
    dangers = []
    if data == "noise":
        dangers.append(Danger("data-noise", words, "--allow-noise", _OTHER_PARAMETERS))
    if data == "unknown" and known.doubt:
        dangers.append(Danger("unknown-device", f"{known.doubt}; and {words}", "--allow-unknown-device"))
    if not by and data == "unknown":
        dangers.append(Danger("unproven", f"nothing proves this key: {words}", "--allow-unproven"))
    return Confidence("; ".join(said), data, data == "sense", tuple(dangers))


def _look_at_data(reader: Reader, known: Known, new: NewHeader) -> tuple[Sense, str]:
    segment = new.header.default_segment
    digest = new.header.digest_of_segment(segment.id) if segment else None
    if digest is None:
        return "unknown", "the header has no data"
    try:
        seen = examine_data(reader, new.header, known.key, digest.id)
    except (LuksafeError, OSError) as problem:
        return "unknown", f"the data could not be looked at: {problem}"
    if not seen.checked or seen.makes_sense is None:
        return "unknown", f"the data do not tell whether the key is right: {seen.why}"
    if seen.makes_sense:
        return "sense", f"the data decrypt to {seen.found}: {seen.why}"
    return "noise", f"the data decrypt to noise: {seen.why}"


def plan_rebuild(volume: Volume, known: Known, new: NewHeader, confidence: Confidence) -> WritePlan:
    """The complete plan. Raises Refused when the header area is not free of data, or the device is too small."""
    _require_free_area(volume, new)
    phases = [*header_phases(new.image, new.kept, volume.reader, new.header)]
    stale = _stale_phase(volume, new)
    return WritePlan(
        purpose="rebuild",
        target=volume.facts,
        phases=tuple([*phases, stale] if stale.writes else phases),
        dangers=(*confidence.dangers, *_dangers(volume, known, new, confidence)),
        changes=tuple(_changes(volume, new, confidence)),
        notes=(f"the key: {known.origin}", f"proof: {confidence.text}", *known.notes, *_notes(volume, new)),
        source=f"from {known.origin}",
        uuid=new.header.uuid,
    )


def uses_beside_mapping(volume: Volume) -> list[Use]:
    """Who uses the device, without the mapping whose data begin behind the header, and without what stands on it."""
    mapping = volume.mapping
    if mapping is None:
        return list(volume.uses)
    known = {(use.kind, use.name) for use in mapping.uses} | {("mapping", mapping.path)}
    return [use for use in volume.uses if (use.kind, use.name) not in known and use.name != mapping.device]


def _require_free_area(volume: Volume, new: NewHeader) -> None:
    end, data = new.header.areas_end, new.header.data_offset
    starts = [data]
    if volume.mapping is not None and volume.mapping.tables:
        starts.append(min(table.offset_sectors * 512 for table in volume.mapping.tables))
    if end > min(starts):
        raise Refused(
            f"the header needs the first {end} bytes of {volume.device}, and the data begin at byte {min(starts)}",
            code="no-room",
            hint="write a detached header to a file instead: --to FILE",
        )
    if volume.facts.size_bytes <= data:
        raise Refused(f"{volume.device} has {volume.facts.size_bytes} bytes; the data begin at byte {data}")


def _dangers(volume: Volume, known: Known, new: NewHeader, confidence: Confidence) -> Iterator[Danger]:
    for use in uses_beside_mapping(volume):
        yield Danger("in-use", use.detail, "--allow-in-use")
    for text in volume.unread:
        yield Danger("unread", f"what is on the device is not known to the end: {text}", "--allow-unread")
    present = volume.inspection.header
    if present and present.is_in_reencryption:
        text = "the device is in reencryption: another header would make part of the data unreadable"
        yield Danger("in-reencryption", text, "--allow-reencryption")
    if confidence.is_proven_by_data:
        return  # the data behind it are this volume's: what was put over the header is what did the damage
    is_own = known.base is not None and known.base.found.reader is volume.reader
    if present and not is_own and not same_volume_key(present, new.header):
        text = f"there is a whole header of another volume key on the device (UUID {present.uuid})"
        yield Danger("other-volume", text, "--allow-other-volume")
    for name in dict.fromkeys(signature.name for signature in volume.signatures):
        yield Danger("foreign-signature", f"there is {name} on the device, which would be broken", f"--over {name}")


def _changes(volume: Volume, new: NewHeader, confidence: Confidence) -> Iterator[str]:
    present = volume.inspection.header
    if present and present.uuid != new.header.uuid:
        yield f"the header on the device (UUID {present.uuid}) is replaced"
    if confidence.is_proven_by_data:
        for name in dict.fromkeys(signature.name for signature in volume.signatures):
            yield f"{name}, which was written over the header, is replaced"


def _notes(volume: Volume, new: NewHeader) -> Iterator[str]:
    header = new.header
    slots = ", ".join(map(str, sorted(header.keyslots)))
    yield (
        f"{header.format.upper()}, {header.encryption}, sectors of {header.sector_size} bytes, data at byte "
        f"{header.data_offset}; keyslots {slots}"
    )
    if volume.mapping is not None:
        start = volume.mapping.tables[0].offset_sectors * 512
        yield f"{volume.mapping.name} stays open and untouched: its data begin at byte {start}"


def _stale_phase(volume: Volume, new: NewHeader) -> Phase:
    """Zeros over what would make the volume look like something else: foreign signatures, an old second header."""
    covered = list(new.kept)
    stale = [(s.offset, s.offset + s.length) for s in volume.signatures]
    stale += [(c.offset, c.offset + BLOCK_BYTES) for c in volume.inspection.copies if c.state != "missing"]
    end = new.header.areas_end
    writes: list[Write] = []
    for start, stop in sorted(set(stale)):
        if stop <= end and not any(a < stop and start < b for a, b in covered):
            writes.append(read_old(volume.reader, start, bytes(stop - start), "what would be mistaken for a volume"))
            covered.append((start, stop))
    return Phase("stale signatures", tuple(writes))
