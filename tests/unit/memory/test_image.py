"""The ranges of an image as one run of bytes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from unit.memory import planted

from luksafe.errors import DamagedInput
from luksafe.memory import image as image_module
from luksafe.memory.image import FileImage, RamRange, arrange_ranges


def test_ranges_are_sorted_joined_and_cut_to_the_file() -> None:
    given = [
        RamRange(0x2000, 0x3000, 0x1000),
        RamRange(0x1000, 0x2000, 0x1000),
        RamRange(0x8000, 0x4000, 0x9000),
        RamRange(0x9000000, 0x100000, 0x1000),  # beyond the file
        RamRange(0x7000, 0, 0),
    ]
    assert arrange_ranges(given, 0x5000) == (RamRange(0x1000, 0x2000, 0x2000), RamRange(0x8000, 0x4000, 0x1000))


def test_ranges_are_cut_to_whole_words_of_their_addresses() -> None:
    assert arrange_ranges([RamRange(0x1001, 7, 18)], 100) == (RamRange(0x1004, 10, 12),)
    assert arrange_ranges([RamRange(0x1001, 7, 3)], 100) == ()


def test_too_many_ranges_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_module, "MOST_RANGES", 3)
    with pytest.raises(DamagedInput, match="more than 3 ranges"):
        arrange_ranges([RamRange(8 * n, 8 * n, 4) for n in range(4)], 100)


def test_bytes_that_count_as_memory_again_and_again_are_an_error() -> None:
    twice = [RamRange(n << 30, 0, 100) for n in range(2)]
    assert len(arrange_ranges(twice, 100)) == 2
    with pytest.raises(DamagedInput, match="again and again"):
        arrange_ranges([RamRange(n << 30, 0, 100) for n in range(50)], 100)


def test_reading_spans_ranges_and_ends_in_zeros(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(100)))
    image = FileImage("x", path, (RamRange(0x10, 40, 8), RamRange(0x50, 0, 4), RamRange(0x90, 96, 4)))
    assert image.size_bytes == 16
    assert image.read_at(0, 100) == bytes([*range(40, 48), 0, 1, 2, 3, 96, 97, 98, 99])
    assert image.read_at(6, 4) == bytes([46, 47, 0, 1])
    assert image.read_at(16, 1) == b"" == image.read_at(20, 4)
    buffer = bytearray(b"\xaa" * 8)
    image.read_into(12, memoryview(buffer))
    assert buffer == bytes([96, 97, 98, 99, 0, 0, 0, 0])
    assert [image.address_of(at) for at in (0, 7, 8, 12, 15)] == [0x10, 0x17, 0x50, 0x90, 0x93]


def test_an_empty_image_is_searched_in_no_time(tmp_path: Path) -> None:
    image = planted.raw_image(tmp_path, b"")
    assert image.size_bytes == 0 and planted.found(image) == {}


def test_a_page_that_cannot_be_read_becomes_zeros_and_is_counted(tmp_path: Path) -> None:
    # /proc/self/mem is a real file with holes that cannot be read: address 0, and what is mapped.
    buffer = bytearray(os.urandom(16384))
    import ctypes

    at = ctypes.addressof(ctypes.c_char.from_buffer(buffer))
    image = FileImage("x", Path("/proc/self/mem"), (RamRange(0, 0, 8192), RamRange(8192, at, 8192)))
    got = image.read_at(100, 8192 + 4096)
    assert got[: 8192 - 100] == bytes(8192 - 100)
    assert got[8192 - 100 :] == buffer[: 4096 + 100]
    assert image.unreadable_bytes == 8192 - 100


def test_closing_lets_the_file_go_and_reading_opens_it_again(tmp_path: Path) -> None:
    image = planted.raw_image(tmp_path, b"abcdefgh")
    assert image.read_at(0, 2) == b"ab"
    image.close()
    image.close()
    assert image.read_at(2, 2) == b"cd"
