from __future__ import annotations

import errno
import os
import signal
import time

import pytest
from unit.view.children import children
from unit.view.readers import noise

from luksafe.errors import LuksafeError
from luksafe.view.parallel import BLOCK_BYTES, PIECE_BYTES, ParallelReader, split

DATA = noise(5 * PIECE_BYTES) + bytes(2 * PIECE_BYTES) + noise(12345, 2)


class Source:
    """Fills buffers from memory; one piece fails, one takes long."""

    size_bytes = len(DATA)

    def __init__(self, bad: int = -1, slow: int = -1, fatal: int = -1) -> None:
        self.bad, self.slow, self.fatal = bad, slow, fatal

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        return DATA[offset_bytes : offset_bytes + length_bytes]

    def read_into(self, offset_bytes: int, target: memoryview) -> int:
        if offset_bytes == self.bad:
            raise OSError(errno.EIO, "bad")
        if offset_bytes == self.slow:
            time.sleep(0.1)
        if offset_bytes == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        target[:] = DATA[offset_bytes : offset_bytes + len(target)]
        return len(target)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_pieces_come_whole_and_in_order(workers: int) -> None:
    with ParallelReader(Source(slow=PIECE_BYTES), workers=workers) as parallel:
        for _ in range(2):  # the workers serve several rounds
            whole = b"".join(bytes(piece.data) for piece in parallel.pieces(split(0, len(DATA))))
            assert whole == DATA


def test_zero_blocks_are_told() -> None:
    with ParallelReader(Source(), workers=2) as parallel:
        pieces = [(p.offset_bytes, p.nonzero) for p in parallel.pieces(split(4 * PIECE_BYTES, len(DATA)))]
    full = (1 << (PIECE_BYTES // BLOCK_BYTES)) - 1
    assert pieces == [(4 * PIECE_BYTES, full), (5 * PIECE_BYTES, 0), (6 * PIECE_BYTES, 0), (7 * PIECE_BYTES, 1)]


def test_a_failed_piece_says_so_and_the_others_come() -> None:
    with ParallelReader(Source(bad=2 * PIECE_BYTES), workers=2) as parallel:
        errors = [piece.error for piece in parallel.pieces(split(0, len(DATA)))]
    assert errors == [0, 0, errno.EIO, 0, 0, 0, 0, 0]


def test_a_dead_worker_is_an_error_not_a_hang() -> None:
    with (
        pytest.raises(LuksafeError, match="worker"),
        ParallelReader(Source(fatal=PIECE_BYTES), workers=2) as parallel,
    ):
        list(parallel.pieces(split(0, len(DATA))))


def test_leaving_early_ends_the_workers() -> None:
    before = children()
    with pytest.raises(KeyboardInterrupt), ParallelReader(Source(), workers=2) as parallel:
        for _ in parallel.pieces(split(0, len(DATA))):
            raise KeyboardInterrupt
    assert children() <= before


def test_split_cuts_at_multiples() -> None:
    assert list(split(3, 20, 8)) == [(3, 5), (8, 8), (16, 4)]
    assert list(split(5, 5, 8)) == []
