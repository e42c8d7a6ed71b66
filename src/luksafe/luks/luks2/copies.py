"""The two copies of a LUKS2 header: read, checked and compared (specification section 2.3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from luksafe.errors import Unsupported
from luksafe.luks.finding import Finding, Severity
from luksafe.luks.luks1.binary_header import BinaryHeader as Luks1BinaryHeader
from luksafe.luks.luks2 import json_area
from luksafe.luks.luks2.binary_header import (
    BINARY_BYTES,
    HEADER_SIZES,
    PRIMARY_MAGIC,
    SECONDARY_MAGIC,
    BinaryHeader,
    has_good_checksum,
)
from luksafe.luks.luks2.metadata import build_header
from luksafe.luks.luks2.validate import validate
from luksafe.luks.model import CopyName, Header
from luksafe.reader import Reader

CopyState = Literal["ok", "invalid", "damaged", "missing", "unreadable"]


@dataclass(frozen=True, slots=True)
class HeaderCopy:
    """One copy of a header. ``offset`` is relative to the volume; ``area`` is the copy's bytes as they are.

    ``ok``: usable. ``invalid``: the checksum is good, the JSON is not. ``damaged``: the checksum or a field of the
    binary header is wrong. ``missing``: no magic where it should be. ``unreadable``: the medium fails.
    """

    copy: CopyName
    offset: int
    state: CopyState
    why: str
    binary: BinaryHeader | Luks1BinaryHeader | None
    header: Header | None
    area: bytes
    findings: tuple[Finding, ...]

    @property
    def seqid(self) -> int | None:
        """The sequence id that its binary header states; None without one (LUKS1 has none)."""
        return self.binary.seqid if isinstance(self.binary, BinaryHeader) else None

    @property
    def uuid(self) -> str | None:
        """The UUID that its binary header states."""
        return self.binary.uuid if self.binary else None


def read_copies(reader: Reader) -> list[HeaderCopy]:
    """Both copies of the volume at the start of ``reader``. A secondary is looked for at every legal offset when the
    primary does not say where it is. Never raises on any content.
    """
    primary = _read_copy(reader, "primary", 0)
    if primary.state in ("ok", "invalid") and isinstance(primary.binary, BinaryHeader):
        return [primary, _read_copy(reader, "secondary", primary.binary.hdr_size)]
    candidates = [_read_copy(reader, "secondary", offset) for offset in HEADER_SIZES]
    if primary.state == "missing":
        candidates = [_unless_of_another_volume(candidate) for candidate in candidates]
    order = ("ok", "invalid", "damaged", "unreadable", "missing")
    best = min(candidates, key=lambda c: order.index(c.state))
    if best.state == "missing" and isinstance(primary.binary, BinaryHeader):
        stated = [c for c in candidates if c.offset == primary.binary.hdr_size]
        best = stated[0] if stated else best
    return [primary, best]


def compare_copies(copies: Sequence[HeaderCopy]) -> Iterator[Finding]:
    """What the two copies say about each other. Nothing here is an error: one good copy is enough to go on."""
    primary, secondary = copies
    for copy in copies:
        if copy.state != "ok":
            text = f"{copy.copy} header: {copy.why}"
            yield Finding(f"copy-{copy.state}", _severity(copies), copy.copy, text, copy.offset, len(copy.area) or None)
    one, other = primary.header, secondary.header
    if one is None or other is None:
        return
    if one.uuid != other.uuid:
        text = f"the copies carry different UUIDs: {one.uuid} and {other.uuid}"
        yield Finding("copies-uuid-differ", Severity.WARNING, "uuid", text, secondary.offset + 168, 40)
    if one.seqid != other.seqid:
        older = "primary" if one.seqid < other.seqid else "secondary"
        text = f"the {older} header is older: sequence id {one.seqid} in the primary, {other.seqid} in the secondary"
        yield Finding("copies-seqid-differ", Severity.WARNING, older, text)
    elif one.document != other.document:
        text = (
            "both copies are valid and have the same sequence id, but their contents differ; cryptsetup takes the first"
        )
        yield Finding("copies-content-differ", Severity.WARNING, "json", text)


def _severity(copies: Sequence[HeaderCopy]) -> Severity:
    return Severity.WARNING if any(c.state == "ok" for c in copies) else Severity.ERROR


def _read_copy(reader: Reader, name: CopyName, offset: int) -> HeaderCopy:
    try:
        start = reader.read_at(offset, BINARY_BYTES)
    except OSError as problem:
        return HeaderCopy(name, offset, "unreadable", f"cannot be read: {problem.strerror}", None, None, b"", ())
    if len(start) < BINARY_BYTES:
        return HeaderCopy(name, offset, "missing", "the device ends before it", None, None, b"", ())
    magic = PRIMARY_MAGIC if name == "primary" else SECONDARY_MAGIC
    binary = BinaryHeader.parse(start)
    if binary.magic != magic:
        return _without_magic(name, offset, binary, start)
    fault = _binary_fault(binary, name, offset)
    if fault:
        return HeaderCopy(name, offset, "damaged", fault.text, binary, None, start, (fault,))
    try:
        area = reader.read_at(offset, binary.hdr_size)
    except OSError as problem:
        why = f"cannot be read in full: {problem.strerror}"
        return HeaderCopy(name, offset, "unreadable", why, binary, None, start, ())
    return _judge(name, offset, binary, area)


def _unless_of_another_volume(copy: HeaderCopy) -> HeaderCopy:
    """Partitions begin at the very offsets where a second copy may stand: theirs is no copy of the disk's own."""
    binary = copy.binary
    if not isinstance(binary, BinaryHeader) or binary.version != 2 or binary.hdr_size not in HEADER_SIZES:
        return copy
    place = {PRIMARY_MAGIC: 0, SECONDARY_MAGIC: binary.hdr_size}.get(binary.magic)
    if binary.hdr_offset != place or place >= copy.offset:
        return copy
    why = f"what stands there belongs to a volume that begins at {copy.offset - place}"
    return HeaderCopy(copy.copy, copy.offset, "missing", why, None, None, b"", ())


