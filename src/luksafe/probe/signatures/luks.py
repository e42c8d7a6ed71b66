"""LUKS1 and LUKS2 as somebody else's bytes: enough to say that a volume holds (another) LUKS header.

The full reading is :mod:`luksafe.luks`; this is for LUKS inside LUKS and for a header written over something.
"""

from __future__ import annotations

import hashlib
from functools import partial

from luksafe.probe.checksums import without
from luksafe.probe.recognised import Kind, Recognised
from luksafe.probe.structure import Structure
from luksafe.probe.volume import MismatchError, Volume

PRIMARY_MAGIC, SECONDARY_MAGIC = b"LUKS\xba\xbe", b"SKUL\xba\xbe"
HEADER_SIZES = tuple(0x4000 << n for n in range(9))
BINARY_HEADER_BYTES = 4096
LUKS1_HEADER_BYTES = 592
CHECKSUM_AT, CHECKSUM_BYTES = 448, 64
HASHES = ("sha1", "sha256", "sha384", "sha512")


def luks1(volume: Volume) -> Recognised:
    """The LUKS1 header (LUKS On-Disk Format Specification 1.2.3, section 2.3)."""
    s = Structure(volume, 0, LUKS1_HEADER_BYTES, "big")
    s.magic(0, PRIMARY_MAGIC)
    s.among(6, 2, (1,), "version")
    cipher, mode = s.text(8, 32, "latin-1"), s.text(40, 32, "latin-1")
    s.check(f"cipher {cipher}-{mode}", _printable(cipher) and _printable(mode), 8)
    return s.recognised(
        "crypto_LUKS",
        Kind.CRYPTO,
        uuid=s.text(168, 40),
        version="1",
        geometry={"payload_offset": s.u32(104) * 512, "header_bytes": LUKS1_HEADER_BYTES},
    )


def _printable(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable()


def luks2(volume: Volume, offset: int = 0) -> Recognised:
    """The primary LUKS2 header, or the secondary at ``offset`` (LUKS2 On-Disk Format Specification, section 2.1)."""
    s = Structure(volume, offset, BINARY_HEADER_BYTES, "big")
    s.magic(0, SECONDARY_MAGIC if offset else PRIMARY_MAGIC)
    s.among(6, 2, (2,), "version")
    size = s.among(8, 8, HEADER_SIZES, "header size")
    s.check("header offset is its place", s.u64(256) == offset, 64)
    _verify(s, size)
    return s.recognised(
        "crypto_LUKS",
        Kind.CRYPTO,
        copy="backup" if offset else "primary",
        label=s.text(24, 48),
        uuid=s.text(168, 40),
        version="2",
        geometry={"header_bytes": size, "seqid": s.u64(16)},
    )


def _verify(s: Structure, size: int) -> None:
    name = s.text(72, 32, "ascii")
    try:
        whole = s.volume.read(s.offset, size)
    except MismatchError:
        s.note("header cut short")
        return
    if name not in HASHES:
        s.note(f"checksum by {name!r} not computed")
        return
    digest = hashlib.new(name, without(whole, CHECKSUM_AT, CHECKSUM_BYTES), usedforsecurity=False).digest()
    s.verify(f"{name} of the header", whole[CHECKSUM_AT : CHECKSUM_AT + len(digest)] == digest, 160)


PROBES = (luks1, luks2, *(partial(luks2, offset=size) for size in HEADER_SIZES))
