from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from luksafe.errors import Refused, StoreError, UsageError
from luksafe.ops.new_file import write_new_file


def test_a_new_file_is_private(tmp_path: Path) -> None:
    write_new_file(tmp_path / "new", b"secret")
    assert (tmp_path / "new").read_bytes() == b"secret"
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600


def test_what_exists_stays(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("old", "link"):
        with pytest.raises(Refused, match="exists already"):
            write_new_file(tmp_path / name, b"new")
    assert (tmp_path / "old").read_bytes() == b"old"
    assert os.readlink(tmp_path / "link") == str(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be made"):
        write_new_file(tmp_path / "absent" / "new", b"")


def test_no_room_leaves_nothing(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(StoreError, match="nothing is left"):
            write_new_file(tmp_path / "new", bytes(10_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (tmp_path / "new").exists()
