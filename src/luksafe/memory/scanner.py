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
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from luksafe.memory.image import MemoryImage
from luksafe.memory.schedule import KEY_BITS, SBOX, SCHEDULE_BYTES, is_schedule

CHUNK_BYTES = 256 << 10
"""How much is read at once: it stays in the second-level cache."""

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
        self._quads = np.frombuffer(self._buffer, "<u8")
        self._words: Words = np.frombuffer(self._buffer, "<u4")
        self._octets = np.frombuffer(self._buffer, np.uint8).reshape(-1, 4)
        self._sbox = np.frombuffer(SBOX, np.uint8)
        self._rows = len(self._words) // _ROW_WORDS
        self._lines = np.frombuffer(self._buffer, "V64")[::2]  # of every row the sample and the eight words before it
        self._sampled, self._previous = self._column(_SAMPLE), self._column(_SAMPLE - 1)
        self._earlier = [self._column(_SAMPLE - shape.key_words) for shape in self._shapes]
        self._sums: Words = np.empty((2, self._rows), np.uint32)
        # (Padded to whole integers, so that eight flags are joined at a time.)
        flags = np.zeros((2 * len(self._shapes), -(-self._rows // 8)), "<u8")
        self._flags_by_eight = flags
        self._holds: Flags = flags.view(np.bool_).reshape(len(self._shapes), 2, -1)[:, :, : self._rows]
        self._any_by_eight: NDArray[np.uint64] = np.empty(flags.shape[1], "<u8")

    def scan(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Offset and key bits of every schedule that begins in ``start`` … ``stop`` (multiples of 4)."""
        for base in range(start, stop, CHUNK_BYTES):
            self._image.read_into(base, self._buffer)
            if self._is_zero() or not self._sample():
                continue
            last_word = min(CHUNK_BYTES, stop - base) // 4
            room = self._image.size_bytes - base
            for word, bits in sorted(self._look_closer(last_word)):
                if word * 4 + SCHEDULE_BYTES[bits] <= room:
                    yield base + word * 4, bits

    def wipe(self) -> None:
        """Overwrite the buffer."""
        self._quads[:] = 0

    def _is_zero(self) -> bool:
        return self._buffer[:64].tobytes() == bytes(64) and not self._quads.any()

    def _column(self, word: int) -> Words:
        """Word number ``word`` and the next of every row, as two lines."""
        return as_strided(self._words[word:], (2, self._rows), (4, 4 * _ROW_WORDS))

    def _sample(self) -> bool:
        """Whether the rule holds at any sample for any key length."""
        np.bitwise_xor(self._sampled, self._previous, out=self._sums)
        for earlier, holds in zip(self._earlier, self._holds):
            np.equal(self._sums, earlier, out=holds)
        np.bitwise_or.reduce(self._flags_by_eight, axis=0, out=self._any_by_eight)
        return bool(self._any_by_eight.any())

    def _look_closer(self, last_word: int) -> set[tuple[int, int]]:
        """First word and key bits of the schedules that begin before ``last_word``."""
        rows = np.flatnonzero(self._any_by_eight.view(np.bool_))
        rows = rows[(self._sampled[0, rows] | self._sums[0, rows] | self._sums[1, rows]) != 0]
        if not rows.size:
            return set()
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
