"""A header as it stood at one moment: both copies and every keyslot area, read into memory and found not to move.

cryptsetup locks the metadata of LUKS2 for each step of a change, and those of LUKS1 never. So the areas are read under
the lock together with the header, then the header is looked at once more; without a lock the areas are as well.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from luksafe.device.lock import LockState, metadata_lock
from luksafe.device.source import DeviceReader
from luksafe.device.uncached import read_uncached
from luksafe.errors import Busy
from luksafe.luks.compact import kept_ranges
from luksafe.luks.inspection import Inspection, inspect
from luksafe.reader import Reader, SnapshotReader

ATTEMPTS = 8
_FIRST_PAUSE_SECONDS = 0.02
LUKS1_NOTE = "LUKS1 has no lock; it was read twice, and both readings agree"

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Moment:
    """What was read. ``reader`` has it in memory, and reads the rest from the device as it is by then.

    ``lock_note`` says why cryptsetup's lock did not keep others from writing meanwhile; empty when it did.
    """

    reader: Reader
    inspection: Inspection
    lock_note: str


def read_moment(path: str, reader: DeviceReader, *, full: bool = False) -> Moment:
    """Read the header at ``path``, which ``reader`` has open. With ``full`` the whole header area is of one moment.

    The lock is not held any more afterwards. Raises ``Busy`` when somebody else keeps it, or keeps writing.
    """
    pause = _FIRST_PAUSE_SECONDS
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(pause)
            pause *= 2
        with metadata_lock(path) as lock:
            moment = _read_once(reader, lock, full=full)
        if moment is not None:
            return moment
    raise Busy(
        f"the header of {path} kept changing while it was read, {ATTEMPTS} times",
        code="header-changes",
        hint="wait until whoever writes to it is done, and try again",
    )


def _read_once(reader: DeviceReader, lock: LockState, *, full: bool) -> Moment | None:
    """The header and its areas; None when they changed while they were read."""
    seen = inspect(reader)
    if seen.format == "none":
        return Moment(reader, seen, lock.why)
    ranges = kept_ranges(seen, reader.size_bytes, full=full)
    contents = [_read(reader, each) for each in ranges]
    pieces = [(start, data) for (start, _), data in zip(ranges, contents, strict=True) if data]
    snapshot = SnapshotReader(reader, pieces)
    if None in contents or any(copy.state == "unreadable" for copy in seen.copies):
        # a failing disk never gives the same twice: what can be read counts
        return Moment(snapshot, seen, _lock_note(seen, lock))
    moment = Moment(snapshot, inspect(snapshot), _lock_note(seen, lock))
    if not moment.lock_note:
        is_still = inspect(reader) == moment.inspection
    elif reader.kind == "packed":
        is_still = True  # unpacked into memory of our own
    else:
        is_still = _is_still(reader, moment.inspection, ranges, contents)
    return moment if is_still and seen == moment.inspection else None


def _lock_note(inspection: Inspection, lock: LockState) -> str:
    return lock.why or (LUKS1_NOTE if inspection.format == "luks1" else "")


def _is_still(reader: DeviceReader, seen: Inspection, ranges: Sequence[Range], before: Sequence[bytes | None]) -> bool:
    """Whether a second reading, past the page cache, agrees. Bytes that cannot be read speak neither way."""
    medium = _Medium(reader)
    for each, data in zip(ranges, before, strict=True):
        again = _read(medium, each)
        if data is not None and again is not None and data != again:
            return False
    # last, since it is the header that a change writes last
    return inspect(reader) == seen


def _read(reader: Reader, part: Range) -> bytes | None:
    """The bytes there; None where the medium fails: whoever needs them reads block by block."""
    try:
        return reader.read_at(part[0], part[1] - part[0])
    except OSError:
        return None


class _Medium:
    """What the medium holds, past the page cache, which a writer with O_DIRECT brings up to date only afterwards."""

    def __init__(self, reader: DeviceReader) -> None:
        self._path = f"/proc/self/fd/{reader.fileno()}"
        self.size_bytes = reader.size_bytes

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        """The bytes there. Raises ``OSError``."""
        return read_uncached(self._path, offset_bytes, length_bytes).data
