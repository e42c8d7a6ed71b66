"""One flipped bit, two flipped bits, one overwritten byte: tried until the checksum holds."""

from __future__ import annotations

from luksafe.luks.luks2.binary_header import BINARY_BYTES
from luksafe.luks.repair.checksum_judge import ChecksumJudge
from luksafe.luks.repair.effort import Effort
from luksafe.luks.repair.flip_candidates import Flip, flip_candidates, has_more_than_flips

_TRIAL = 500
"""So many candidates are timed for an estimate."""


def find_one_flip(judge: ChecksumJudge, text_end: int, effort: Effort) -> bytes | None:
    """The area with one bit set right, or None. ``text_end``: where in the area the JSON text ends.

    The stored checksum may have flipped bits as well: it still tells.
    """
    candidates = flip_candidates(judge.area, text_end).every
    for done, (position, mask) in enumerate(candidates):
        if done % 64 == 0 and not effort.goes_on("one flipped bit", done, len(candidates)):
            return None
        if judge.nearly_accepts(position, bytes((judge.area[position] ^ mask,))):
            return _flipped(judge.area, [(position, mask)])
    return None


def find_one_byte(judge: ChecksumJudge, text_end: int, effort: Effort) -> bytes | None:
    """The area with one byte of the JSON text set right, or None."""
    for position in range(BINARY_BYTES, text_end):
        if position % 64 == 0 and not effort.goes_on("one overwritten byte", position - BINARY_BYTES, text_end):
            return None
        for value in range(0x20, 0x7F):
            if judge.accepts(position, bytes((value,))):
                return judge.area[:position] + bytes((value,)) + judge.area[position + 1 :]
    return None


def find_two_flips(judge: ChecksumJudge, text_end: int, effort: Effort) -> bytes | None:
    """The area with two bits set right, or None; likely pairs first, within the time that ``effort`` leaves."""
    if has_more_than_flips(judge.area, text_end):
        return None
    candidates = flip_candidates(judge.area, text_end)
    if candidates.must:
        firsts = [flip for flip in candidates.every if flip[0] in candidates.must]
        return _search_pairs(judge, [(first, candidates.every) for first in firsts], effort)
    likely = sorted(candidates.likely)
    found = _search_pairs(judge, [(flip, likely[n + 1 :]) for n, flip in enumerate(likely)], effort)
    if found or effort.ran_out:
        return found
    tried, every = set(likely), sorted(candidates.every)
    rest = [flip for flip in every if flip not in tried]
    return _search_pairs(judge, [(flip, every) for flip in rest], effort)


def _search_pairs(judge: ChecksumJudge, pairs: list[tuple[Flip, list[Flip]]], effort: Effort) -> bytes | None:
    total = sum(len(seconds) for _, seconds in pairs)
    label, done = "two flipped bits", 0
    for number, (first, seconds) in enumerate(pairs):
        if number == 0:
            most = estimate_seconds(judge, seconds[:_TRIAL], total, effort)
            effort.announce(label, most / 2, most)
        if not effort.goes_on(label, done, total):
            return None
        for second in judge.with_flip(*first).right_flips(seconds):
            return _flipped(judge.area, [first, second])
        done += len(seconds)
    return None


def estimate_seconds(judge: ChecksumJudge, sample: list[Flip], total: int, effort: Effort) -> float:
    """How long ``total`` candidates will take, from a timed sample."""
    if not sample:
        return 0.0
    started = effort.clock()
    for _ in judge.right_flips(sample):
        break
    return (effort.clock() - started) / len(sample) * total


def _flipped(area: bytes, flips: list[Flip]) -> bytes:
    out = bytearray(area)
    for position, mask in flips:
        out[position] ^= mask
    return bytes(out)
