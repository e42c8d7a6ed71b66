"""Does a sector look like cipher text? Chi-square, entropy and runs of equal bytes of many sectors at once.

Cipher text and key material are uniform random bytes. Of a sector of n such bytes, ``S``, the sum of the squares of the
256 byte counts, has a known distribution; chi-square is ``S * 256 / n - n``. The bounds below are where each tail of
the exact distribution falls under 1e-12 (tests/unit/probe/test_statistics.py computes it again; the normal or
chi-square approximation is wrong by orders of magnitude there). A run of eight equal bytes has a chance below n *
256**-7. All tests together call a random sector of 512 bytes not random with a chance of 2.0e-12, one of 4096 bytes of
2.1e-12: 200 headers of 32 MiB hold 1.3e7 sectors, so all of them give one false alarm in 40,000 such surveys.

Not seen: a change of few bytes without a run of eight, and what is random itself (compressed data, other cipher text).
"""

from __future__ import annotations

from enum import IntEnum
from math import log2
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]

# grain: lowest and highest sum of squares that random bytes reach
BOUNDS = {512: (1286, 1962), 4096: (67574, 72734)}
EQUAL_RUN = 8
LEAST_TEXT_FRACTION = 8  # one byte in eight of a text sector is not zero
PERIODS = (1, 2, 4, 8, 16, 32, 64)
BATCH_BYTES = 32768  # keeps counts and indexes in the cache


class SectorClass(IntEnum):
    """What a sector looks like."""

    RANDOM = 0
    ZEROS = 1
    FF = 2
    PATTERN = 3
    TEXT = 4
    STRUCTURED = 5
    UNREADABLE = 6

    @property
    def label(self) -> str:
        """The name in lower case."""
        return self.name.lower()


def classify_sectors(data: bytes | memoryview, grain: int = 512) -> NDArray[np.uint8]:
    """The :class:`SectorClass` of each sector of ``grain`` bytes (512 or 4096).

    A cut last sector is called random unless it is zeros, 0xff, a pattern or text: too few bytes for the test.
    """
    import numpy as np

    array = np.frombuffer(data, dtype=np.uint8)
    whole = len(array) // grain
    classes = np.zeros(whole + (len(array) % grain > 0), dtype=np.uint8)
    sectors = array[: whole * grain].reshape(whole, grain)
    low, high = BOUNDS[grain]
    sums = sums_of_squares(data, grain)
    suspects = np.flatnonzero((sums < low) | (sums > high) | has_equal_run(sectors))
    if len(suspects):
        classes[suspects] = _kinds(sectors[suspects], SectorClass.STRUCTURED)
    if len(array) % grain:
        classes[-1] = _kinds(array[whole * grain :].reshape(1, -1), SectorClass.RANDOM)[0]
    return classes


def _kinds(sectors: Bytes, otherwise: SectorClass) -> Bytes:
    """The class of sectors already known not to be random, or too short to tell."""
    import numpy as np

    kinds = np.full(len(sectors), otherwise, dtype=np.uint8)
    printable = _printable_table()[sectors]
    filled = np.count_nonzero(sectors, axis=1)
    text = (printable | (sectors == 0)).all(axis=1) & (filled * LEAST_TEXT_FRACTION >= sectors.shape[1])
    kinds[text] = SectorClass.TEXT
    for period in PERIODS:
        if 2 * period <= sectors.shape[1]:
            kinds[(sectors[:, period:] == sectors[:, :-period]).all(axis=1)] = SectorClass.PATTERN
    kinds[filled == 0] = SectorClass.ZEROS
    kinds[(sectors == 0xFF).all(axis=1)] = SectorClass.FF
    return kinds


def _printable_table() -> NDArray[np.bool_]:
    import numpy as np

    table = np.zeros(256, dtype=np.bool_)
    table[0x20:0x7F] = True
    table[[0x09, 0x0A, 0x0D]] = True
    return table


def has_equal_run(sectors: Bytes) -> NDArray[np.bool_]:
    """Which sectors (rows) hold :data:`EQUAL_RUN` equal bytes in a row."""
    import numpy as np

    rows = max(1, 4 * BATCH_BYTES // max(1, sectors.shape[1]))
    parts = [_equal_run(sectors[first : first + rows]) for first in range(0, len(sectors), rows)]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.bool_)


def _equal_run(sectors: Bytes) -> NDArray[np.bool_]:
    equal = sectors[:, 1:] == sectors[:, :-1]  # runs of two
    equal = equal[:, 1:] & equal[:, :-1]  # of three
    equal = equal[:, 2:] & equal[:, :-2]  # of five
    result: NDArray[np.bool_] = (equal[:, 3:] & equal[:, :-3]).any(axis=1)  # of eight
    return result


def sums_of_squares(data: bytes | memoryview, grain: int = 512) -> NDArray[np.int64]:
    """``S`` of each whole sector."""
    import numpy as np

    return _per_sector(data, grain, lambda counts: np.einsum("ij,ij->i", counts, counts), np.int64)


def chi_square(data: bytes | memoryview, grain: int = 512) -> NDArray[np.float64]:
    """Chi-square of each whole sector against uniform bytes: 255 is expected, 0 is all bytes equally often."""
    import numpy as np

    return (sums_of_squares(data, grain) * (256 / grain) - grain).astype(np.float64)


def entropy(data: bytes | memoryview, grain: int = 512) -> NDArray[np.float64]:
    """Shannon entropy of each whole sector in bits per byte: about 7.6 for 512 random bytes, 7.95 for 4096."""
    import numpy as np

    counts = np.arange(grain + 1, dtype=np.float64)
    terms = counts * np.log2(np.maximum(counts, 1))
    sums = _per_sector(data, grain, lambda table: terms[table].sum(axis=1), np.float64)
    return (log2(grain) - sums / grain).astype(np.float64)


def _per_sector(data: bytes | memoryview, grain: int, measure: Any, dtype: Any) -> NDArray[Any]:
    """``measure`` of the table of byte counts (sectors by 256) of each batch of sectors."""
    import numpy as np

    array = np.frombuffer(data, dtype=np.uint8)
    whole, batch = len(array) // grain, max(1, BATCH_BYTES // grain)
    out = np.empty(whole, dtype=dtype)
    shift = np.repeat(np.arange(batch, dtype=np.intp) * 256, grain)
    index = np.empty(batch * grain, dtype=np.intp)
    for first in range(0, whole, batch):
        sectors = min(batch, whole - first)
        used = index[: sectors * grain]
        np.add(shift[: sectors * grain], array[first * grain : (first + sectors) * grain], out=used)
        counts = np.bincount(used, minlength=sectors * 256).reshape(sectors, 256)
        out[first : first + sectors] = measure(counts)
    return out
