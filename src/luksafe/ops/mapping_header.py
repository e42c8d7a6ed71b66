"""Whether the header of an active mapping is still there, whole, and the one that opened it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from luksafe.device.crypttab import parse_crypttab
from luksafe.device.lock import metadata_lock
from luksafe.device.mappings import Mapping, mappings_over
from luksafe.device.source import open_source
from luksafe.errors import LuksafeError
from luksafe.luks.inspection import Inspection, inspect
from luksafe.luks.model import Header

CRYPTTAB = Path("/etc/crypttab")
DO_NOT_CLOSE = "do not close it, do not reboot"
SECTOR_BYTES = 512

HeaderState = Literal["whole", "damaged", "gone", "other", "detached", "none", "unknown"]
"""``other``: not the header that opened it. ``detached``: it never was here. ``none``: the mapping is no LUKS."""


@dataclass(frozen=True, slots=True)
class MappingHeader:
    """The verdict on the header of a mapping; ``next`` is the command that mends it, empty where all is well."""

    state: HeaderState
    text: str
    next: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether nothing has to be done."""
        return self.state in ("whole", "detached", "none")


def judge_header(mapping: Mapping) -> MappingHeader:
    """Read the header of the mapping's device (or the file that crypttab names) and compare it with the mapping."""
    if not mapping.type.startswith("LUKS"):
        return MappingHeader("none", f"{mapping.type or 'a table set by hand'}: it has no header")
    place = _detached_header(mapping) or mapping.device
    try:
        with open_source(place) as reader, metadata_lock(place):
            inspection = inspect(reader)
    except (LuksafeError, OSError) as problem:
        return MappingHeader("unknown", f"its header cannot be read: {problem}")
    if inspection.format == "none" and place == mapping.device and _begins_at_zero(mapping):
        return MappingHeader("detached", f"{place} holds data from its first byte: it was opened by a detached header")
    return _judge(mapping, place, inspection)


@dataclass(frozen=True, slots=True)
class OpenWithoutHeader:
    """A mapping that is open over a device whose header is damaged, gone or another one: the moment to rebuild it."""

    mapping: Mapping
    header: MappingHeader

    @property
    def text(self) -> str:
        """What to know, above all what not to do."""
        return f"{self.mapping.name} is still open, and {self.header.text}"


def open_without_header(device: str) -> OpenWithoutHeader | None:
    """The open mapping whose header on the device is lost; None where there is none, or nobody can tell."""
    try:
        for mapping in mappings_over(device):
            header = judge_header(mapping) if mapping.type.startswith("LUKS") else None
            if header is not None and header.next:
                return OpenWithoutHeader(mapping, header)
    except LuksafeError:
        pass
    return None


def mapped_uuid(device: str) -> str:
    """The UUID of the LUKS volume that is open over a device, whatever its header says; empty where none is."""
    return next((mapping.luks_uuid for mapping in _mappings(device) if mapping.luks_uuid), "")


def opened_apart(device: str) -> str:
    """The name of the mapping that a detached header opened over this device; empty where none did."""
    apart = (m.name for m in _mappings(device) if m.type.startswith("LUKS") and judge_header(m).state == "detached")
    return next(apart, "")


def _mappings(device: str) -> list[Mapping]:
    try:
        return mappings_over(device)
    except LuksafeError:
        return []


def _judge(mapping: Mapping, place: str, inspection: Inspection) -> MappingHeader:
    command = _rebuild_command(mapping)
    header = inspection.header
    if inspection.format == "none":
        return MappingHeader("gone", f"there is no header on {place} any more; {DO_NOT_CLOSE}", command)
    if header is None:
        faults = "; ".join(finding.text for finding in inspection.findings)
        return MappingHeader("damaged", f"the header on {place} is damaged: {faults}; {DO_NOT_CLOSE}", command)
    differing = list(_differences(mapping, header))
    if differing:
        text = f"the header on {place} is not the one that opened it: {', '.join(differing)}; {DO_NOT_CLOSE}"
        return MappingHeader("other", text, command)
    if inspection.is_refused:
        faults = "; ".join(finding.text for finding in inspection.findings)
        return MappingHeader("damaged", f"the header on {place} is damaged: {faults}; {DO_NOT_CLOSE}", command)
    bad = [copy.why or copy.state for copy in inspection.copies if copy.state != "ok"]
    if bad:
        text = f"one of the two header copies on {place} is damaged: {'; '.join(bad)}; {DO_NOT_CLOSE}"
        return MappingHeader("damaged", text, f"luksafe repair {place}")
    return MappingHeader("whole", f"the header on {place} is whole and fits the mapping")


def _differences(mapping: Mapping, header: Header) -> Iterator[str]:
    if header.uuid != mapping.luks_uuid:
        yield f"UUID {header.uuid}, not {mapping.luks_uuid}"
    if header.format != mapping.type.lower():
        yield f"{header.format.upper()}, not {mapping.type}"
    if len(mapping.tables) != 1 or header.is_in_reencryption or mapping.tables[0].integrity_tag_bytes:
        return  # several tables, or offsets below an integrity layer: not comparable one by one
    table = mapping.tables[0]
    pairs = (
        ("cipher", header.encryption, table.cipher),
        ("sectors of", header.sector_size, table.sector_size),
        ("data at byte", header.data_offset, table.offset_sectors * SECTOR_BYTES),
        ("key bits", header.volume_key_size * 8, table.key.size_bytes * 8 or header.volume_key_size * 8),
    )
    for what, stated, used in pairs:
        if stated != used and stated:
            yield f"{what} {stated}, not {used}"


def _detached_header(mapping: Mapping) -> str:
    """The header file that crypttab names for this mapping; empty when it names none."""
    try:
        entries = parse_crypttab(CRYPTTAB.read_text(errors="replace"))
    except OSError:
        return ""
    named = (entry for entry in entries if entry.name == mapping.name and not entry.header_device)
    return next((entry.header_file for entry in named), "")


def _begins_at_zero(mapping: Mapping) -> bool:
    return any(table.offset_sectors == 0 and not table.integrity_tag_bytes for table in mapping.tables)


def _rebuild_command(mapping: Mapping) -> str:
    return f"luksafe rebuild {mapping.device} --from-mapping {mapping.name}"
