"""Where each byte of the decrypted volume comes from: the segments of a header laid over the device that is there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from luksafe.errors import DamagedInput, Unsupported
from luksafe.luks.finding import Finding, Severity
from luksafe.luks.model import Segment

MAX_VOLUME_BYTES = 1 << 63


@dataclass(frozen=True, slots=True)
class Extent:
    """A range of the volume, from ``start_bytes`` on, and where its ciphertext stands on the device.

    ``lost`` says why it cannot be read; empty for one that can. ``segment_start_bytes`` is where its segment begins
    on the device: the IV counts from there.
    """

    start_bytes: int
    size_bytes: int
    device_offset_bytes: int
    segment: Segment
    lost: str = ""

    @property
    def end_bytes(self) -> int:
        """The first byte of the volume after it."""
        return self.start_bytes + self.size_bytes

    @property
    def first_sector_512(self) -> int:
        """The IV number of its first sector."""
        return self.segment.iv_tweak + (self.device_offset_bytes - self.segment.offset) // 512


@dataclass(frozen=True, slots=True)
class Layout:
    """The extents in order, without gaps, and what is worth knowing about them."""

    extents: tuple[Extent, ...]
    findings: tuple[Finding, ...]

    @property
    def size_bytes(self) -> int:
        """The size of the decrypted volume."""
        return self.extents[-1].end_bytes if self.extents else 0


def lay_out(segments: Iterable[Segment], device_size_bytes: int) -> Layout:
    """Lay the data segments over a device of ``device_size_bytes`` (LUKS2 specification, section 3.3).

    Raises ``Unsupported`` for segments that nothing here reads, ``DamagedInput`` for impossible sizes.
    """
    ordered = list(segments)
    extents: list[Extent] = []
    findings: list[Finding] = []
    start = 0
    for segment in ordered:
        _check(segment)
        there = max(0, device_size_bytes - segment.offset) // segment.sector_size * segment.sector_size
        size = there if segment.size is None else segment.size
        if start + size > MAX_VOLUME_BYTES:
            raise DamagedInput(f"segment {segment.id} has an impossible size", hint="compare the header with a backup")
        extents += _extents_of(segment, start, size, min(size, there))
        findings += _findings_of(segment, size, there, device_size_bytes)
        start += size
    while extents and extents[-1].lost == BEYOND_THE_END:
        extents.pop()
    return Layout(tuple(extents), tuple(findings))


BEYOND_THE_END = "the device ends before it"
HOT_ZONE = "reencryption was interrupted right here: old and new ciphertext may be mixed"


def _extents_of(segment: Segment, start: int, size: int, there: int) -> list[Extent]:
    lost = HOT_ZONE if "in-reencryption" in segment.flags else ""
    pieces = [
        Extent(start, there, segment.offset, segment, lost),
        Extent(start + there, size - there, segment.offset + there, segment, BEYOND_THE_END),
    ]
    return [piece for piece in pieces if piece.size_bytes]


def _findings_of(segment: Segment, size: int, there: int, device_size: int) -> list[Finding]:
    where = f"segments.{segment.id}"
    found = []
    if size > there:
        text = f"the device ends {size - there} bytes before segment {segment.id} does: they are missing"
        found.append(Finding("device-too-small", Severity.WARNING, where, text, device_size, size - there))
    if segment.offset >= device_size:
        text = f"segment {segment.id} begins at byte {segment.offset}, beyond the end of the device"
        found.append(Finding("segment-beyond-device", Severity.WARNING, where, text, segment.offset))
    if "in-reencryption" in segment.flags:
        text = f"{size} bytes at {segment.offset} were being reencrypted when it stopped: {HOT_ZONE}"
        found.append(Finding("hot-zone", Severity.WARNING, where, text, segment.offset, size))
    return found


def _check(segment: Segment) -> None:
    if segment.type.startswith("hw-opal"):
        raise Unsupported(
            f"segment {segment.id} is encrypted by the drive itself ({segment.type}): only the drive decrypts it, once"
            " it is unlocked",
            hint="open it on the machine that has the drive: cryptsetup open --readonly (2.7 or later, kernel 6.4)",
        )
    if segment.type not in ("crypt", "linear"):
        raise Unsupported(
            f"segment {segment.id} is of type {segment.type!r}, which nothing here reads",
            hint="open it with a cryptsetup that knows it: cryptsetup open --readonly",
        )
    if segment.integrity:
        raise Unsupported(
            f"segment {segment.id} is authenticated ({segment.integrity.get('type', 'unknown')}): its tags lie between"
            " the sectors, behind a journal of dm-integrity, or in the drive's own sector metadata (inline-hw-tags)",
            hint="open it with a kernel that has dm-integrity: cryptsetup open --readonly",
        )
    sizes_fit = segment.sector_size in (512, 1024, 2048, 4096) and not (segment.size or 0) % segment.sector_size
    if not sizes_fit or segment.offset < 0 or segment.offset % 512 or (segment.size or 0) < 0:
        raise DamagedInput(f"segment {segment.id} has impossible sizes", hint="compare the header with a backup")