def _without_magic(name: CopyName, offset: int, binary: BinaryHeader, start: bytes) -> HeaderCopy:
    """A copy whose magic is not there: gone altogether, or only the magic damaged (as wipefs, mkswap, pvcreate do)."""
    other = binary.magic in (PRIMARY_MAGIC, SECONDARY_MAGIC)
    looks_whole = binary.version == 2 and binary.hdr_size in HEADER_SIZES and binary.checksum_algorithm.isascii()
    if other:
        why = "it carries the magic of the other copy"
    elif looks_whole and binary.checksum_algorithm:
        why = "its magic is gone, but the rest looks like a LUKS2 header"
    else:
        return HeaderCopy(name, offset, "missing", "no LUKS2 magic there", None, None, b"", ())
    fault = _fault("header-magic", f"{name}.magic", why, offset, 6)
    return HeaderCopy(name, offset, "damaged", why, binary, None, start, (fault,))


def _binary_fault(binary: BinaryHeader, name: CopyName, offset: int) -> Finding | None:
    """What cryptsetup checks before it trusts the checksum."""
    if binary.version != 2:
        return _fault("header-version", f"{name}.version", f"unsupported LUKS version {binary.version}", offset + 6, 2)
    if binary.hdr_offset != offset:
        text = f"it says it belongs at offset {binary.hdr_offset}, but stands at {offset}"
        return _fault("header-offset", f"{name}.hdr_offset", text, offset + 256, 8)
    if not HEADER_SIZES[0] <= binary.hdr_size <= HEADER_SIZES[-1]:
        return _fault("header-size", f"{name}.hdr_size", f"a header of {binary.hdr_size} bytes", offset + 8, 8)
    if name == "secondary" and binary.hdr_size != offset:
        text = f"it says a header has {binary.hdr_size} bytes, but stands at {offset}"
        return _fault("header-size", f"{name}.hdr_size", text, offset + 8, 8)
    return None


def _judge(name: CopyName, offset: int, binary: BinaryHeader, area: bytes) -> HeaderCopy:
    if len(area) < binary.hdr_size:
        why = f"the device ends after {len(area)} of its {binary.hdr_size} bytes"
        return HeaderCopy(name, offset, "damaged", why, binary, None, area, ())
    try:
        checksum_is_good = has_good_checksum(binary, area)
        why = "" if checksum_is_good else "its checksum is wrong"
    except Unsupported:
        checksum_is_good, why = False, f"unknown checksum algorithm {binary.checksum_algorithm!r}"
    if not checksum_is_good:
        fault = _fault("header-checksum", f"{name}.checksum", why, offset, binary.hdr_size)
        return HeaderCopy(name, offset, "damaged", why, binary, None, area, (fault,))
    document, findings = json_area.decode(area[BINARY_BYTES:], f"{name}.json")
    if document is not None:
        findings = findings + validate(document, binary.hdr_size - BINARY_BYTES)
    errors = [f for f in findings if f.severity is Severity.ERROR]
    if document is None or errors:
        why = errors[0].text if errors else "its JSON does not parse"
        return HeaderCopy(name, offset, "invalid", why, binary, None, area, tuple(findings))
    return HeaderCopy(name, offset, "ok", "", binary, build_header(binary, document), area, tuple(findings))


def _fault(code: str, where: str, text: str, offset: int, length: int) -> Finding:
    return Finding(code, Severity.ERROR, where, text, offset, length)
