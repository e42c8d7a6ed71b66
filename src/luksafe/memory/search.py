"""AES key schedules in a memory image, reported by their key."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from luksafe.memory.image import MemoryImage
from luksafe.memory.schedule import KEY_BITS, SCHEDULE_BYTES, is_schedule
from luksafe.secret import SecretBytes


@dataclass(frozen=True, slots=True)
class ScheduleHit:
    """A whole AES key schedule: where it stands in the run of RAM, its physical address, and the key."""

    offset_bytes: int
    address: int
    key: SecretBytes

    @property
    def key_bits(self) -> int:
        """128, 192 or 256."""
        return len(self.key) * 8


def find_schedules(
    image: MemoryImage,
    *,
    key_bits: Sequence[int] = KEY_BITS,
    progress: Callable[[int, int], None] | None = None,
    processes: int | None = None,
) -> Iterator[ScheduleHit]:
    """Every AES key schedule that stands at a multiple of 4, as it is found (with several processes in any order).

    ``progress`` is called with the bytes done and the bytes in all. ``processes`` is by default one per core, if it
    takes long. Keys do not travel between processes: workers report places, and this process reads the key there.
    """
    from luksafe.memory.pieces import SharedSearch

    others = len(os.sched_getaffinity(0)) - 1
    with contextlib.closing(SharedSearch(image, key_bits, progress)) as search:
        search.start(0 if processes is None else processes - 1)
        for offset, bits in search.run(others if processes is None else 0):
            hit = _read_hit(image, offset, bits)
            if hit:
                yield hit


def _read_hit(image: MemoryImage, offset: int, bits: int) -> ScheduleHit | None:
    """The hit at this place; None when the memory of a running machine has changed since."""
    schedule = bytearray(SCHEDULE_BYTES[bits])
    image.read_into(offset, memoryview(schedule))
    if not is_schedule(schedule, bits):
        return None
    key = SecretBytes(memoryview(schedule)[: bits // 8])
    schedule[:] = bytes(len(schedule))
    return ScheduleHit(offset, image.address_of(offset), key)
