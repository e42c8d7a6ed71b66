from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from luksafe.probe.sector_runs import PIECE_BYTES, Run, merge, repeated_sectors, runs, runs_of
from luksafe.probe.statistics import SectorClass
from luksafe.reader import BytesReader

if TYPE_CHECKING:
    from conftest import Corpus

KIB = 1024


class BrokenReader:
    """Refuses some byte ranges, as a failing disk does."""

    def __init__(self, data: bytes, bad: range) -> None:
        self._data, self._bad = data, bad
        self.size_bytes = len(data)

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        if offset_bytes < self._bad.stop and offset_bytes + length_bytes > self._bad.start:
            raise OSError(5, "Input/output error")
        return self._data[offset_bytes : offset_bytes + length_bytes]


def shown(found: Iterable[Run]) -> list[tuple[int, int, str]]:
    return [(run.offset, run.length, run.kind.label) for run in found]


def test_runs_cover_everything_once() -> None:
    data = os.urandom(8 * KIB) + bytes(4 * KIB) + b"\xff" * KIB + os.urandom(2 * KIB) + b"text " * 100
    found = list(runs(BytesReader(data)))
    assert shown(found)[:4] == [
        (0, 8192, "random"),
        (8192, 4096, "zeros"),
        (12288, 1024, "ff"),
        (13312, 2048, "random"),
    ]
    assert (found[-1].kind, found[-1].end) == (SectorClass.TEXT, len(data))
    assert all(a.end == b.offset for a, b in pairwise(found))


def test_part_of_a_reader() -> None:
    data = bytes(4 * KIB) + os.urandom(4 * KIB) + bytes(4 * KIB)
    assert shown(runs(BytesReader(data), 3 * KIB, 6 * KIB)) == [
        (3072, 1024, "zeros"),
        (4096, 4096, "random"),
        (8192, 1024, "zeros"),
    ]
    assert shown(runs(BytesReader(data), 11 * KIB, 1 << 60)) == [(11264, 1024, "zeros")]
    assert shown(runs(BytesReader(data), 1 << 40)) == []


def test_pieces_are_joined() -> None:
    data = bytes(PIECE_BYTES + 8 * KIB)
    assert shown(runs(BytesReader(data))) == [(0, len(data), "zeros")]


def test_one_zeroed_sector_in_a_keyslot_area() -> None:
    area = bytearray(os.urandom(256 * KIB))
    area[100 * 512 : 101 * 512] = bytes(512)
    found = [run for run in runs(BytesReader(area)) if run.kind is not SectorClass.RANDOM]
    assert shown(found) == [(51200, 512, "zeros")]


def test_unreadable_sectors_are_told() -> None:
    data = os.urandom(64 * KIB)
    found = list(runs(BrokenReader(data, range(10 * KIB, 11 * KIB + 1))))
    assert shown(found) == [
        (0, 10240, "random"),
        (10240, 1536, "unreadable"),
        (11776, 65536 - 11776, "random"),
    ]


def test_merge_joins_only_what_touches() -> None:
    zeros, random = SectorClass.ZEROS, SectorClass.RANDOM
    pieces = [Run(0, 512, zeros), Run(512, 512, zeros), Run(2048, 512, zeros), Run(2560, 512, random)]
    assert list(merge(pieces)) == [Run(0, 1024, zeros), Run(2048, 512, zeros), Run(2560, 512, random)]
    assert list(merge([])) == []


def test_runs_of_nothing() -> None:
    assert runs_of(b"") == []


@pytest.mark.parametrize("grain", [512, 4096])
def test_repeated_sectors(grain: int) -> None:
    data = bytearray(os.urandom(64 * grain))
    data[40 * grain : 41 * grain] = data[3 * grain : 4 * grain]
    data[50 * grain : 51 * grain] = data[3 * grain : 4 * grain]
    data[60 * grain : 62 * grain] = bytes(2 * grain)
    assert repeated_sectors(bytes(data), grain, 1000) == [
        (1000 + 3 * grain, 1000 + 40 * grain),
        (1000 + 3 * grain, 1000 + 50 * grain),
    ]


def test_random_and_constant_sectors_do_not_repeat() -> None:
    assert repeated_sectors(os.urandom(1 << 20) + bytes(4096) + b"\xff" * 4096 + b"ab" * 4096) == []


def test_healthy_headers_of_the_corpus_raise_no_alarm(corpus: Corpus) -> None:
    data = corpus.data("dmg-base-b")
    for start in (4096, 135168):
        assert shown(runs(BytesReader(data), start, 128000)) == [(start, 128000, "random")]
    damaged = corpus.data("dmg-b-keyslot1-zero-sector")
    assert shown(runs(BytesReader(damaged), 135168, 128000))[1] == (136192, 512, "zeros")
