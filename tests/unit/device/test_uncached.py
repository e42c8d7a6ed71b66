"""Reading past the page cache."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from luksafe.device import uncached
from luksafe.device.uncached import read_uncached
from luksafe.errors import NotFound

DATA = os.urandom(3 << 20) + b"tail"
PLACES = [(0, 4096), (1, 5), (4095, 2), (513, 100_000), (1 << 20, 2 << 20), (len(DATA) - 3, 99), (len(DATA) + 9, 4)]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(DATA)
    return path


@pytest.mark.parametrize(("offset", "length"), PLACES)
def test_gives_the_same_bytes_as_the_cache(image: Path, offset: int, length: int) -> None:
    got = read_uncached(image, offset, length)
    assert got.method == "direct"
    assert got.data == DATA[offset : offset + length]
    assert uncached._read_after_drop(image, offset, length) == got.data


def test_says_so_where_direct_reading_is_refused() -> None:
    got = read_uncached("/proc/version", 6, 7)
    assert got.method == "cache-dropped"
    assert got.data == b"version"


def test_sees_the_medium_and_not_the_cache(tmp_path: Path, loop_device: Callable[..., str]) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(b"a" * (1 << 20))
    device = loop_device(path)
    with open(device, "rb") as reader:
        assert reader.read(8192) == b"a" * 8192  # now in the loop device's cache
        with path.open("r+b") as below:
            below.write(b"b" * 8192)
        assert os.pread(reader.fileno(), 4096, 0) == b"a" * 4096
        assert read_uncached(device, 512, 100).data == b"b" * 100


def test_a_device_with_large_sectors_is_read_anywhere(tmp_path: Path, loop_device: Callable[..., str]) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(DATA[: 1 << 20])
    device = loop_device(path, "--sector-size", "4096")
    assert read_uncached(device, 5000, 10).data == DATA[5000:5010]
    assert read_uncached(device, (1 << 20) - 5, 100).data == DATA[(1 << 20) - 5 : 1 << 20]


def test_a_failing_medium_raises_with_the_place(tmp_path: Path, loop_device: Callable[..., str]) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(1 << 20))
    device = loop_device(path)
    os.truncate(path, 0)
    with pytest.raises(OSError, match=rf"at byte 4096.*{device}"):
        read_uncached(device, 4097, 10)


def test_a_missing_name_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        read_uncached(tmp_path / "none", 0, 1)
