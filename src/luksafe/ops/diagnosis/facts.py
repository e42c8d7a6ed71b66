"""Everything a diagnosis is judged from, gathered once: bytes, vault, mappings, what a repair would make of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from luksafe.device.ask_blkid import ask_blkid
from luksafe.device.identity import DeviceFacts, describe
from luksafe.device.mappings import Mapping, mappings_over
from luksafe.device.source import open_source
from luksafe.errors import LuksafeError
from luksafe.luks.areas import header_area_bytes
from luksafe.luks.inspection import Inspection, inspect
from luksafe.luks.repair.effort import Effort
from luksafe.luks.repair.proposal import Outcome, PatchedReader
from luksafe.luks.repair.volume import propose_repair
from luksafe.ops.diagnosis.attempt import Attempt, KeyTrial, try_key
from luksafe.ops.diagnosis.elsewhere import VolumeElsewhere, find_volumes_elsewhere
from luksafe.ops.diagnosis.known_backups import KnownBackup, find_known_backups
from luksafe.ops.diagnosis.known_packets import KnownPacket, find_known_packets
from luksafe.ops.diagnosis.traces import HeaderTrace, find_header_traces
from luksafe.ops.interruption import interruption_words
from luksafe.ops.target import Target
from luksafe.ops.workspace import Workspace
from luksafe.probe.container import Container, recognise_container
from luksafe.probe.footprint import Footprint, footprint
from luksafe.probe.recognise import recognise
from luksafe.probe.recognised import Recognised
from luksafe.probe.sector_runs import Run, runs_of
from luksafe.reader import Reader

USUAL_AREA_BYTES = 16 << 20
MOST_AREA_BYTES = 132 << 20  # two header copies of 4 MiB and the largest keyslots area, 128 MiB less those
DATA_START_BYTES = 1 << 20
SAMPLES, SAMPLE_BYTES = 256, 4096
REPAIR_SECONDS = 10.0
_BLOCK_BYTES = 512


@dataclass(frozen=True, slots=True)
class Facts:
    """What was seen. ``start`` are the bytes of the header area, unreadable sectors (``unreadable``) as zeros.

    ``inspection`` is the header as it stands, ``repair`` what ``repair`` would do, ``mended`` the header after that.
    ``runs`` are the sectors of ``start`` by class; ``footprints`` go with ``recognised``, one each.
    ``device`` is what commands should name, empty for a backup; ``header`` is the detached header that was named.
    ``headers_elsewhere`` are the backups of detached headers that were made with this device: none belongs on it.
    ``disk``: of a partition, the disk that it is on. ``container``: the form in which the bytes of a disk are packed
    here; ``volumes_elsewhere`` begin at other bytes.
    ``data_start`` are bytes from ``data_offset`` of the data, ``data_samples`` pieces from all over them.
    """

    target: str
    device: str
    size_bytes: int
    start: bytes
    unreadable: tuple[int, ...]
    inspection: Inspection
    repair: Outcome
    mended: Inspection
    recognised: tuple[Recognised, ...] = ()
    footprints: tuple[Footprint, ...] = ()
    traces: tuple[HeaderTrace, ...] = ()
    backups: tuple[KnownBackup, ...] = ()
    headers_elsewhere: tuple[KnownBackup, ...] = ()
    packets: tuple[KnownPacket, ...] = ()
    runs: tuple[Run, ...] = ()
    mappings: tuple[Mapping, ...] = ()
    interruption: str = ""
    attempt: Attempt | None = None
    is_detached: bool = False
    header: str = ""
    data_size_bytes: int = 0
    data_start: bytes = b""
    data_samples: tuple[bytes, ...] = ()
    disk: str = ""
    container: Container | None = None
    volumes_elsewhere: tuple[VolumeElsewhere, ...] = ()


def gather(workspace: Workspace, target: Target, *, data: str | None = None, trial: KeyTrial | None = None) -> Facts:
    """Look at a target, and at the device with its data when that is another one. Writes nothing."""
    with ExitStack() as stack:
        data_path = Path(data) if data else target.data_path
        is_detached = data_path is not None and data_path != target.header_path
        if is_detached and data_path is not None:
            data_reader: Reader = stack.enter_context(open_source(data_path))
        else:
            data_reader = target.reader
        return _gather(workspace, target, data_path, data_reader, is_detached, trial)


def _gather(
    workspace: Workspace,
    target: Target,
    data_path: Path | None,
    data_reader: Reader,
    is_detached: bool,
    trial: KeyTrial | None,
) -> Facts:
    reader = target.reader
    device = _facts_of(data_path)
    outcome = propose_repair(reader, workspace.random_bytes, Effort(REPAIR_SECONDS))
    mended = inspect(PatchedReader(reader, outcome.patches)) if outcome.patches else target.inspection
    start, unreadable = _read_start(reader, mended)
    backups = find_known_backups(workspace, start, (target.inspection, mended), device, target.backup)
    elsewhere = () if is_detached else tuple(b for b in backups if b.is_of_device and b.is_elsewhere)
    backups = tuple(b for b in backups if b not in elsewhere)
    recognised = tuple(recognise(data_reader)) if data_path else ()
    if data_path and not recognised and mended.header is None:
        recognised = ask_blkid(data_path)
    traces = tuple(find_header_traces(start))
    at = str(data_path or "")
    volumes = find_volumes_elsewhere(data_reader, at, traces, recognised) if data_path and not is_detached else ()
    # a backup, too, says where the data begin
    header = mended.header or next((b.inspection.header for b in backups if b.inspection.header), None)
    data_offset = header.data_offset if header else USUAL_AREA_BYTES
    return Facts(
        target=target.description,
        device=str(data_path or target.header_path or ""),
        header=_header_name(target) if is_detached else "",
        disk=device.partition.disk if device and device.partition else "",
        size_bytes=reader.size_bytes,
        start=start,
        unreadable=unreadable,
        inspection=target.inspection,
        repair=outcome,
        mended=mended,
        recognised=recognised,
        footprints=tuple(footprint(data_reader, found) for found in recognised),
        traces=traces,
        container=recognise_container(data_reader) if data_path else None,
        volumes_elsewhere=tuple(volumes),
        backups=backups,
        headers_elsewhere=elsewhere,
        packets=find_known_packets(workspace, (target.inspection, mended), backups),
        runs=tuple(runs_of(start)),
        mappings=_mappings(data_path),
        interruption=interruption_words(workspace, device) if device else "",
        attempt=try_key(PatchedReader(reader, outcome.patches), data_reader, mended, trial) if trial else None,
        is_detached=is_detached,
        data_size_bytes=data_reader.size_bytes if data_path else 0,
        data_start=_read(data_reader, data_offset, DATA_START_BYTES) if data_path else b"",
        data_samples=tuple(_samples(data_reader, data_offset)) if data_path else (),
    )


def _header_name(target: Target) -> str:
    return str(target.header_path) if target.header_path else f"vault:{target.backup.id[:12]}" if target.backup else ""


def _facts_of(path: Path | None) -> DeviceFacts | None:
    return describe(path) if path is not None else None


def _mappings(path: Path | None) -> tuple[Mapping, ...]:
    if path is None:
        return ()
    try:
        return tuple(mappings_over(path))
    except LuksafeError:
        return ()


def _read_start(reader: Reader, inspection: Inspection) -> tuple[bytes, tuple[int, ...]]:
    """The header area (at least the usual one), and the offsets of the sectors in it that cannot be read."""
    wanted = max(USUAL_AREA_BYTES, header_area_bytes(inspection) if inspection.header else 0)
    size = min(wanted, MOST_AREA_BYTES, reader.size_bytes)
    try:
        return reader.read_at(0, size), ()
    except OSError:
        pass
    out, unreadable = bytearray(), []
    for at in range(0, size, _BLOCK_BYTES):
        length = min(_BLOCK_BYTES, size - at)
        try:
            out += reader.read_at(at, length).ljust(length, b"\0")
        except OSError:
            unreadable.append(at)
            out += bytes(length)
    return bytes(out), tuple(unreadable)


def _read(reader: Reader, offset: int, length: int) -> bytes:
    try:
        return reader.read_at(offset, length)
    except OSError:
        return b""


def _samples(reader: Reader, data_offset: int) -> Iterator[bytes]:
    """Pieces spread evenly over the data."""
    step = max(SAMPLE_BYTES, (reader.size_bytes - data_offset) // SAMPLES // SAMPLE_BYTES * SAMPLE_BYTES)
    for at in range(data_offset, reader.size_bytes, step):
        yield _read(reader, at, SAMPLE_BYTES)
