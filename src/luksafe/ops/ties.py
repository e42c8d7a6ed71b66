"""What ties a backup to a device: from the data that its key decrypts down to a mere place. Shown in every plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from luksafe.device.identity import DeviceFacts
from luksafe.luks.compare import keyslot_fingerprint, same_volume_key
from luksafe.luks.inspection import Inspection
from luksafe.luks.key_material import SECTOR_BYTES, material_range, may_be_material
from luksafe.luks.model import Header
from luksafe.ops.recorded_device import tie_of
from luksafe.reader import Reader, read_with_holes
from luksafe.vault.record import Device

Grade = Literal["data", "keys", "device", "place", "none"]
"""Strongest first: the data decrypt to something known; the device holds the volume's keys, or what is left of its
header; its identity is the recorded one; only its path or slot and its size are; nothing."""
_ORDER: tuple[Grade, ...] = ("data", "keys", "device", "place", "none")


@dataclass(frozen=True, slots=True)
class Tie:
    """One piece of evidence."""

    grade: Grade
    text: str


@dataclass(frozen=True, slots=True)
class Ties:
    """All that ties a backup to a device, strongest first; ``against`` says what speaks for another device."""

    found: tuple[Tie, ...] = ()
    against: str = ""

    @property
    def grade(self) -> Grade:
        """That of the strongest."""
        return self.found[0].grade if self.found else "none"

    def is_at_least(self, grade: Grade) -> bool:
        """Whether something as strong as ``grade`` was found."""
        return _ORDER.index(self.grade) <= _ORDER.index(grade)

    def to_json(self) -> dict[str, Any]:
        """The evidence as an object."""
        return {
            "grade": self.grade,
            "found": [{"grade": tie.grade, "text": tie.text} for tie in self.found],
            "against": self.against,
        }


def find_ties(
    header: Header,
    stored: Reader,
    devices: Sequence[Device],
    facts: DeviceFacts,
    reader: Reader,
    inspection: Inspection,
    data: str = "",
) -> Ties:
    """What ties a stored header, taken of one of ``devices``, to the device at hand; ``data`` are proven by its key."""
    found = [Tie("data", f"the key decrypts the data there to {data}")] if data else []
    found += [Tie("keys", text) for text in _by_keys(header, stored, reader, inspection)]
    matches = [(device, tie_of(device, facts)) for device in devices if device.path]
    found += [
        Tie("device", f"it was made of this device: {match.text}") for _, match in matches if match.tie == "same"
    ][:1]
    if any(is_same_place(device, facts) for device in devices):
        found.append(Tie("place", f"it was made of {facts.path}, which had this size"))
    against = next((f"it was made of {device.path}: {m.text}" for device, m in matches if m.tie == "other"), "")
    if not found and not against:
        against = next((f"it was made of {device.path} ({device.size} bytes)" for device, _ in matches), "")
    is_same = any(tie.grade == "device" for tie in found)
    return Ties(tuple(sorted(found, key=lambda tie: _ORDER.index(tie.grade))), "" if is_same else against)


def is_same_place(device: Device, facts: DeviceFacts) -> bool:
    """Whether a device in the same slot, or the same file at the same path, has the recorded size: weak, often all."""
    if tie_of(device, facts).tie != "weak" or device.size != facts.size_bytes:
        return False
    inode = device.partition.get("inode")
    return inode is None or facts.inode is None or inode == facts.inode


def why_another(device: Device, facts: DeviceFacts) -> str:
    """Why the device at hand is not the one that was recorded; empty where it is, or where nothing was recorded."""
    tie = tie_of(device, facts)
    if not device.path or tie.tie == "same" or is_same_place(device, facts):
        return ""
    return f"that was {device.path}, {device.size} bytes" + (f": {tie.text}" if tie.tie == "other" else "")


def is_same_volume(one: Header, other: Header) -> bool:
    """Whether two headers are of one volume: the same UUID, and a volume key or an enrolment in common."""
    return one.uuid.lower() == other.uuid.lower() and (
        same_volume_key(one, other) is True or bool(_salts(one) & _salts(other))
    )


def _by_keys(header: Header, stored: Reader, reader: Reader, inspection: Inspection) -> Iterator[str]:
    there = inspection.header
    if there is not None and (same_volume_key(header, there) or _salts(header) & _salts(there)):
        yield "the header on the device has the same volume key"
    elif there is None and any(copy.uuid.lower() == header.uuid.lower() for copy in inspection.copies if copy.uuid):
        yield "what is left of the header on the device names the same UUID"
    slots = list(_shared_material(header, stored, reader))
    if slots:
        yield f"key material of the backup is on the device (keyslot {', '.join(map(str, slots))})"


def _salts(header: Header) -> set[str]:
    return {keyslot_fingerprint(keyslot) for keyslot in header.keyslots.values() if keyslot.kdf}


def _shared_material(header: Header, stored: Reader, reader: Reader) -> Iterator[int]:
    """The keyslots of which a sector of key material stands on the device, at its place: random bytes do not meet."""
    for keyslot in header.keyslots.values():
        start, end = material_range(keyslot) or (0, 0)
        ours = read_with_holes(stored, header.offset + start, end - start)
        theirs = read_with_holes(reader, start, end - start)
        if any(sector == other and may_be_material(sector) for sector, other in _sectors(ours, theirs)):
            yield keyslot.id


def _sectors(one: bytes, other: bytes) -> Iterable[tuple[bytes, bytes]]:
    for at in range(0, min(len(one), len(other)), SECTOR_BYTES):
        yield one[at : at + SECTOR_BYTES], other[at : at + SECTOR_BYTES]
