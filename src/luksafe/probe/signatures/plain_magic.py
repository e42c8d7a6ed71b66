"""Structures known by a magic of eight bytes or more at a fixed place; nothing else of them is read."""

from __future__ import annotations

from functools import partial

from luksafe.probe.recognised import Kind, Recognised
from luksafe.probe.structure import Structure
from luksafe.probe.volume import Volume

MAGICS: tuple[tuple[str, Kind, int, bytes], ...] = (
    ("DM_integrity", Kind.CRYPTO, 0, b"integrt\0"),
    ("DM_verity_hash", Kind.CRYPTO, 0, b"verity\0\0"),
    ("DM_snapshot_cow", Kind.VOLUME_MANAGER, 0, b"SnAp\x01\0\0\0\x01\0\0\0"),
    ("stratis", Kind.VOLUME_MANAGER, 516, b"!Stra0tis\x86\xff\x02^\x41rh"),
    ("ceph_bluestore", Kind.VOLUME_MANAGER, 0, b"bluestore block device"),
    ("ReFS", Kind.FILESYSTEM, 0, b"\0\0\0ReFS\0"),
)


def fixed(volume: Volume, name: str, kind: Kind, at: int, magic: bytes) -> Recognised:
    """``magic`` at byte ``at``."""
    s = Structure(volume, at, len(magic))
    s.magic(0, magic)
    return s.recognised(name, kind)


def vdo(volume: Volume) -> Recognised:
    """VDO: the geometry block with the UUID."""
    s = Structure(volume, 0, 64)
    s.magic(0, b"dmvdo001")
    return s.recognised("vdo", Kind.VOLUME_MANAGER, uuid=s.uuid(40))


PROBES = (
    vdo,
    *(partial(fixed, name=name, kind=kind, at=at, magic=magic) for name, kind, at, magic in MAGICS),
)
