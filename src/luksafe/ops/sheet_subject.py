"""What a sheet is about: which volume it opens, and every parameter of it in words."""

from __future__ import annotations

from dataclasses import dataclass

from luksafe.device.identity import DeviceFacts, describe
from luksafe.luks.model import Header, Segment
from luksafe.ops.target import Target
from luksafe.ops.workspace import Workspace

SECTOR_BYTES = 512

Facts = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class SheetSubject:
    """A volume as a sheet shows it; ``name`` is short, for the title. ``header`` is None where it is not at hand."""

    name: str
    opens: Facts
    parameters: Facts
    header: Header | None = None


def subject_of(workspace: Workspace, target: Target) -> SheetSubject:
    """The volume behind a target: a device, image, header file or backup. Raises DamagedInput without a header."""
    header = target.inspection.require_header()
    host, device = _where(workspace, target)
    opens = [("Volume", header.uuid), ("Label", header.label), ("Host", host), ("Device", device)]
    return SheetSubject(
        name=header.label or f"{host} {device}".strip(),
        opens=tuple(fact for fact in opens if fact[1]),
        parameters=tuple(parameter_facts(header)),
        header=header,
    )


def _where(workspace: Workspace, target: Target) -> tuple[str, str]:
    """Host and device; for a backup those of the time when it was made."""
    if target.backup is not None:
        record = target.backup.record
        return record.host, _device_words(record.device.path, record.device.model, record.device.serial)
    path = target.data_path or target.header_path
    facts: DeviceFacts | None = describe(path) if path else None
    return workspace.host_name, _device_words(facts.path, facts.model, facts.serial) if facts else ""


def _device_words(path: str, model: str, serial: str) -> str:
    details = ", ".join(part for part in (model, f"serial {serial}" if serial else "") if part)
    return f"{path} ({details})" if details else path


def parameter_facts(header: Header) -> list[tuple[str, str]]:
    """Every parameter that a new header round the volume key needs (label, text)."""
    segment = header.default_segment
    facts = [
        ("Format", header.format.upper()),
        ("Subsystem", header.subsystem),
        ("Cipher", header.encryption),
        ("Volume key", f"{header.volume_key_size * 8} bits"),
        ("Sector size", f"{header.sector_size} bytes"),
        ("Data begins at", f"{header.data_offset} bytes (sector {header.data_offset // SECTOR_BYTES})"),
        *(_segment_facts(segment) if segment else []),
        *_header_facts(header),
    ]
    return [fact for fact in facts if fact[1]]


def _segment_facts(segment: Segment) -> list[tuple[str, str]]:
    integrity = str(segment.integrity.get("type", "")) if segment.integrity else ""
    return [
        ("Data end at", "the end of the device" if segment.size is None else f"{segment.offset + segment.size} bytes"),
        ("IV offset", f"{segment.iv_tweak} sectors of {SECTOR_BYTES} bytes"),
        ("Integrity", integrity),
    ]


def _header_facts(header: Header) -> list[tuple[str, str]]:
    segment = header.default_segment
    digest = header.digest_of_segment(segment.id) if segment else None
    facts = [("Digest", f"{digest.type} {digest.hash}, {digest.iterations} iterations")] if digest else []
    if header.format == "luks2":
        sizes = f"two copies of {header.header_size} bytes, keyslots area of {header.config.keyslots_size} bytes"
        facts.append(("Header", sizes))
    return [*facts, ("Flags", ", ".join(header.config.flags))]
