"""The search itself, with numpy: every place in a stretch of memory where an AES key schedule begins.

In a schedule of a key of n words each word is ``w[j] = w[j-1] ^ w[j-n]``, but for every n-th (with 256 bits every
fourth), where the S-box comes in and this does not hold. Two words in a cache line out of two are tested for it;
where one passes, eight words in a row must show this rhythm; what then still stands is expanded and compared.
So random memory costs a few vector operations, and zeros, where it holds always, are not taken for a schedule.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luksafe.memory.image import MemoryImage
from luksafe.memory.schedule import KEY_BITS, SBOX, SCHEDULE_BYTES, is_schedule

CHUNK_BYTES = 512 << 10
"""How much is read at once: half of a second-level cache, so that it stays there."""

_OVERLAP_BYTES = 256
_ROW_WORDS = 32
"""A sample every 128 bytes: the 36 places where the shortest schedule (44 words) holds a whole rhythm include one."""

_SAMPLE = 8
_RHYTHM = 8

Words = NDArray[np.uint32]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Shape:
    """A key length: its words, those of its schedule, after how many words the rhythm repeats, and how it looks."""

    key_bits: int
    key_words: int
    words: int
    period: int
    rhythms: NDArray[np.uint64]


def _shape(key_bits: int) -> _Shape:
    key_words = key_bits // 32
    period = 6 if key_bits == 192 else 4
    # One byte for each of eight words, 1 where the rule holds: as an integer, for each place of the first exception.
    rhythms = [bytes((word - first) % period != 0 for word in range(_RHYTHM)) for first in range(period)]
    return _Shape(key_bits, key_words, SCHEDULE_BYTES[key_bits] // 4, period, np.frombuffer(b"".join(rhythms), "<u8"))


class ScheduleScanner:
    """Scans an image piece by piece in one buffer, which holds pieces of memory until ``wipe``."""

    def __init__(self, image: MemoryImage, key_bits: Sequence[int] = KEY_BITS) -> None:
        self._image = image
        self._shapes = [_shape(bits) for bits in key_bits]
        # (A mapping begins at a page: copying to another place from the page cache can take six times as long.)
        self._buffer = memoryview(mmap.mmap(-1, CHUNK_BYTES + _OVERLAP_BYTES))
        self._words: Words = np.frombuffer(self._buffer, "<u4")
        self._octets = np.frombuffer(self._buffer, np.uint8).reshape(-1, 4)
        self._sbox = np.frombuffer(SBOX, np.uint8)
        self._lines = np.frombuffer(self._buffer, "V64")[::2]  # of every row the sample and the eight words before it
        rows = len(self._words) // _ROW_WORDS
        self._sampled, self._previous = self._column(_SAMPLE, rows), self._column(_SAMPLE - 1, rows)
        self._earlier = [self._column(_SAMPLE - shape.key_words, rows) for shape in self._shapes]
        # One integer for the two sampled words of a row: numpy is fast where these lie side by side.
        self._pairs, self._sums, self._seen = (np.empty(rows, "<u8") for _ in range(3))
        self._rests = np.empty((len(self._shapes), rows), "<u8")  # half of one is zero where the rule holds
        self._holds: Flags = np.empty((len(self._shapes), 2 * rows), np.bool_)

    def scan(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Offset and key bits of every schedule that begins in ``start`` … ``stop`` (multiples of 4)."""
        for base in range(start, stop, CHUNK_BYTES):
            self._image.read_into(base, self._buffer)
            rows = self._sample()
            if rows is None or not rows.size:
                continue
            last_word = min(CHUNK_BYTES, stop - base) // 4
            room = self._image.size_bytes - base
            for word, bits in sorted(self._look_closer(rows, last_word)):
                if word * 4 + SCHEDULE_BYTES[bits] <= room:
                    yield base + word * 4, bits

    def wipe(self) -> None:
        """Overwrite what was read."""
        for words in (self._words, self._pairs, self._sums, self._seen, self._rests):
            words[...] = 0

    def _column(self, word: int, rows: int) -> NDArray[np.uint64]:
        """Word number ``word`` and the next of every row."""
        return np.ndarray((rows,), "<u8", self._buffer, 4 * word, (4 * _ROW_WORDS,))

    def _sample(self) -> NDArray[np.intp] | None:
        """The rows where the rule holds at a sample for any key length, and that are not zeros; None: nowhere."""
        np.copyto(self._pairs, self._sampled)
        np.copyto(self._sums, self._previous)
        np.bitwise_xor(self._pairs, self._sums, out=self._sums)
        np.bitwise_or(self._pairs, self._sums, out=self._seen)
        if not self._seen.any():
            return None
        for earlier, rest in zip(self._earlier, self._rests):
            np.copyto(rest, earlier)
        np.bitwise_xor(self._rests, self._sums, out=self._rests)
        np.equal(self._rests.view("<u4"), 0, out=self._holds)
        if not self._holds.any():
            return None
        return np.flatnonzero((np.bitwise_or.reduce(self._holds.view("<u2"), axis=0) != 0) & (self._seen != 0))

    def _look_closer(self, rows: NDArray[np.intp], last_word: int) -> set[tuple[int, int]]:
        """First word and key bits of the schedules that begin before ``last_word``."""
        line = self._lines[rows].view("<u4").reshape(-1, 16)
        sums = line[:, _SAMPLE:] ^ line[:, _SAMPLE - 1 : -1]
        found: set[tuple[int, int]] = set()
        for shape in self._shapes:
            before = line[:, _SAMPLE - shape.key_words : -shape.key_words]
            seen = (sums == before).view("<u8")
            fitting, phases = np.nonzero(seen == shape.rhythms)
            if fitting.size:
                exceptions = rows[fitting] * _ROW_WORDS + _SAMPLE + phases
                found.update((word, shape.key_bits) for word in self._confirm(exceptions, shape, last_word))
        return found

    def _confirm(self, exceptions: NDArray[np.intp], shape: _Shape, last_word: int) -> Iterator[int]:
        """The true beginnings of schedules that have an exception to the rule at the given words."""
        # (An exception is word n, 2n, 3n … of its schedule; with 256 bits also the words half-way between.)
        starts = (exceptions[:, None] - np.arange(shape.key_words, shape.words, shape.period)).ravel()
        starts = starts[(starts >= 0) & (starts < last_word)]
        n = shape.key_words
        turned = self._octets[starts + n - 1][:, [1, 2, 3, 0]]
        first_round = self._sbox[turned].reshape(-1).view("<u4") ^ np.uint32(1)
        fits = (self._words[starts + n] ^ self._words[starts]) == first_round
        for word in starts[fits].tolist():
            if is_schedule(self._buffer[word * 4 :], shape.key_bits):
                yield word
