"""The documents of a backup: record, proof, sighting, tombstone (spec/vault.md, section 2)."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec

from luksafe.errors import DamagedInput
from luksafe.vault.document import Open, OpenT, decode_document, encode_document, from_json, to_json
from luksafe.vault.image import MAX_IMAGE_BYTES
from luksafe.vault.name import Kind, Name, base_id, volume_folder
from luksafe.wall import walled

FORMAT = 1

_NO_WAY_IN = ("inactive", "reencrypt")
"""The states of LUKS1 slots that are free, and of the keyslot that only remembers a reencryption."""

Count = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
Format = Annotated[int, msgspec.Meta(ge=1)]
Parameters = dict[str, Any]

NOT_RECOGNISED = frozenset({"", "unwritten", "zeros", "ff", "pattern", "random", "empty", "unknown-structured"})
"""What a proof may have found that says nothing of the data."""


class Device(Open, frozen=True, kw_only=True):
    """What was known of the device that a header was read from; ``size`` in bytes."""

    path: str = ""
    by_id: str = ""
    size: Count = 0
    model: str = ""
    serial: str = ""
    partition: Parameters = msgspec.field(default_factory=dict)


class Record(Open, frozen=True, kw_only=True):
    """The record of a backup. ``id``, ``image_size`` and ``image_sha256`` are filled in by the vault when it is added.

    ``kept`` lists (offset, length) in bytes of what may be restored; ``parents`` are events (see ``lineage``).
    """

    format: Format = FORMAT
    id: str = ""
    uuid: str
    luks: str
    seqid: Count
    label: str = ""
    lineage: str = ""
    parents: list[str] = msgspec.field(default_factory=list)
    image_size: Count = 0
    image_sha256: str = ""
    kept: list[tuple[Count, Count]]
    whole: bool
    parameters: Parameters = msgspec.field(default_factory=dict)
    device: Device = Device()
    host: str = ""
    why: str = ""
    created: str = ""
    tool: str = ""

    @property
    def volume(self) -> str:
        """The folder of its volume."""
        return volume_folder(self.uuid)

    @property
    def is_erased(self) -> bool:
        """Whether its data are encrypted and it has no keyslot. A record that does not tell is none of these."""
        slots, digests = self.parameters.get("keyslots"), self.parameters.get("digests")
        if not isinstance(slots, list) or not isinstance(digests, list) or not digests:
            return False
        return not any(isinstance(slot, dict) and slot.get("state") not in _NO_WAY_IN for slot in slots)


class Proof(Open, frozen=True, kw_only=True):
    """That a backup opened its volume: when, how, by which keyslot; ``found``: what the data decrypted to, if tried.

    ``device`` is the one that held the data, where they were looked at.
    """

    format: Format = FORMAT
    id: str
    when: str
    method: str
    keyslot: Count | None = None
    digest: Count | None = None
    found: str = ""
    device: Device | msgspec.UnsetType = msgspec.UNSET
    host: str = ""
    tool: str = ""

    @property
    def has_recognised_data(self) -> bool:
        """Whether the data were seen to decrypt to something known; else a key opened the header, and no more."""
        return self.found not in NOT_RECOGNISED


class Sighting(Open, frozen=True, kw_only=True):
    """That a device carried a header again which was stored before; ``parents`` were the latest events then."""

    format: Format = FORMAT
    id: str
    parents: list[str]
    when: str
    host: str = ""
    device: Device = Device()


class Tombstone(Open, frozen=True, kw_only=True):
    """That a backup was removed on purpose."""

    format: Format = FORMAT
    id: str
    when: str
    why: str = ""
    host: str = ""


Document = Record | Proof | Sighting | Tombstone
_KINDS: dict[Kind, type[Document]] = {
    Kind.RECORD: Record,
    Kind.PROOF: Proof,
    Kind.SIGHTING: Sighting,
    Kind.TOMBSTONE: Tombstone,
}


def encode(document: Open) -> bytes:
    """The bytes of a document's file."""
    return encode_document(to_json(document))


def tag_of(data: bytes) -> str:
    """The tag in the name of a proof or sighting: the beginning of its file's SHA-256."""
    return hashlib.sha256(data).hexdigest()[:16]


@walled("a document of the vault")
def decode(name: Name, data: bytes) -> Document:
    """The document in the file ``name``. Raises ``DamagedInput`` when it is damaged, or belongs under another name."""
    if name.tag not in ("", tag_of(data)):
        raise DamagedInput("the document is not the one that its name says")
    members = decode_document(data)
    document = from_json(_KINDS[name.kind], members)
    if "format" not in members or document.id != name.id:
        raise DamagedInput("the document belongs to another backup")
    if isinstance(document, Record):
        _check_record(name, document)
    return document


@walled("a document")
def parse_as(kind: type[OpenT], data: bytes) -> OpenT:
    """A document of a kind that belongs to no backup (a marker, a manifest). Raises ``DamagedInput``."""
    return from_json(kind, decode_document(data))


def _check_record(name: Name, record: Record) -> None:
    """Raise ``DamagedInput`` unless the record fits its name and its kept ranges fit the image."""
    if record.volume != name.volume:
        raise DamagedInput(f"the record is of volume {record.uuid!r}")
    if not re.fullmatch("[0-9a-f]{64}", record.image_sha256) or not record.image_sha256.startswith(base_id(name.id)):
        raise DamagedInput("image_sha256 is no SHA-256 that begins with the id")
    check_ranges(record)


def check_ranges(record: Record) -> None:
    """Raise ``DamagedInput`` unless the kept ranges are ascending, apart and within the image, of a legal size."""
    if not 1 <= record.image_size <= MAX_IMAGE_BYTES:
        raise DamagedInput(f"an image of {record.image_size} bytes is empty or over the limit of {MAX_IMAGE_BYTES}")
    at = 0
    for offset, length in record.kept:
        if offset < at or length < 1:
            raise DamagedInput(f"kept range {offset}+{length} overlaps, is empty or out of order")
        at = offset + length
    if at > record.image_size:
        raise DamagedInput(f"kept ranges reach to {at}, the image only to {record.image_size}")


def timestamp(now: datetime) -> str:
    """A moment as documents spell it: UTC, whole seconds."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
