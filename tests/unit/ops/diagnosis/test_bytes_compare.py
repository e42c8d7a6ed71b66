"""Where bytes differ and what they look like."""

from __future__ import annotations

import random

import pytest

from luksafe.ops.diagnosis.bytes_compare import clip, differing_ranges, join, looks_of, not_random

NOISE = random.Random(4).randbytes(16384)


def test_ranges_that_differ() -> None:
    wanted = bytearray(NOISE)
    there = bytearray(NOISE)
    there[600] ^= 1
    there[2000:2100] = bytes(100)
    assert differing_ranges(bytes(there), bytes(wanted), 4096)[0] == (4696, 4697)
    ranges = differing_ranges(bytes(there), bytes(wanted))
    assert ranges[0] == (600, 601)
    assert 2000 <= ranges[1][0] <= 2001 and 2098 <= ranges[-1][1] <= 2100


def test_missing_bytes_differ() -> None:
    assert differing_ranges(NOISE[:1000], NOISE[:1500]) == [(1000, 1500)]
    assert differing_ranges(NOISE, NOISE) == []


def test_join_and_clip() -> None:
    assert join([(30, 40), (0, 10), (20, 25)], 10) == [(0, 40)]
    assert join([(0, 1), (100, 101)]) == [(0, 1), (100, 101)]
    assert clip([(0, 10), (20, 30)], 5, 25) == [(5, 10), (20, 25)]


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (bytes(512), "zeros"),
        (b"\xff" * 512, "ff"),
        (b"\x82" * 512, "pattern"),
        (NOISE[:512], "random"),
        (b"plain text over and over\n" * 30, "text"),
        (b"\1", "changed"),
        (b"", "missing"),
    ],
)
def test_looks(data: bytes, name: str) -> None:
    assert looks_of(data, (0, len(data))) == name


def test_one_sector_in_key_material_is_found() -> None:
    material = NOISE[:4096] + bytes(512) + NOISE[4608:]
    (damage,) = not_random(material, (0, len(material)))
    assert (damage.offset, damage.length, damage.looks) == (4096, 512, "zeros")
    assert not_random(NOISE, (0, len(NOISE))) == []


def test_an_unreadable_sector_is_damage() -> None:
    material = NOISE[:512] + bytes(512) + NOISE[1024:]
    (damage,) = not_random(material, (0, len(material)), (512,))
    assert (damage.offset, damage.looks) == (512, "unreadable")


def test_unevenness_that_only_4096_bytes_show() -> None:
    draw = random.Random(9)
    slightly = bytes(draw.choice(range(224)) for _ in range(4096))
    damage = not_random(NOISE[:4096] + slightly + NOISE[8192:], (0, len(NOISE)))
    assert [(d.offset, d.length) for d in damage] == [(4096, 4096)]
