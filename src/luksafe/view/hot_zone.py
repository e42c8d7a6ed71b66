"""The place where reencryption was interrupted: what of it is old and what new, where the header's notes tell.

The hot zone is the range being rewritten when it stopped; a segment with the flag ``in-reencryption``. The area of
the keyslot of type ``reencrypt`` then holds either all of the old ciphertext (``journal``), or checksums of its blocks
(``checksum``): a block on the disk that fits its checksum is still old, any other one is new. Other kinds are lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from luksafe.crypto.hashes import new_hash
from luksafe.errors import LuksafeError
from luksafe.luks.finding import Finding, Severity
from luksafe.luks.model import Area, Header, Segment
from luksafe.reader import Reader

FLAG = "in-reencryption"
MAX_ZONE_BYTES = 1 << 30  # cryptsetup's own limit


@dataclass(frozen=True, slots=True)
class Settled:
    """Segments and device to read instead, the hot zone settled. ``digests`` says which digest proves whose key."""

    ciphertext: Reader
    segments: list[Segment]
    digests: dict[int, int]
    findings: list[Finding]


def settle(ciphertext: Reader, header: Header, header_reader: Reader) -> Settled:
    """Settle the hot zone, where there is one and it can be; else everything stays as the header says."""
    segments = header.data_segments
    digests = {segment.id: digest.id for segment in segments if (digest := header.digest_of_segment(segment.id))}
    unchanged = Settled(ciphertext, segments, digests, [])
    hot = next((segment for segment in segments if FLAG in segment.flags), None)
    area = next((slot.area for slot in header.keyslots.values() if slot.type == "reencrypt"), None)
    ends = _old_and_new(header)
    if hot is None or area is None or ends is None or not hot.size or hot.size > MAX_ZONE_BYTES:
        return unchanged
    old, new = (_as_part_of(hot, end) for end in ends)
    place = replace(area, offset=header.offset + area.offset)
    reader: Reader = ciphertext
    try:
        if area.type == "journal":
            reader = _Patched(ciphertext, hot.offset, _read(header_reader, place, hot.size))
            parts, how = [old], "the journal has the old"
        elif area.type == "checksum":
            parts, how = list(_by_checksum(ciphertext, header_reader, place, old, new)), "by checksums"
        else:
            return unchanged
    except (OSError, LuksafeError, ValueError):
        return unchanged
    numbered = [replace(part, id=max(header.segments) + 1 + number) for number, part in enumerate(parts)]
    for part, original in zip(numbered, parts):
        if digest := header.digest_of_segment(original.id):
            digests[part.id] = digest.id
    at = segments.index(hot)
    text = f"reencryption was interrupted in {hot.size} bytes at {hot.offset}; old and new are told apart: {how}"
    note = Finding("hot-zone-settled", Severity.INFO, f"segments.{hot.id}", text, hot.offset, hot.size)
    return Settled(reader, [*segments[:at], *numbered, *segments[at + 1 :]], digests, [note])


def _old_and_new(header: Header) -> tuple[Segment, Segment] | None:
    """What the data were and will be, if the data do not move meanwhile."""
    ends = [
        next((segment for segment in header.segments.values() if flag in segment.flags), None)
        for flag in ("backup-previous", "backup-final")
    ]
    if ends[0] is None or ends[1] is None or ends[0].offset != ends[1].offset:
        return None
    return ends[0], ends[1]


def _as_part_of(hot: Segment, end: Segment) -> Segment:
    """The hot zone as it would be if all of it were of the one end."""
    return replace(
        end, offset=hot.offset, size=hot.size, iv_tweak=end.iv_tweak + (hot.offset - end.offset) // 512, flags=()
    )


def _by_checksum(
    ciphertext: Reader, header_reader: Reader, area: Area, old: Segment, new: Segment
) -> Iterator[Segment]:
    """The hot zone cut into runs of old and new blocks."""
    block = int(area.raw["sector_size"]) if "sector_size" in area.raw else 512
    new_digest = new_hash(str(area.raw.get("hash", "")))
    length = new_digest(b"").digest_size
    if block not in (512, 1024, 2048, 4096):
        raise ValueError("no such block size")
    count = -(-(old.size or 0) // block)
    saved = _read(header_reader, area, count * length)

    def is_old(number: int) -> bool:
        data = ciphertext.read_at(old.offset + number * block, block)
        return new_digest(data).digest() == saved[number * length : (number + 1) * length]

    for still_old, group in groupby(range(count), key=is_old):
        numbers = list(group)
        start = numbers[0] * block
        end = old if still_old else new
        size = min(len(numbers) * block, (old.size or 0) - start)
        yield replace(end, offset=end.offset + start, size=size, iv_tweak=end.iv_tweak + start // 512)


def _read(reader: Reader, area: Area, length: int) -> bytes:
    data = reader.read_at(area.offset, length)
    if length > area.size or len(data) != length:
        raise ValueError("the area is too small")
    return data


class _Patched:
    """A device of which one range is taken from memory."""

    def __init__(self, inner: Reader, offset_bytes: int, data: bytes) -> None:
        self._inner = inner
        self._start, self._end = offset_bytes, offset_bytes + len(data)
        self._data = data

    @property
    def size_bytes(self) -> int:
        return self._inner.size_bytes

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        end = offset_bytes + length_bytes
        if end <= self._start or offset_bytes >= self._end:
            return self._inner.read_at(offset_bytes, length_bytes)
        before = self._inner.read_at(offset_bytes, self._start - offset_bytes) if offset_bytes < self._start else b""
        after = self._inner.read_at(self._end, end - self._end) if end > self._end else b""
        inside = self._data[max(0, offset_bytes - self._start) : min(end, self._end) - self._start]
        return before + inside + after
