"""Btrfs ("On-disk format" of the Btrfs documentation): the superblock and its mirrors."""

from __future__ import annotations

import hashlib
from functools import partial

from luksafe.probe.checksums import crc32c
from luksafe.probe.recognised import Kind, Recognised
from luksafe.probe.structure import Structure
from luksafe.probe.volume import Volume

SUPERBLOCK_BYTES = 4096
MIRRORS_BYTES = (64 << 10, 64 << 20, 256 << 30)
CHECKSUM_KINDS = {0: "crc32c", 1: "xxhash64", 2: "sha256", 3: "blake2b"}


def superblock(volume: Volume, offset: int) -> Recognised:
    """The superblock or mirror at ``offset``; it says itself where it stands."""
    s = Structure(volume, offset, SUPERBLOCK_BYTES)
    s.magic(64, b"_BHRfS_M")
    s.check(f"says that it stands at {offset}", s.u64(48) == offset, 64)
    sector_size = s.power_of_two(144, 4, 512, 65536, "sector size")
    node_size = s.power_of_two(148, 4, 512, 65536, "node size")
    kind = CHECKSUM_KINDS[s.among(196, 2, CHECKSUM_KINDS, "checksum type")]
    size = s.u64(112)
    s.check(f"{size} bytes on {s.u64(136)} device(s)", size >= sector_size, 0)
    computed = _checksum(kind, s.data[32:])
    if computed is None:
        s.note(f"{kind} not computed")
    else:
        s.verify(f"{kind} of the superblock", s.data[: len(computed)] == computed, 32)
    return s.recognised(
        "btrfs",
        Kind.FILESYSTEM,
        copy="primary" if offset == MIRRORS_BYTES[0] else "backup",
        label=s.text(299, 256),
        uuid=s.uuid(32),
        size_bytes=size,
        geometry={
            "node_size": node_size,
            "device_bytes": s.u64(209),
            "device_id": s.u64(201),
            "root": s.u64(80),
            "chunk_root": s.u64(88),
            "log_root": s.u64(96),
            "system_chunks_bytes": s.u32(160),
            "generation": s.u64(72),
        },
    )


def _checksum(kind: str, data: bytes) -> bytes | None:
    if kind == "crc32c":
        return crc32c(data).to_bytes(4, "little")
    if kind == "sha256":
        return hashlib.sha256(data).digest()
    return hashlib.blake2b(data, digest_size=32).digest() if kind == "blake2b" else None


PROBES = tuple(partial(superblock, offset=offset) for offset in MIRRORS_BYTES)
