"""Whole LUKS volumes that begin at another byte of the device: in a partition, shifted, behind something else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from luksafe.luks.inspection import inspect
from luksafe.luks.key_material import material_range
from luksafe.luks.model import Header
from luksafe.ops.diagnosis.traces import HeaderTrace
from luksafe.probe.recognised import Kind, Partition, Recognised
from luksafe.probe.statistics import SectorClass, classify_sectors
from luksafe.reader import Reader, SliceReader

MOST_PLACES = 64
_SAMPLE_BYTES = 65536


@dataclass(frozen=True, slots=True)
class VolumeElsewhere:
    """A volume whose header can be read at byte ``offset`` of the device, negative where it begins before it.

    ``size_bytes``: of the partition that it fills, 0 where no table lists it; ``node``: that partition's own device.
    """

    offset: int
    uuid: str
    format: str
    header: Header | None
    partition: int = 0
    size_bytes: int = 0
    node: str = ""

    @property
    def words(self) -> str:
        """Which it is and where it begins."""
        if self.offset < 0:
            return f"volume {self.uuid} begins {-self.offset} bytes before the start of it"
        place = (
            f"is partition {self.partition}, at byte {self.offset}"
            if self.partition
            else f"begins at byte {self.offset}"
        )
        return f"volume {self.uuid} {place} of it"


def find_volumes_elsewhere(
    reader: Reader, device: str, traces: Sequence[HeaderTrace], recognised: Iterable[Recognised]
) -> Iterator[VolumeElsewhere]:
    """The volumes of which a header is whole and key material is there, by place; those before the device last."""
    entries = {p.offset: p for table in recognised if table.kind is Kind.PARTITION_TABLE for p in table.partitions}
    starts = {trace.volume_offset for trace in traces} | set(entries)
    before = sorted(start for start in starts if start < 0)
    for start in [*sorted(start for start in starts if start > 0)[:MOST_PLACES], *before[-1:]]:
        found = _look_before(reader, start, traces) if start < 0 else _look(reader, start)
        if found is not None:
            yield _with_partition(found, entries.get(start), device)


def _look(reader: Reader, start: int) -> VolumeElsewhere | None:
    inspection = inspect(SliceReader(reader, start))
    header = inspection.header
    if header is None or start + header.areas_end > reader.size_bytes or not _has_material(reader, start, header):
        return None
    return VolumeElsewhere(start, header.uuid, header.format, header)


def _look_before(reader: Reader, start: int, traces: Sequence[HeaderTrace]) -> VolumeElsewhere | None:
    """Of a volume whose first bytes are missing only the second copy can speak."""
    trace = next(t for t in traces if t.volume_offset == start)
    inspection = inspect(_Shifted(reader, -start))
    header = inspection.header
    if header is None or not _has_material(_Shifted(reader, -start), 0, header):
        return None
    return VolumeElsewhere(start, trace.uuid, trace.format, header)


@dataclass(frozen=True, slots=True)
class _Shifted:
    """A reader with ``missing`` zeros before it, as if the bytes that were cut off were there."""

    inner: Reader
    missing: int

    @property
    def size_bytes(self) -> int:
        return self.inner.size_bytes + self.missing

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        zeros = bytes(min(length_bytes, max(0, self.missing - offset_bytes)))
        rest = length_bytes - len(zeros)
        return zeros + (self.inner.read_at(offset_bytes + len(zeros) - self.missing, rest) if rest else b"")


def _has_material(reader: Reader, start: int, header: Header) -> bool:
    """Whether the key material of a keyslot looks as it must: a header that was copied alone has none behind it."""
    for keyslot in header.keyslots.values():
        material = material_range(keyslot)
        if material is None:
            continue
        try:
            data = reader.read_at(start + material[0], min(_SAMPLE_BYTES, material[1] - material[0]))
        except OSError:
            continue
        kinds = classify_sectors(data[: len(data) // 512 * 512]).tolist() if len(data) >= 512 else []
        if kinds and kinds.count(SectorClass.RANDOM) >= 0.9 * len(kinds):
            return True
    return False


def _with_partition(found: VolumeElsewhere, entry: Partition | None, device: str) -> VolumeElsewhere:
    if entry is None:
        return found
    base = f"{device}p" if device[-1:].isdigit() else device
    node = f"{base}{entry.number}"
    node = node if Path(node).is_block_device() else ""
    return VolumeElsewhere(found.offset, found.uuid, found.format, found.header, entry.number, entry.size, node)
