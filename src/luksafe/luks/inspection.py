"""One look at where a volume begins: which header copies are there, which is in force, what is wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from luksafe.errors import DamagedInput
from luksafe.luks.finding import Finding, Severity
from luksafe.luks.luks1 import binary_header as luks1
from luksafe.luks.luks1.metadata import build_header as build_luks1
from luksafe.luks.luks1.validate import validate as validate_luks1
from luksafe.luks.luks2.copies import HeaderCopy, compare_copies, read_copies
from luksafe.luks.model import Header
from luksafe.reader import Reader, SliceReader
from luksafe.wall import ParserStopped, walled

Format = Literal["luks1", "luks2", "none"]


@dataclass(frozen=True, slots=True)
class Inspection:
    """What ``inspect`` saw. ``header`` is the one in force, None when no copy can be used.

    ``findings`` are about the whole; each copy has its own as well. ``offset`` is where the volume begins, in bytes.
    """

    format: Format
    header: Header | None
    copies: tuple[HeaderCopy, ...]
    findings: tuple[Finding, ...]
    offset: int = 0

    @property
    def is_refused(self) -> bool:
        """Whether cryptsetup would refuse the volume as it is."""
        return self.header is None or any(f.severity is Severity.ERROR for f in self.findings)

    @property
    def is_luks1_reencrypting(self) -> bool:
        """Whether cryptsetup was reencrypting this LUKS1 volume, and has not ended: then the magic is no damage."""
        return any(f.code == "luks1-reencryption" for f in self.findings)

    @property
    def all_findings(self) -> tuple[Finding, ...]:
        """The findings about the whole and about every copy."""
        return self.findings + tuple(f for copy in self.copies for f in copy.findings)

    def require_header(self) -> Header:
        """The header in force. Raises DamagedInput, with the findings, when there is none."""
        if self.header is not None:
            return self.header
        if self.format == "none":
            raise DamagedInput(
                "no LUKS header here",
                code="not-luks",
                hint="look for one with 'luksafe scan', or see what is there with 'luksafe diagnose'",
                findings=self.all_findings,
            )
        faults = "; ".join(f.text for f in self.findings if f.severity is Severity.ERROR)
        raise DamagedInput(
            f"no usable LUKS header: {faults}",
            code="header-damaged",
            hint="see what is left with 'luksafe diagnose'; do not run cryptsetup on it, it may write",
            findings=self.all_findings,
        )


def _stopped(why: ParserStopped, reader: Reader, offset: int = 0) -> Inspection:
    """A header that stops the parser is a damaged one, of the format that its first bytes say."""
    start = _read(SliceReader(reader, offset) if offset else reader, 0, 8)
    kind: Format = "luks1" if start == luks1.MAGIC + b"\0\1" else "luks2"
    copy = HeaderCopy("primary", 0, "damaged", str(why), None, None, start, ())
    finding = Finding(why.code, Severity.ERROR, "primary", str(why), 0, None)
    return Inspection(kind, None, (copy,), (finding,), offset)


@walled("a LUKS header", _stopped)
def inspect(reader: Reader, offset: int = 0) -> Inspection:
    """Look at the volume that begins at ``offset`` bytes. Reads only; never raises on any content."""
    part = SliceReader(reader, offset) if offset else reader
    start = _read(part, 0, luks1.HEADER_BYTES)
    version = int.from_bytes(start[6:8], "big") if start[:6] == luks1.MAGIC else None
    if version == 1 and len(start) == luks1.HEADER_BYTES:
        return _inspect_luks1(part, start, offset)
    if version not in (None, 1, 2):
        text = f"unsupported LUKS version {version}"
        unsupported = Finding("unsupported-version", Severity.ERROR, "version", text, 6, 2)
        found = _inspect_luks2(part, offset)
        return replace(found, header=None, format="luks2", findings=(unsupported, *found.findings))
    if version is None and _is_luks1_without_magic(start):
        return _inspect_luks1(part, start, offset)
    return _inspect_luks2(part, offset)


def _is_luks1_without_magic(start: bytes) -> bool:
    """Whether only the magic of a LUKS1 header is damaged: version, cipher and payload offset still make sense."""
    if len(start) < luks1.HEADER_BYTES or start[6:8] != b"\0\1":
        return False
    binary = luks1.BinaryHeader.parse(start)
    names = (binary.cipher_name, binary.cipher_mode, binary.hash_spec)
    return all(name.isascii() and name.isprintable() and name for name in names) and binary.key_bytes <= 512


def _read(reader: Reader, offset: int, length: int) -> bytes:
    """Bytes, or none where the medium fails: an unreadable place is damage like any other."""
    try:
        return reader.read_at(offset, length)
    except OSError:
        return b""


def _inspect_luks1(reader: Reader, raw: bytes, offset: int) -> Inspection:
    binary = luks1.BinaryHeader.parse(raw)
    findings = tuple(validate_luks1(binary, reader.size_bytes))
    if binary.magic == luks1.REENCRYPTION_MAGIC:
        text = "a reencryption of this LUKS1 volume has not ended: until it does, the magic is another one on purpose"
        findings = (Finding("luks1-reencryption", Severity.ERROR, "magic", text, 0, 6), *findings)
    elif binary.magic != luks1.MAGIC:
        text = "the magic is damaged, but the rest looks like a LUKS1 header"
        findings = (Finding("header-magic", Severity.ERROR, "magic", text, 0, 6), *findings)
    refused = [f for f in findings if f.severity is Severity.ERROR]
    # a key size of nonsense makes every area nonsense; other faults leave some keyslots usable
    unusable = {"luks1-key-size", "header-magic", "luks1-reencryption"}
    header = None if any(f.code in unusable for f in refused) else build_luks1(binary, offset)
    copy = HeaderCopy(
        copy="primary",
        offset=0,
        state="ok" if not refused else "invalid",
        why="; ".join(f.text for f in refused),
        binary=binary,
        header=header,
        area=raw,
        findings=(),
    )
    return Inspection("luks1", header, (copy,), findings, offset)


def _inspect_luks2(reader: Reader, offset: int) -> Inspection:
    copies = tuple(replace(c, header=replace(c.header, offset=offset)) if c.header else c for c in read_copies(reader))
    if all(copy.state == "missing" for copy in copies):
        text = "no LUKS header: no magic at the start, and no second copy at any legal offset"
        return Inspection("none", None, copies, (Finding("not-luks", Severity.ERROR, "magic", text, 0, 6),), offset)
    findings = list(compare_copies(copies))
    usable = [c for c in copies if c.state == "ok"]
    header = max(usable, key=lambda c: c.seqid or 0).header if usable else None  # max keeps the first of equals
    if header is not None:
        needed = header.areas_end
        if reader.size_bytes < needed:
            text = f"the device is too small: header and keyslots need {needed} bytes, there are {reader.size_bytes}"
            missing = needed - reader.size_bytes
            findings.append(
                Finding("device-too-small", Severity.ERROR, "config.keyslots_size", text, reader.size_bytes, missing)
            )
    return Inspection("luks2", header, copies, tuple(findings), offset)
