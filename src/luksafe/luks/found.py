"""From a mark to a header copy: what really stands at a place found by searching, however little of it is left."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from luksafe.errors import Unsupported
from luksafe.luks.finding import Severity
from luksafe.luks.inspection import inspect
from luksafe.luks.luks1 import binary_header as luks1
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
from luksafe.luks.model import CopyName, Header, Json
from luksafe.luks.search import SECTOR_BYTES, Mark
from luksafe.reader import Reader
from luksafe.wall import ParserStopped, walled

FoundState = Literal["ok", "no-magic", "in-pieces", "damaged", "fragment"]
Format = Literal["luks1", "luks2"]

_PIECES: tuple[FoundState, str] = (
    "in-pieces",
    "the blocks of zeros that belong inside it are not there: a file that is stored in pieces",
)
_PADDING: tuple[FoundState, str] = ("damaged", "what should be zeros in it is not; with zeros there the checksum fits")
_UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NUMBER = re.compile("[0-9]{1,20}")
_SECTIONS = ("keyslots", "segments", "digests", "config")
_SPARSE_LOOK_BYTES = 64 << 10
_FRAGMENT_BYTES = HEADER_SIZES[-1] - BINARY_BYTES


@dataclass(frozen=True, slots=True)
class FoundCopy:
    """One header copy, or the JSON of one. ``offset`` is where it stands, ``volume_offset`` where its volume begins.

    ``ok``: whole. ``no-magic``: whole but for the six magic bytes. ``in-pieces``: whole once its zero blocks are put
    back (a sparse file). ``damaged``: its checksum is wrong (or fits once its padding is zero again). ``fragment``:
    JSON without a binary header, so that neither UUID nor place is known, unless a damaged copy tells them.

    ``header`` is set for those that can be used, ``document`` also for a fragment; ``json_offset`` is where the JSON
    was read.
    """

    offset: int
    volume_offset: int
    format: Format
    copy: CopyName
    state: FoundState
    why: str
    uuid: str = ""
    seqid: int = 0
    header_size: int = 0
    header: Header | None = None
    document: Json | None = None
    json_offset: int | None = None


def _stopped(why: ParserStopped, _reader: Reader, mark: Mark) -> FoundCopy:
    """What stands there is told all the same."""
    kind: Format = "luks1" if mark.kind == "luks1" else "luks2"
    place: CopyName = "secondary" if mark.kind == "secondary" else "primary"
    return FoundCopy(mark.offset, mark.offset, kind, place, "damaged", str(why))


@walled("a header copy", _stopped)
def examine_mark(reader: Reader, mark: Mark) -> FoundCopy | None:
    """The header copy at a mark, None when there is none. Never raises on any content; bad sectors are damage."""
    try:
        match mark.kind:
            case "luks1":
                return _luks1(reader, mark.offset)
            case "primary" | "secondary":
                return _luks2(reader, mark.offset)
            case "json":
                return _json(reader, mark.offset)
    except OSError:
        return None
    return None


def _luks1(reader: Reader, offset: int) -> FoundCopy | None:
    found = inspect(reader, offset)
    binary = found.copies[0].binary
    if not isinstance(binary, luks1.BinaryHeader) or not _UUID.fullmatch(binary.uuid):
        return None
    names = (binary.cipher_name, binary.cipher_mode, binary.hash_spec)
    if not all(name.isascii() and name.isprintable() and name for name in names):
        return None
    why = "; ".join(f.text for f in found.findings if f.severity is Severity.ERROR and f.code != "device-too-small")
    state: FoundState = "damaged" if why or found.header is None else "ok"
    return FoundCopy(offset, offset, "luks1", "primary", state, why, binary.uuid, header=found.header)


def _luks2(reader: Reader, offset: int) -> FoundCopy | None:
    binary = BinaryHeader.parse(reader.read_at(offset, SECTOR_BYTES).ljust(SECTOR_BYTES, b"\0"))
    if not _is_plausible(binary):
        return None
    area = _read_what_can_be(reader, offset, binary.hdr_size).ljust(binary.hdr_size, b"\0")
    if _is_sealed(binary, area):
        return _from_area(offset, binary, area, "ok", "", offset + BINARY_BYTES)
    for at in range(SECTOR_BYTES, min(_SPARSE_LOOK_BYTES, binary.hdr_size), SECTOR_BYTES):
        if area[at : at + 2] == b'{"':
            whole = _with_zero_blocks(area, at)
            if whole is not None and _is_sealed(binary, whole):
                state, why = _PADDING if at == BINARY_BYTES else _PIECES
                return _from_area(offset, binary, whole, state, why, offset + at)
    return _copy(offset, binary, "damaged", "its checksum is wrong")


def _is_plausible(binary: BinaryHeader) -> bool:
    """Whether the fields fit each other: what all real headers have, and hardly any false hit."""
    place = 0 if binary.magic == PRIMARY_MAGIC else binary.hdr_size
    if binary.version != 2 or binary.hdr_size not in HEADER_SIZES or binary.hdr_offset != place:
        return False
    algorithm = binary.checksum_algorithm
    return bool(_UUID.fullmatch(binary.uuid) and algorithm.isascii() and algorithm.isprintable() and algorithm)


def _is_sealed(binary: BinaryHeader, area: bytes) -> bool:
    try:
        return has_good_checksum(binary, area)
    except Unsupported:
        return False


def _read_what_can_be(reader: Reader, offset: int, length: int) -> bytes:
    try:
        return reader.read_at(offset, length)
    except OSError:
        return reader.read_at(offset, SECTOR_BYTES)


def _with_zero_blocks(area: bytes, json_at: int) -> bytes | None:
    """The header area as it was before a filesystem left out its blocks of zeros; None without JSON there."""
    text = area[json_at:].split(b"\0", 1)[0]
    if BINARY_BYTES + len(text) > len(area):
        return None
    return (area[:SECTOR_BYTES].ljust(BINARY_BYTES, b"\0") + text).ljust(len(area), b"\0")


def _from_area(
    offset: int, binary: BinaryHeader, area: bytes, state: FoundState, why: str, json_offset: int
) -> FoundCopy:
    document, findings = json_area.decode(area[BINARY_BYTES:])
    if document is not None:
        findings = findings + validate(document, binary.hdr_size - BINARY_BYTES)
    errors = [f.text for f in findings if f.severity is Severity.ERROR]
    found = _copy(offset, binary, state, why)
    if document is None or errors:
        return replace(found, state="damaged", why=errors[0], json_offset=json_offset)
    header = build_header(binary, document, found.volume_offset)
    return replace(found, header=header, document=document, json_offset=json_offset)


def _copy(offset: int, binary: BinaryHeader, state: FoundState, why: str) -> FoundCopy:
    return FoundCopy(
        offset=offset,
        volume_offset=offset - binary.hdr_offset,
        format="luks2",
        copy="secondary" if binary.hdr_offset else "primary",
        state=state,
        why=why,
        uuid=binary.uuid,
        seqid=binary.seqid,
        header_size=binary.hdr_size,
    )


def _json(reader: Reader, offset: int) -> FoundCopy | None:
    """What a JSON area tells: a copy whose magic is gone stands before it, or nothing but the JSON is left."""
    before = _without_magic(reader, offset - BINARY_BYTES) if offset >= BINARY_BYTES else None
    if before is not None:
        return before
    text = reader.read_at(offset, _FRAGMENT_BYTES).split(b"\0", 1)[0]
    document, _ = json_area.decode(text + b"\0")
    if document is None or not all(isinstance(document.get(name), dict) for name in _SECTIONS):
        return None
    stated = document["config"].get("json_size")
    json_size = int(stated) if isinstance(stated, str) and _NUMBER.fullmatch(stated) else 0
    if any(f.severity is Severity.ERROR for f in validate(document, json_size)):
        return None
    why = "the JSON of a header without its binary header: UUID and place of the volume are not known"
    start = offset - BINARY_BYTES
    return FoundCopy(start, start, "luks2", "primary", "fragment", why, document=document, json_offset=offset)


def _without_magic(reader: Reader, offset: int) -> FoundCopy | None:
    """A copy that is whole once its magic is put back, as wipefs, mkswap and pvcreate leave it."""
    binary = BinaryHeader.parse(reader.read_at(offset, SECTOR_BYTES).ljust(SECTOR_BYTES, b"\0"))
    if binary.magic in (PRIMARY_MAGIC, SECONDARY_MAGIC):
        return None  # found by its magic
    binary = replace(binary, magic=SECONDARY_MAGIC if binary.hdr_offset else PRIMARY_MAGIC)
    if not _is_plausible(binary):
        return None
    area = reader.read_at(offset, binary.hdr_size).ljust(binary.hdr_size, b"\0")
    area = binary.magic + area[len(binary.magic) :]
    if not _is_sealed(binary, area):
        return None
    why = "its magic is gone; with it the checksum fits"
    return _from_area(offset, binary, area, "no-magic", why, offset + BINARY_BYTES)


def adopt(fragment: FoundCopy, damaged: FoundCopy) -> FoundCopy:
    """JSON that stands where the volume of a damaged copy has its own, with what that copy's binary header states."""
    is_primary = fragment.offset == damaged.volume_offset
    magic = PRIMARY_MAGIC if is_primary else SECONDARY_MAGIC
    place = 0 if is_primary else damaged.header_size
    text = (damaged.uuid, "", place, b"")
    binary = BinaryHeader(magic, 2, damaged.header_size, damaged.seqid, "", "sha256", b"", *text)
    document = fragment.document
    header = build_header(binary, document, damaged.volume_offset) if document is not None else None
    return replace(
        fragment,
        volume_offset=damaged.volume_offset,
        copy="primary" if is_primary else "secondary",
        why="its binary header is gone, its JSON is whole: 'luksafe repair' may join the two",
        uuid=damaged.uuid,
        seqid=damaged.seqid,
        header_size=damaged.header_size,
        header=header,
    )
