"""The statistics of sectors, and the derivation of their bounds from the exact distribution."""

from __future__ import annotations

import os
import random
from math import lgamma, log

import numpy as np
import pytest

from luksafe.probe.statistics import (
    BOUNDS,
    EQUAL_RUN,
    SectorClass,
    chi_square,
    classify_sectors,
    entropy,
    has_equal_run,
    sums_of_squares,
)

FALSE_ALARM = 1e-12


def tail_distribution(grain: int, tilt: float, most: int, deviations: float = 6.5) -> tuple[np.ndarray, np.ndarray]:
    """Values of S and their probabilities for ``grain`` uniform bytes, exact to rounding near the tilted mean.

    The counts of a multinomial are Poisson counts given their sum. Weighting a count c with exp(tilt*c*c + shift*c)
    moves the distribution to the tail of interest, where the transform's rounding is then small in proportion; the
    weight is taken off afterwards. Counts above ``most`` are left out: see :func:`test_left_out_counts_do_not_matter`.
    """
    mean = grain / 256
    counts = np.arange(most + 1)
    weights = counts * log(mean) - mean - np.array([lgamma(c + 1) for c in counts]) + tilt * counts**2
    low, high = -3.0, 3.0
    for _ in range(100):
        shift = (low + high) / 2
        moved = np.exp(weights + shift * counts - (weights + shift * counts).max())
        low, high = (low, shift) if (moved * counts).sum() > mean * moved.sum() else (shift, high)
    weights = weights + shift * counts
    total = np.exp(weights).sum()
    weights = np.exp(weights) / total

    pairs = counts * (counts - 1) // 2  # S is the number of bytes plus twice the sum of these
    centre = 256 * (weights * pairs).sum()
    spread = np.sqrt(256 * ((weights * pairs**2).sum() - (weights * pairs).sum() ** 2))
    spread_of_sum = np.sqrt(256 * ((weights * counts**2).sum() - mean**2))
    points = 1 << int(2 * deviations * spread).bit_length()
    circles = 1 << int(2 * deviations * spread_of_sum).bit_length()
    summed = np.zeros(points, dtype=complex)
    for j in range(circles // 2 + 1):
        sparse = np.zeros(points, dtype=complex)
        np.add.at(sparse, pairs % points, weights * np.exp(2j * np.pi * j * counts / circles))
        part = np.fft.ifft(sparse) * points
        for _ in range(8):  # to the power of 256
            part *= part
        part *= np.exp(-2j * np.pi * j * (grain % circles) / circles)
        summed += part if j in (0, circles // 2) else part + np.conj(np.roll(part[::-1], 1))
    tilted = np.fft.fft(summed).real / points / circles

    sums = int(centre) - points // 2 + np.arange(points)
    mass, values = tilted[sums % points], grain + 2 * sums
    chance_of_sum = grain * log(grain) - grain - lgamma(grain + 1)
    logs = np.log(np.maximum(mass, 1e-300)) + 256 * log(total) - tilt * values - shift * grain - chance_of_sum
    return values, np.where(mass > mass.max() * 1e-9, np.exp(logs), 0)


@pytest.mark.parametrize(("grain", "tilt", "most"), [(512, 0.016, 34), (4096, 0.003, 90)])
def test_bounds_are_where_the_tails_fall_under_the_false_alarm_rate(grain: int, tilt: float, most: int) -> None:
    low, high = BOUNDS[grain]
    values, chances = tail_distribution(grain, tilt, most)
    assert chances[values > high].sum() < FALSE_ALARM <= chances[values >= high].sum()
    values, chances = tail_distribution(grain, -tilt, most)
    assert chances[values < low].sum() < FALSE_ALARM <= chances[values <= low].sum()


@pytest.mark.parametrize(("grain", "most"), [(512, 34), (4096, 90)])
def test_left_out_counts_do_not_matter(grain: int, most: int) -> None:
    chance = 0.0
    for count in range(most + 1, most + 40):
        choose = lgamma(grain + 1) - lgamma(count + 1) - lgamma(grain - count + 1)
        chance += 256 * np.exp(choose + count * log(1 / 256) + (grain - count) * log(255 / 256))
    assert chance < FALSE_ALARM / 1000


def test_the_distribution_without_tilt_is_a_distribution() -> None:
    values, chances = tail_distribution(512, 0, 34)
    assert chances.sum() == pytest.approx(1, abs=1e-9)
    assert (values * chances).sum() == pytest.approx(512 + 512 * 511 / 256)


def test_run_bound() -> None:
    assert 4096 * 256.0 ** (1 - EQUAL_RUN) < 1e-13


@pytest.mark.parametrize("grain", [512, 4096])
def test_measures_agree_with_their_definitions(grain: int) -> None:
    data = os.urandom(5 * grain) + bytes(grain) + b"ab" * (grain // 2)
    for number in range(7):
        sector = data[number * grain : (number + 1) * grain]
        counts = [sector.count(byte) for byte in range(256)]
        squares = sum(c * c for c in counts)
        assert sums_of_squares(data, grain)[number] == squares
        assert chi_square(data, grain)[number] == pytest.approx(squares * 256 / grain - grain)
        expected = -sum(c / grain * log(c / grain, 2) for c in counts if c)
        assert entropy(data, grain)[number] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("grain", [512, 4096])
def test_random_data_raises_no_alarm(grain: int) -> None:
    assert not classify_sectors(os.urandom(8 << 20), grain).any()


def one_sector_in_random(sector: bytes, grain: int = 512) -> SectorClass:
    data = os.urandom(128 << 10) + sector + os.urandom(128 << 10)
    classes = classify_sectors(data, grain)
    (place,) = np.flatnonzero(classes)
    assert place == (128 << 10) // grain
    return SectorClass(classes[place])


@pytest.mark.parametrize("grain", [512, 4096])
@pytest.mark.parametrize(
    ("name", "sector", "kind"),
    [
        ("zeros", bytes(4096), SectorClass.ZEROS),
        ("ff", b"\xff" * 4096, SectorClass.FF),
        ("one byte", b"\xa5" * 4096, SectorClass.PATTERN),
        ("eight bytes", bytes(range(100, 108)) * 512, SectorClass.PATTERN),
        ("text", b"The quick brown fox jumps over the lazy dog.\n" * 92, SectorClass.TEXT),
        ("text, then zeros", (b'{"keyslots": {"0": {"type": "luks2"}}}' * 30).ljust(4096, b"\0"), SectorClass.TEXT),
        ("every byte equally often", bytes(range(256)) * 16, SectorClass.STRUCTURED),
        ("base64", bytes(random.Random(1).choices(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef0123", k=4096)), SectorClass.TEXT),
        ("seven bits", bytes(random.Random(1).choices(range(128), k=4096)), SectorClass.STRUCTURED),
        ("little-endian numbers", b"".join(n.to_bytes(4, "little") for n in range(1024)), SectorClass.STRUCTURED),
    ],
)
def test_one_foreign_sector_between_random_ones(name: str, sector: bytes, kind: SectorClass, grain: int) -> None:
    if name.startswith("text, then") and grain == 512:
        sector = sector[900:]
    assert one_sector_in_random(sector[:grain], grain) is kind


@pytest.mark.parametrize("length", [8, 12, 20])
def test_a_few_equal_bytes_inside_a_random_sector(length: int) -> None:
    for at in (0, 77, 512 - length):
        sector = bytearray(os.urandom(512))
        sector[at : at + length] = bytes(length)
        assert one_sector_in_random(bytes(sector)) is SectorClass.STRUCTURED


def test_equal_run_counts_exactly() -> None:
    base = bytes(range(255))
    rows = np.frombuffer(
        b"".join((base + b"\xaa" * run + base * 2)[:512] for run in (EQUAL_RUN - 1, EQUAL_RUN)), dtype=np.uint8
    ).reshape(2, 512)
    assert has_equal_run(rows).tolist() == [False, True]
    assert has_equal_run(rows[:0]).tolist() == []


def test_cut_last_sector() -> None:
    for tail, kind in ((bytes(100), "zeros"), (b"\xff" * 9, "ff"), (b"some text", "text"), (os.urandom(99), "random")):
        classes = classify_sectors(os.urandom(1024) + tail)
        assert [SectorClass(c).label for c in classes] == ["random", "random", kind]
    assert len(classify_sectors(b"")) == 0


def test_embedded_structures_of_real_formats_are_seen() -> None:
    # 592 bytes of a LUKS1 header's kind: names, numbers and salts between zeros.
    header = b"LUKS\xba\xbe\0\1" + b"aes".ljust(32, b"\0") + b"xts-plain64".ljust(32, b"\0") + os.urandom(400)
    assert one_sector_in_random(header.ljust(512, b"\0")[:512]) is SectorClass.STRUCTURED
