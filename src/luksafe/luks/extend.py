"""A header whose volume key is known, with the keyslots that still are good and one more for a new passphrase."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator
from dataclasses import replace

from luksafe.luks.af import RandomBytes
from luksafe.luks.areas import header_area_bytes
from luksafe.luks.create import KEYSLOT_ALIGNMENT, KdfChoice, keyslot_area_bytes, keyslot_json
from luksafe.luks.inspection import Inspection
from luksafe.luks.luks1 import binary_header as luks1
from luksafe.luks.luks1.metadata import build_header as build_luks1
from luksafe.luks.luks2.binary_header import BinaryHeader
from luksafe.luks.luks2.metadata import build_header as build_luks2
from luksafe.luks.luks2.writer import write_copies
from luksafe.luks.model import Header, Json
from luksafe.luks.seal import SALT_BYTES, seal_keyslot
from luksafe.reader import Reader
from luksafe.secret import SecretBytes

MAX_KEYSLOTS = 32


def extend_header(
    inspection: Inspection,
    reader: Reader,
    keep: Collection[int],
    volume_key: SecretBytes,
    passphrase: SecretBytes,
    kdf: KdfChoice,
    random_bytes: RandomBytes,
    *,
    seqid: int = 0,
) -> bytes:
    """The bytes of the inspected header with the keyslots ``keep`` and a new one; what belongs to nothing is zero.

    Only the default segment's digest stays; ``keep`` are keyslots of it. Tokens of keyslots that go, go too.
    Raises ValueError when no keyslot or no room is left.
    """
    header = inspection.require_header()
    if header.format == "luks1":
        return _extend_luks1(inspection, reader, keep, volume_key, passphrase, kdf, random_bytes)
    document = _kept_document(header, keep)
    area_offset = _free_area(document, header, keyslot_area_bytes(len(volume_key)))
    slot = _free_slot(document["keyslots"], MAX_KEYSLOTS)
    document["keyslots"][str(slot)] = keyslot_json(area_offset, len(volume_key), kdf, random_bytes)
    for digest in document["digests"].values():
        digest["keyslots"].append(str(slot))
    binary = _binary(inspection, header, max(seqid, header.seqid + 1))
    primary, secondary = write_copies(binary, document, random_bytes)
    made = build_luks2(binary, document)
    out = bytearray(made.areas_end)
    out[: 2 * header.header_size] = primary + secondary
    for number in keep:
        area = header.keyslots[number].area
        if area:
            _put(out, area.offset, reader.read_at(header.offset + area.offset, area.size))
    _put(out, area_offset, seal_keyslot(made.keyslots[slot], passphrase, volume_key, random_bytes))
    return bytes(out)


def _kept_document(header: Header, keep: Collection[int]) -> Json:
    """The header's JSON without the keyslots and digests that go, and without tokens that lost all their keyslots."""
    document = copy.deepcopy(header.document)
    segment = header.default_segment
    digest = header.digest_of_segment(segment.id) if segment else None
    names = {str(number) for number in keep}
    document["keyslots"] = {k: v for k, v in document["keyslots"].items() if k in names}
    document["digests"] = {k: v for k, v in document["digests"].items() if digest and k == str(digest.id)}
    for kept in document["digests"].values():
        kept["keyslots"] = [k for k in kept["keyslots"] if k in names]
    document["tokens"] = dict(_kept_tokens(document["tokens"], names))
    return document


def _kept_tokens(tokens: Json, names: Collection[str]) -> Iterator[tuple[str, Json]]:
    for number, token in tokens.items():
        kept = [k for k in token["keyslots"] if k in names]
        if kept or not token["keyslots"]:
            yield number, {**token, "keyslots": kept}


def _binary(inspection: Inspection, header: Header, seqid: int) -> BinaryHeader:
    for candidate in inspection.copies:
        if isinstance(candidate.binary, BinaryHeader) and candidate.header is not None:
            return replace(candidate.binary, seqid=seqid, hdr_size=header.header_size)
    raise ValueError("the header has no copy that can be used")


def _free_slot(keyslots: Collection[str], most: int) -> int:
    for number in range(most):
        if str(number) not in keyslots:
            return number
    raise ValueError(f"all {most} keyslots are in use; there is none left for the new passphrase")


def _free_area(document: Json, header: Header, size: int) -> int:
    """Where in the keyslots area there is room. Raises ValueError when there is none."""
    taken = sorted((int(k["area"]["offset"]), int(k["area"]["size"])) for k in document["keyslots"].values())
    at = 2 * header.header_size
    for offset, length in taken:
        if offset - at >= size:
            return at
        at = max(at, -(-(offset + length) // KEYSLOT_ALIGNMENT) * KEYSLOT_ALIGNMENT)
    if header.areas_end - at < size:
        raise ValueError("the keyslots area has no room for another keyslot")
    return at


def _put(out: bytearray, offset: int, data: bytes) -> None:
    out[offset : offset + len(data)] = data


def _extend_luks1(
    inspection: Inspection,
    reader: Reader,
    keep: Collection[int],
    volume_key: SecretBytes,
    passphrase: SecretBytes,
    kdf: KdfChoice,
    random_bytes: RandomBytes,
) -> bytes:
    before = inspection.copies[0].binary
    if not isinstance(before, luks1.BinaryHeader):
        raise ValueError("the header has no copy that can be used")
    binary = before
    for number, entry in enumerate(before.keyslots):
        if entry.is_active and number not in keep:
            gone = replace(entry, active=luks1.DISABLED, iterations=0, salt=bytes(SALT_BYTES))
            binary = binary.with_keyslot(number, gone)
    slot = _free_slot({str(number) for number in keep}, luks1.KEYSLOT_COUNT)
    salt = random_bytes(SALT_BYTES)
    entry = replace(binary.keyslots[slot], active=luks1.ENABLED, iterations=kdf.iterations, salt=salt)
    binary = binary.with_keyslot(slot, entry)
    size = header_area_bytes(inspection)
    out = bytearray(reader.read_at(inspection.offset, size).ljust(size, b"\0"))
    out[: luks1.HEADER_BYTES] = binary.serialize(bytes(out[: luks1.HEADER_BYTES]))
    for start, end in _unused_luks1_areas(binary):
        out[start:end] = bytes(end - start)
    sealed = seal_keyslot(build_luks1(binary).keyslots[slot], passphrase, volume_key, random_bytes)
    _put(out, entry.key_material_offset * luks1.SECTOR_BYTES, sealed)
    return bytes(out)


def _unused_luks1_areas(binary: luks1.BinaryHeader) -> Iterator[tuple[int, int]]:
    for entry in binary.keyslots:
        if not entry.is_active:
            start = entry.key_material_offset * luks1.SECTOR_BYTES
            yield start, start + binary.area_sectors * luks1.SECTOR_BYTES
