"""Header images as gzip files of one form, unpacked within bounds (spec/vault.md, section 3)."""

from __future__ import annotations

import hashlib
import struct
import zlib

from luksafe.errors import DamagedInput, Unsupported
from luksafe.wall import walled

MAX_IMAGE_BYTES = 256 << 20
MAX_PACKED_BYTES = MAX_IMAGE_BYTES + (1 << 20)

# RFC 1952: magic, method deflate, no flags (so no name), time 0, no extra flags, system unknown
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_STEP_BYTES = 1 << 20


def is_as_packed(packed: bytes) -> bool:
    """Whether the gzip header, which no checksum covers, is the one that ``pack`` writes."""
    return packed.startswith(_GZIP_HEADER)


def pack(image: bytes) -> bytes:
    """``image`` as a gzip file that says nothing of time, name or machine. Raises ``Unsupported`` over 256 MiB."""
    if not 1 <= len(image) <= MAX_IMAGE_BYTES:
        raise Unsupported(
            f"a header image of {len(image)} bytes cannot be kept (1 to {MAX_IMAGE_BYTES})",
            hint="back up without --full, which keeps the used parts only",
        )
    packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(image) + packer.flush()
    return _GZIP_HEADER + packed + struct.pack("<II", zlib.crc32(image), len(image))


@walled("a packed image")
def unpack(packed: bytes, limit_bytes: int = MAX_IMAGE_BYTES) -> bytes:
    """The image in a gzip file. Raises ``DamagedInput`` when damaged, not alone, or longer than ``limit_bytes``."""
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    pieces: list[bytes] = []
    size, rest = 0, packed
    while not unpacker.eof:
        try:
            piece = unpacker.decompress(rest, _STEP_BYTES)
        except zlib.error as error:
            raise DamagedInput(f"not a whole gzip file: {error}") from error
        rest = unpacker.unconsumed_tail
        size += len(piece)
        if size > limit_bytes:
            raise DamagedInput(f"the image unpacks to more than the {limit_bytes} bytes expected")
        if not piece and not rest and not unpacker.eof:
            raise DamagedInput("the gzip file is cut short")
        pieces.append(piece)
    if unpacker.unused_data:
        raise DamagedInput(f"{len(unpacker.unused_data)} bytes follow the gzip file's end")
    return b"".join(pieces)


def unpack_verified(packed: bytes, sha256_hex: str, size_bytes: int = 0) -> bytes:
    """The image. Its SHA-256 must begin with ``sha256_hex``, its size be ``size_bytes`` (0: any); ``DamagedInput``."""
    image = unpack(packed, size_bytes or MAX_IMAGE_BYTES)
    if size_bytes and len(image) != size_bytes:
        raise DamagedInput(f"the image has {len(image)} bytes, its record says {size_bytes}")
    if not hashlib.sha256(image).hexdigest().startswith(sha256_hex):
        raise DamagedInput("the image is not the one that was stored: its SHA-256 differs")
    return image
