"""How a reencryption that was interrupted goes on: the commands of cryptsetup, in their order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from luksafe.luks.luks1.binary_header import BinaryHeader as Luks1Header
from luksafe.ops.diagnosis.facts import Facts

_USUAL_SECTORS, _MOST_SECTORS = 4096, 1 << 17
"""The header area of LUKS1, 512-byte sectors: cryptsetup's own choice, and more than there ever is."""


@dataclass(frozen=True, slots=True)
class ResumeStep:
    """A command and what it does, for people. ``writes``: it changes the device."""

    command: tuple[str, ...]
    text: str
    writes: bool = False


def resume_steps(facts: Facts, device: str) -> tuple[ResumeStep, ...]:
    """The commands with which the reencryption of ``device`` goes on; none when there is none to go on with."""
    if facts.inspection.is_luks1_reencrypting:
        return tuple(_of_luks1(facts, device))
    header = facts.mended.header
    return tuple(_of_luks2(facts, device)) if header is not None and header.is_in_reencryption else ()


def is_header_alone(facts: Facts) -> bool:
    """Whether the target is a header without its data: a detached one, or a copy of the beginning of a device."""
    header = facts.mended.header
    return header is not None and (header.is_detached or facts.size_bytes <= header.data_offset)


def _of_luks2(facts: Facts, device: str) -> Iterator[ResumeStep]:
    at = ("--header", facts.header) if facts.header else ()
    if not at and is_header_alone(facts):
        text = "This is the header alone: name the device with its data, for the reencryption goes on there."
        yield ResumeStep(("luksafe", "diagnose", "DEVICE", "--header", device), text)
        return
    command = ("luksafe", "backup", device, *at, "--full")
    yield ResumeStep(command, "Saves the whole header with its reencryption state.")
    header = facts.mended.header
    if header is not None and any("in-reencryption" in segment.flags for segment in header.segments.values()):
        text = "cryptsetup brings the piece of the data in order on which it was at work when it was interrupted."
        yield ResumeStep(("cryptsetup", "repair", *at, device), text, writes=True)
    text = "cryptsetup goes on from where it stopped. It takes its time; do not interrupt it again."
    # of a file it cannot tell whether somebody has it open
    offline = () if Path(device).is_block_device() else ("--force-offline-reencrypt",)
    yield ResumeStep(("cryptsetup", "reencrypt", "--resume-only", *offline, *at, device), text, writes=True)


def _of_luks1(facts: Facts, device: str) -> Iterator[ResumeStep]:
    """By a copy of the header in a file: of a block device cryptsetup (2.5 and later) does not see its own mark."""
    copy = facts.inspection.copies[0]
    binary = copy.binary if isinstance(copy.binary, Luks1Header) else Luks1Header.parse(copy.area)
    name = f"LUKS-{binary.uuid}"
    text = (
        "The log and the two headers of the reencryption must be in this folder: cryptsetup wrote them where it was"
        " started. Without them do not go on. Copy them, and the whole disk, to another disk first."
    )
    yield ResumeStep(("ls", "-l", f"{name}.log", f"{name}.org", f"{name}.new"), text)
    sectors = min(binary.payload_offset, _MOST_SECTORS) or _USUAL_SECTORS
    dd = ("dd", f"if={device}", f"of={name}.header", "bs=512", f"count={sectors}")
    yield ResumeStep(dd, "Copies the header area into a file, in which cryptsetup knows its own mark again.")
    text = (
        "cryptsetup goes on from where its log says that it stopped (the log may lag behind, if it was started without"
        " --write-log). It ends by writing the new header into that file."
    )
    yield ResumeStep(("cryptsetup", "reencrypt", "--header", f"{name}.header", device), text, writes=True)
    text = "Writes the new header to the device: shows the plan, asks, saves what is there now, reads back."
    yield ResumeStep(("luksafe", "restore", f"{name}.header", device), text, writes=True)
