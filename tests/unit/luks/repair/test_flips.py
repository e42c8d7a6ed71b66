"""Two flipped bits are found wherever they are, also where what they made reads well; and within their time."""

from __future__ import annotations

import pytest
from generators.headers import luks2_image

from luksafe.luks.luks2.binary_header import BINARY_BYTES, CHECKSUM_BYTES, CHECKSUM_OFFSET, calculate_checksum
from luksafe.luks.repair.checksum_judge import ChecksumJudge
from luksafe.luks.repair.effort import Effort
from luksafe.luks.repair.flips import find_one_byte, find_one_flip, find_two_flips

TEXT = b'{"keyslots":{}}'
END = BINARY_BYTES + len(TEXT)


def header_area() -> bytes:
    """A header with hardly any JSON, so that all pairs of bits can be tried."""
    area = bytearray(luks2_image()[:BINARY_BYTES] + TEXT.ljust(512, b"\0"))
    area[CHECKSUM_OFFSET : CHECKSUM_OFFSET + CHECKSUM_BYTES] = bytes(CHECKSUM_BYTES)
    checksum = calculate_checksum("sha256", area)
    area[CHECKSUM_OFFSET : CHECKSUM_OFFSET + len(checksum)] = checksum
    return bytes(area)


def flipped(*flips: tuple[int, int]) -> ChecksumJudge:
    area = bytearray(header_area())
    for position, mask in flips:
        area[BINARY_BYTES + position] ^= mask
    return ChecksumJudge(bytes(area), "sha256", END)


def text_of(found: bytes | None) -> bytes:
    assert found is not None
    return found[BINARY_BYTES:END]


@pytest.mark.parametrize(
    ("flips", "seen"),
    [
        (((2, 1), (5, 2)), b'{"jeyqlots":{}}'),
        (((0, 0x20), (12, 0x20)), b'["keyslots":[}}'),  # every word and every bracket of it might stand there
        (((1, 0x80), (14, 1)), b'{\xa2keyslots":{}|'),  # one of the two cannot be right
    ],
)
def test_two_flipped_bits(flips: tuple[tuple[int, int], ...], seen: bytes) -> None:
    judge = flipped(*flips)
    assert judge.area[BINARY_BYTES:END] == seen
    assert text_of(find_two_flips(judge, END, Effort())) == TEXT


def test_three_are_not_found_and_that_is_said() -> None:
    effort = Effort()
    assert find_two_flips(flipped((0, 0x20), (12, 0x20), (5, 2)), END, effort) is None
    assert not effort.ran_out


def test_more_bytes_that_cannot_be_right_than_two_flips_explain_are_not_searched() -> None:
    announced: list[str] = []
    effort = Effort(announce=lambda label, even, most: announced.append(label))
    assert find_two_flips(flipped((1, 0x80), (3, 0x80), (5, 0x80)), END, effort) is None
    assert announced == []


def test_a_search_ends_when_its_time_is_over() -> None:
    for search in (find_two_flips, find_one_byte, find_one_flip):
        effort = Effort(limit_seconds=0)
        assert search(flipped((2, 1), (5, 2)), END, effort) is None
        assert effort.ran_out


def test_time_that_runs_out_between_likely_and_unlikely_pairs() -> None:
    seconds = iter(range(10**6))
    effort = Effort(limit_seconds=30, clock=lambda: next(seconds))
    assert find_two_flips(flipped((0, 0x20), (12, 0x20)), END, effort) is None
    assert effort.ran_out
