"""Damaged images of every kind: an error of ours or an image that can be read, in bounded time and memory."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unit.memory import planted, test_hibernation, test_sources

from luksafe.errors import LuksafeError, Unsupported
from luksafe.memory.detect import open_memory
from luksafe.memory.image import MemoryImage

SEEDS: dict[str, Callable[[], bytes]] = {
    "lime": test_sources.lime,
    "elf": test_sources.elf,
    "many-headers-elf": test_sources.many_headers_elf,
    "kdump": test_sources.kdump,
    "flattened": test_sources.flattened,
    "qemu": test_sources.qemu,
    "libvirt": test_sources.libvirt,
    "hibernation": lambda: test_hibernation.hibernated("lzo"),
}
LARGEST = 1 << 32
"""No damage of these small files may make an image of more than this."""

quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def check(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    try:
        image = open_memory(path)
    except LuksafeError:
        return
    assert 0 <= image.size_bytes < LARGEST
    try:
        read_here_and_there(image, random.Random(len(data)))
    except Unsupported as error:  # a page that says it is compressed, with what is not installed here
        assert "is not installed" in str(error)


def read_here_and_there(image: MemoryImage, source: random.Random) -> None:
    for _ in range(3):
        at = source.randrange(image.size_bytes + 1)
        image.read_into(at, memoryview(bytearray(10000)))
        if at < image.size_bytes:
            assert image.address_of(at) >= 0
    if image.size_bytes < 1 << 22:
        planted.found(image)


@pytest.mark.parametrize("kind", SEEDS)
@quick
@given(damage=st.data())
def test_flipped_bytes_in_headers(kind: str, damage: st.DataObject, tmp_path: Path) -> None:
    data = bytearray(SEEDS[kind]())
    head = min(len(data), 5 * 4096) if damage.draw(st.booleans()) else min(len(data), 256)
    for at in damage.draw(st.lists(st.integers(0, head - 1), min_size=1, max_size=8)):
        data[at] = damage.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]))
    check(tmp_path / "image", bytes(data))


@pytest.mark.parametrize("kind", SEEDS)
@quick
@given(cut=st.integers(0, 1 << 16), tail=st.binary(max_size=64))
def test_cut_off_anywhere(kind: str, cut: int, tail: bytes, tmp_path: Path) -> None:
    data = SEEDS[kind]()
    check(tmp_path / "image", data[: cut % len(data)] + tail)


@pytest.mark.parametrize("kind", SEEDS)
@quick
@given(words=st.binary(max_size=4096))
def test_anything_after_the_magic(kind: str, words: bytes, tmp_path: Path) -> None:
    data = SEEDS[kind]()
    keep = 4096 if kind == "hibernation" else 16
    check(tmp_path / "image", data[:keep] + words)
