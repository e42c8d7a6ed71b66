"""Whether the place of a restore is the wrong one: the volume, or others that are alive, stand somewhere else."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from luksafe.device.discover import find_luks_devices
from luksafe.device.identity import DeviceFacts, describe
from luksafe.device.mounts import is_same_file
from luksafe.device.source import open_source
from luksafe.device.sysfs import node_of
from luksafe.errors import LuksafeError
from luksafe.luks.inspection import inspect
from luksafe.luks.key_material import material_sectors, may_be_material
from luksafe.luks.model import Header
from luksafe.luks.search import FINGERPRINT_BYTES, SECTOR_BYTES, Mark, MarkSearch
from luksafe.ops.ties import is_same_place, is_same_volume
from luksafe.probe.recognise import recognise
from luksafe.probe.recognised import Kind, Partition, Recognised
from luksafe.reader import Reader, SliceReader, read_with_holes
from luksafe.vault.record import Device
from luksafe.wall import ParserStopped

SEARCHED_BYTES = 64 << 20
"""So far from the start of the device a header is looked for that no partition table names."""
PIECE_BYTES = 8 << 20
MOST_PARTITIONS = 128
OWN_MATERIAL = "key material of the backup"


@dataclass(frozen=True, slots=True)
class Part:
    """Something that is alive within a device: a partition, or a volume that no table names."""

    offset: int
    size_bytes: int
    names: tuple[str, ...]
    header: Header | None
    is_listed: bool

    @property
    def words(self) -> str:
        """Where it is and what."""
        what = f"volume {self.header.uuid}" if self.header else " and ".join(self.names)
        return f"{what} at byte {self.offset}"


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A better place: ``device`` is what a command calls it."""

    text: str
    device: str


def parts_of(
    reader: Reader,
    signatures: Sequence[Recognised],
    stored: Reader,
    header: Header,
    stopped: Callable[[ParserStopped], object] = lambda _: None,
) -> list[Part]:
    """What is alive within a device, by its partition table and by a search of its first bytes.

    Of the stored header its key material is found too, where the header itself is gone. ``stopped``: see ``recognise``.
    """
    tables = [s for s in signatures if s.partitions and s.kind is Kind.PARTITION_TABLE]
    listed = {p.offset: p for table in tables for p in table.partitions[:MOST_PARTITIONS] if p.offset > 0}
    found = {part.offset: part for partition in listed.values() if (part := _part(reader, partition, stopped))}
    sectors = dict(_first_sectors(stored, header))
    for mark in _marks(reader, [sector[:FINGERPRINT_BYTES] for sector in sectors.values()]):
        if mark.kind in ("luks1", "primary"):
            if mark.offset not in found and (there := inspect(reader, mark.offset).header):
                size = reader.size_bytes - mark.offset
                found[mark.offset] = Part(mark.offset, size, ("crypto_LUKS",), there, is_listed=False)
            continue
        seen = reader.read_at(mark.offset, SECTOR_BYTES)
        for at in (mark.offset - area for area, sector in sectors.items() if sector == seen):
            if at > 0 and (at not in found or found[at].header is None):
                size = found[at].size_bytes if at in found else reader.size_bytes - at
                found[at] = Part(at, size, (OWN_MATERIAL,), None, is_listed=at in listed)
    return list(found.values())


def _first_sectors(stored: Reader, header: Header) -> Iterator[tuple[int, bytes]]:
    """Some sectors of key material of each keyslot, by where they lie behind the start of the volume."""
    for keyslot in header.keyslots.values():
        for area in list(material_sectors(keyslot))[: 64 * 256 : 64]:
            sector = read_with_holes(stored, header.offset + area, SECTOR_BYTES)
            if len(sector) == SECTOR_BYTES and may_be_material(sector):
                yield area, sector


def _part(reader: Reader, partition: Partition, stopped: Callable[[ParserStopped], object]) -> Part | None:
    inner = SliceReader(reader, partition.offset, partition.size)
    header = inspect(inner).header
    names = tuple(dict.fromkeys(r.name for r in recognise(inner, stopped=stopped) if r.kind is not Kind.BOOT_CODE))
    if header is None and not names:
        return None
    return Part(partition.offset, inner.size_bytes, names, header, is_listed=True)


def _marks(reader: Reader, fingerprints: Collection[bytes]) -> Iterator[Mark]:
    """Where a header or this key material may begin, behind byte 0."""
    for start in range(0, min(SEARCHED_BYTES, reader.size_bytes), PIECE_BYTES):
        piece = bytearray(read_with_holes(reader, start, PIECE_BYTES))
        piece.extend(bytes(-len(piece) % SECTOR_BYTES))
        for mark in MarkSearch(piece, fingerprints).marks(len(piece)) if piece else ():
            if mark.kind in ("luks1", "primary", "key-material") and start + mark.offset > 0:
                yield Mark(start + mark.offset, mark.kind)


def place_within(facts: DeviceFacts, part: Part) -> str:
    """What a command calls a part: the partition's device, or a loop device made over it."""
    node = node_of(facts.path)
    for partition in node.partitions() if node else ():
        if partition.integer("start") * 512 == part.offset:
            return shlex.quote(partition.path)
    where = f"--offset {part.offset} --sizelimit {part.size_bytes}"
    return f'"$(losetup --find --show {where} {shlex.quote(facts.path)})"'


def same_volume_on_others(
    header: Header, devices: Sequence[Device], facts: DeviceFacts, *, is_detached: bool
) -> Elsewhere | None:
    """Another device of this machine that holds this volume, or that its backup was made of.

    Of a detached header the recorded device is that of the data, where it does not belong.
    """
    for path in _candidates(header, devices):
        try:
            with open_source(path) as reader:
                there = inspect(reader).header
            at_hand = describe(path)
        except (LuksafeError, OSError):
            continue
        if is_same_file(path, facts.path) or _is_over(path, facts):
            continue
        if there is not None and is_same_volume(there, header):
            return Elsewhere(f"{path} holds this very volume", path)
        if there is None and not is_detached and any(is_same_place(device, at_hand) for device in devices):
            return Elsewhere(f"the backup was made of {path}, which has no usable header", path)
    return None


def _candidates(header: Header, devices: Sequence[Device]) -> Iterator[str]:
    yield from dict.fromkeys(device.path for device in devices if device.path and os.path.lexists(device.path))
    yield from (found.path for found in find_luks_devices() if found.uuid.lower() == header.uuid.lower())


def _is_over(path: str, facts: DeviceFacts) -> bool:
    """Whether a device is a partition of the one at hand, or shows it: what is in it was looked at already."""
    node = node_of(path)
    if node is None:
        return False
    backing = node.attribute("loop/backing_file")
    return node.disk.path == facts.path or (bool(backing) and is_same_file(backing, facts.path))
