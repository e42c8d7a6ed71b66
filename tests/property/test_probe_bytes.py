"""Any bytes may be probed: nothing but the package's own results, and no false recognition of random ones."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from compat.probe.probe_images import MAKERS, MIB, Maker, make
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luksafe.probe.content import recognise_content
from luksafe.probe.footprint import footprint
from luksafe.probe.recognise import LEAST_BITS, PROBES, recognise
from luksafe.probe.recognised import Recognised
from luksafe.probe.sector_runs import repeated_sectors, runs
from luksafe.reader import BytesReader

SMALL_IMAGES = [m for m in MAKERS if m.size <= 16 * MIB]
LARGER_IMAGES = [m for m in MAKERS if m.id in ("ext4-no-csum", "ext4-2k-64bit", "xfs-v5", "btrfs-xxhash-mixed", "f2fs")]
FIELD_VALUES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x80000000, 0xFFFFFFFF, 1 << 63, (1 << 64) - 1)


def probe_all(data: bytes) -> list[Recognised]:
    """Everything this package does with bytes; the results keep their promises."""
    reader = BytesReader(data)
    found = recognise(reader)
    for match in found:
        assert match.bits >= LEAST_BITS
        assert 0 <= match.offset <= match.offset + match.length <= len(data)
        assert match.start >= 0
        assert match.evidence
        for part in footprint(reader, match).ranges:
            assert part.offset >= 0
            assert part.length > 0
    content = recognise_content(reader)
    assert content.name
    assert content.why
    assert sum(run.length for run in runs(reader)) == len(data)
    return found


@given(st.binary(max_size=5000))
@settings(max_examples=200, deadline=None)
def test_any_bytes(data: bytes) -> None:
    probe_all(data)
    repeated_sectors(data)


@given(
    st.lists(st.tuples(st.integers(0, 150_000), st.binary(min_size=1, max_size=600)), max_size=20),
    st.integers(0, 160_000),
)
@settings(max_examples=100, deadline=None)
def test_sparse_bytes(pieces: list[tuple[int, bytes]], size: int) -> None:
    data = bytearray(size)
    for at, piece in pieces:
        data[at : at + len(piece)] = piece
    probe_all(bytes(data[:size]))


@pytest.mark.parametrize("size", [512, 65536, 300_000])
def test_random_bytes_are_never_recognised(size: int) -> None:
    for _ in range(50):
        assert recognise(BytesReader(os.urandom(size))) == []


def test_there_are_few_enough_probes_for_the_promise() -> None:
    """No hit in 10**9 volumes of random bytes: a chance of a thousandth at most that there is one."""
    assert len(PROBES) * 2.0**-LEAST_BITS * 1e9 < 1e-3


@cache
def image(maker_id: str) -> bytearray:
    maker = next(m for m in MAKERS if m.id == maker_id)
    with TemporaryDirectory() as folder:
        return bytearray(make(maker, Path(folder) / "image").read_bytes())


@contextmanager
def mutated(data: bytearray, structures: list[Recognised], choice: random.Random) -> Iterator[None]:
    """A few fields of the recognised structures, or of what lies elsewhere, set to telling or random values."""
    before: list[tuple[int, bytes]] = []
    for _ in range(choice.randint(1, 6)):
        target = choice.choice(structures)
        at = target.offset + choice.randrange(min(target.length, 1024))
        if choice.random() < 0.2:
            at = choice.randrange(len(data) - 8)
        width = choice.choice((1, 2, 4, 8))
        value = choice.choice(FIELD_VALUES) if choice.random() < 0.6 else choice.getrandbits(64)
        field = (value & ((1 << 8 * width) - 1)).to_bytes(width, choice.choice(("little", "big")))
        before.append((at, bytes(data[at : at + width])))
        data[at : at + width] = field[: len(data) - at]
    yield
    for at, old in reversed(before):
        data[at : at + len(old)] = old


@pytest.mark.parametrize("maker", [*SMALL_IMAGES, *LARGER_IMAGES], ids=lambda m: m.id)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1 << 64))
def test_mutated_superblocks(maker: Maker, seed: int) -> None:
    data = image(maker.id)
    reader = BytesReader(data)
    with mutated(data, recognise(reader), random.Random(seed)):
        for match in recognise(reader):
            footprint(reader, match)
        recognise_content(reader)


@pytest.mark.parametrize("cut", [0, 511, 512, 1024, 4096, 5000, 65536, 70_000])
def test_cut_images(cut: int) -> None:
    for maker in SMALL_IMAGES:
        if maker.name != "jbd":
            probe_all(bytes(image(maker.id)[:cut]))
