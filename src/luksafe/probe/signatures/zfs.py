"""ZFS ("ZFS On-Disk Specification", chapter 1): the four vdev labels."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import Literal

from luksafe.probe.recognised import Kind, Recognised
from luksafe.probe.structure import Structure
from luksafe.probe.volume import MismatchError, Volume

LABEL_BYTES = 256 << 10
NVLIST_OFFSET = 16 << 10
NVLIST_BYTES = 112 << 10
TRAILER_BYTES = 40
TRAILER_MAGIC = 0x0210DA7AB10C7A11
LONGEST_NAME_BYTES = 256
STRING, UINT64 = 9, 8


def label(volume: Volume, number: int) -> Recognised:
    """Label 0 or 1 (at the start) or 2 or 3 (at the end) with the pool's configuration as an XDR name-value list."""
    size = volume.size_bytes // LABEL_BYTES * LABEL_BYTES
    base = number * LABEL_BYTES if number < 2 else size - (4 - number) * LABEL_BYTES
    s = Structure(volume, base + NVLIST_OFFSET, NVLIST_BYTES, "big")
    s.magic(0, b"\x01", "XDR encoding")
    s.among(1, 1, (0, 1), "byte order")
    s.zeros(2, 2, "reserved")
    s.magic(4, bytes(4) + b"\0\0\0\x01", "name-value list version 0, unique names")
    version = _number(s, "version")
    name = _string(s, "name")
    s.check("pool version", version is not None and 1 <= version <= 5000, 51)
    if name is None:
        raise MismatchError("no pool name")
    _verify(s, base + NVLIST_OFFSET)
    pool, device = _number(s, "pool_guid") or _number(s, "top_guid"), _number(s, "guid")
    return s.recognised(
        "zfs_member",
        Kind.FILESYSTEM,
        copy="primary" if number == 0 else "backup",
        label=name,
        uuid=str(pool or device or ""),
        version=str(version),
        geometry={"size": size, "label": number},
    )


def _verify(s: Structure, offset: int) -> None:
    # The block's verifier is SHA-256 over all of it, with the block's own address in place of the digest.
    trailer = s.data[-TRAILER_BYTES:]
    orders: tuple[Literal["little", "big"], ...] = ("little", "big")
    for order in orders:
        if int.from_bytes(trailer[:8], order) == TRAILER_MAGIC:
            words = [offset, 0, 0, 0]
            seed = b"".join(word.to_bytes(8, order) for word in words)
            digest = hashlib.sha256(s.data[:-32] + seed).digest()
            got = b"".join(int.from_bytes(trailer[8 + n : 16 + n], order).to_bytes(8) for n in range(0, 32, 8))
            s.verify("SHA-256 of the label", digest == got, 256)


def _entry(s: Structure, name: str, kind: int) -> int | None:
    """Where the value of the entry ``name`` begins: after its padded name, its type and the number of its elements."""
    raw = name.encode()
    padded = raw + bytes(-len(raw) % 4)
    key = len(raw).to_bytes(4) + padded + kind.to_bytes(4) + b"\0\0\0\x01"
    at = s.data.find(key, 12)
    return None if at < 0 else at + len(key)


def _number(s: Structure, name: str) -> int | None:
    at = _entry(s, name, UINT64)
    return None if at is None else int.from_bytes(s.data[at : at + 8])


def _string(s: Structure, name: str) -> str | None:
    at = _entry(s, name, STRING)
    length = 0 if at is None else int.from_bytes(s.data[at : at + 4])
    return s.text(at + 4, length) if at is not None and 0 < length < LONGEST_NAME_BYTES else None


PROBES = tuple(partial(label, number=number) for number in range(4))
