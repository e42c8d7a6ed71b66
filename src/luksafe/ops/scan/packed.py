"""Headers in gzip members: the vault's own backups, and what people packed by hand. Unpacking is bounded."""

from __future__ import annotations

import zlib
from dataclasses import replace

from luksafe.luks.found import FoundCopy, examine_mark
from luksafe.luks.search import Mark, MarkKind
from luksafe.reader import BytesReader, Reader

MAX_UNPACKED_BYTES = 64 << 20
_STEP_BYTES = 1 << 20
_HEAD_BYTES = 4096
_STARTS: dict[bytes, MarkKind] = {b"LUKS\xba\xbe\0\1": "luks1", b"LUKS\xba\xbe\0\2": "primary"}


def unpack_at(reader: Reader, offset: int, limit_bytes: int = MAX_UNPACKED_BYTES) -> bytes:
    """What the gzip member at ``offset`` holds, as far as it can be unpacked, at most ``limit_bytes``."""
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    out = bytearray()
    at = offset
    try:
        while not unpacker.eof and len(out) < limit_bytes:
            packed = unpacker.unconsumed_tail or reader.read_at(at, _STEP_BYTES if out else _HEAD_BYTES)
            if not packed:
                break
            if not unpacker.unconsumed_tail:
                at += len(packed)
            out += unpacker.decompress(packed, limit_bytes - len(out))
    except (zlib.error, OSError):
        pass
    return bytes(out)


def find_packed(reader: Reader, offset: int) -> list[FoundCopy]:
    """The copies of the header that a gzip member at ``offset`` begins with; empty for any other gzip file.

    Their ``offset`` is that of the member, their ``header`` has the offset 0 of the unpacked image.
    """
    head = unpack_at(reader, offset, _HEAD_BYTES)
    kind = _STARTS.get(head[:8])
    if kind is None:
        return []
    image = BytesReader(unpack_at(reader, offset))
    primary = examine_mark(image, Mark(0, kind))
    copies = [primary] if primary else []
    if primary and primary.header_size:
        secondary = examine_mark(image, Mark(primary.header_size, "secondary"))
        copies += [secondary] if secondary and secondary.offset == primary.header_size else []
    return [replace(copy, offset=offset, volume_offset=offset) for copy in copies]
