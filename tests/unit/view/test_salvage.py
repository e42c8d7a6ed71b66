from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from unit.view.readers import FaultyReader, noise

from luksafe.view.salvage import read_parts

SECTOR = 512
DATA = noise(64 * SECTOR)


@given(st.sets(st.integers(0, 63)), st.integers(0, 63), st.integers(1, 64))
def test_exactly_the_bad_sectors_are_missing(bad: set[int], first: int, count: int) -> None:
    end = min(64, first + count)
    reader = FaultyReader(DATA, [(sector * SECTOR, sector * SECTOR + 1) for sector in bad])
    parts = list(read_parts(reader, first * SECTOR, (end - first) * SECTOR, SECTOR))
    assert parts[0].offset_bytes == first * SECTOR
    at = first * SECTOR
    for part in parts:
        assert part.offset_bytes == at
        at += part.size_bytes
        if part.data is None:
            assert part.size_bytes == SECTOR
            assert part.offset_bytes // SECTOR in bad
        else:
            assert part.data == DATA[part.offset_bytes : at]
            assert not bad & set(range(part.offset_bytes // SECTOR, at // SECTOR))
    assert at == end * SECTOR


def test_one_bad_sector_of_a_megabyte_costs_few_reads() -> None:
    reader = FaultyReader(noise(1 << 20), [(300 * 512, 301 * 512)])
    list(read_parts(reader, 0, 1 << 20, 512))
    assert len(reader.reads) == 1 + 16 + 16 + 8
