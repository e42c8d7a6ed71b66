"""What a failed open means for the user."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from luksafe.device.opening import open_storage, opening_error
from luksafe.errors import Busy, LuksafeError, NotFound, Refused, UsageError

CASES = [
    (errno.ENOENT, NotFound, "no such device or file: /dev/x", "lsblk"),
    (errno.ENOMEDIUM, NotFound, "no medium", "lsblk"),
    (errno.ELOOP, NotFound, "lead nowhere", "lsblk"),
    (errno.EROFS, Refused, "is read-only", "remount"),
    (errno.EBUSY, Busy, "in use", "lsblk /dev/x"),
    (errno.EIO, LuksafeError, "cannot open /dev/x: Input/output error", "dmesg"),
]


@pytest.mark.parametrize(("number", "kind", "text", "hint"), CASES)
def test_each_failure_has_its_error_and_a_next_step(number: int, kind: type, text: str, hint: str) -> None:
    error = opening_error("/dev/x", OSError(number, os.strerror(number)), os.O_RDWR)
    assert type(error) is kind
    assert text in str(error)
    assert hint in error.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="the advice for root")
def test_root_is_not_told_to_use_sudo() -> None:
    denied = PermissionError(errno.EPERM, "x")
    reading, writing = opening_error("/dev/x", denied), opening_error("/dev/x", denied, os.O_RDWR)
    assert "sudo" not in reading.hint + writing.hint
    assert "write to" in str(writing)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    error = opening_error(tmp_path / "none" / "disk.img", OSError(errno.ENOENT, "x"))
    assert f"no folder {tmp_path / 'none'}" in error.hint


def test_a_pipe_that_takes_the_place_of_a_file_does_not_hold_us_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "image"
    path.touch()
    real_open = os.open

    def replaced(name: Path, flags: int) -> int:  # between looking and opening
        path.unlink()
        os.mkfifo(path)
        return real_open(name, flags)

    monkeypatch.setattr(os, "open", replaced)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(UsageError, match="a pipe"):
        open_storage(path, os.O_RDONLY)
    assert len(os.listdir("/proc/self/fd")) == before
