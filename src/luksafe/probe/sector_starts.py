"""The half-sense of a wrong IV in a chained mode: the first cipher block of a sector is noise, what follows is not."""

from __future__ import annotations

SECTOR_BYTES = 512
_BLOCK_BYTES = 16
_PHASES = 8
"""Encryption sectors have up to 4096 bytes: which of them are wrong depends on the place within these."""
_LEAST_SECTORS = 8
_MOST_ZEROS = 1 / 16
"""Of random bytes one in 256 is zero; what a program writes at the start of a sector has many."""


def have_noisy_starts(data: bytes) -> bool:
    """Whether sectors of one repeated byte begin with 16 bytes of noise, all of those at some place of each 4096 bytes.

    Read with its own IVs, a volume has sectors that are such a run from their first byte on.
    """
    return any(_is_noisy(data, phase) for phase in range(_PHASES))


def have_whole_runs(data: bytes) -> bool:
    """Whether at each place of 4096 bytes some sector is a run of one byte from its first byte on.

    With a wrong IV no encryption sector, of whatever size, begins so.
    """
    sectors = (data[at : at + SECTOR_BYTES] for at in range(0, len(data) - SECTOR_BYTES + 1, SECTOR_BYTES))
    whole = {number % _PHASES for number, sector in enumerate(sectors) if sector.count(sector[0]) == SECTOR_BYTES}
    return len(whole) == _PHASES


def _is_noisy(data: bytes, phase: int) -> bool:
    starts = []
    for at in range(phase * SECTOR_BYTES, len(data) - SECTOR_BYTES + 1, _PHASES * SECTOR_BYTES):
        tail = data[at + _BLOCK_BYTES : at + SECTOR_BYTES]
        if tail.count(tail[0]) == len(tail):
            start = data[at : at + _BLOCK_BYTES]
            if start == tail[:_BLOCK_BYTES]:
                return False
            starts.append(start)
    zeros = sum(start.count(0) for start in starts)
    is_random = len(set(starts)) == len(starts) and zeros <= _MOST_ZEROS * _BLOCK_BYTES * len(starts)
    return len(starts) >= _LEAST_SECTORS and is_random
