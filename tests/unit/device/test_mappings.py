"""Mappings without device-mapper, and how its answers are read; the rest is in tests/vm."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from luksafe.device import device_mapper
from luksafe.device.device_mapper import Target, read_table
from luksafe.device.mappings import find_mapping, list_mappings, mappings_over
from luksafe.errors import LuksafeError, NotFound

without_dm = pytest.mark.skipif(Path("/sys/class/misc/device-mapper").exists(), reason="this kernel has device-mapper")


@without_dm
def test_a_kernel_without_device_mapper_has_no_mappings(tmp_path: Path) -> None:
    assert list_mappings() == []
    (tmp_path / "image").touch()
    assert mappings_over(tmp_path / "image") == []
    with pytest.raises(NotFound, match="no active crypt mapping home") as caught:
        find_mapping("/dev/mapper/home")
    assert caught.value.hint == "active now: none"
    with pytest.raises(NotFound, match="/dev/mapper/control"):
        read_table(253, 0)


def answer(*lines: tuple[int, int, bytes, bytes]) -> bytearray:
    """What the kernel answers: the header, then each target with the place of the next."""
    header = device_mapper._HEADER
    body = b""
    for start, length, kind, text in lines:
        size = -(-(device_mapper._TARGET.size + len(text) + 1) // 8) * 8
        spec = device_mapper._TARGET.pack(start, length, 0, len(body) + size, kind)
        body += (spec + text).ljust(size, b"\0")
    return bytearray(header.pack(4, 47, 0, 0, header.size, len(lines), 0, 0, 0, 0, 0, b"", b"") + body)


def test_the_kernels_answer_is_read() -> None:
    assert device_mapper._HEADER.size == 312
    assert device_mapper._TARGET.size == 40
    targets = device_mapper._targets(answer((0, 8, b"crypt", b"aes - 0 1:2 3"), (8, 16, b"linear", b"1:2 9")))
    assert targets == [
        Target(0, 8, "crypt", bytearray(b"aes - 0 1:2 3")),
        Target(8, 16, "linear", bytearray(b"1:2 9")),
    ]
    assert "aes" not in repr(targets)
    targets[0].wipe()
    assert targets[0].parameters == bytes(13)


def test_a_control_that_is_none_is_an_error_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    control = tmp_path / "control"
    control.touch()
    monkeypatch.setattr(device_mapper, "_CONTROL", str(control))
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(LuksafeError):
        read_table(253, 0)
    assert len(os.listdir("/proc/self/fd")) == before
