"""Whether a folder lies on a device, or on the same disk as it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from luksafe.device.identity import describe
from luksafe.device.location import is_stored_on, shares_disk
from luksafe.device.mounts import mount_holding


@contextmanager
def mounted(device: str, at: Path) -> Iterator[Path]:
    at.mkdir()
    subprocess.run(["mount", device, at], check=True)
    try:
        yield at
    finally:
        subprocess.run(["umount", at], check=True)


def blank(path: Path, size: int = 8 << 20) -> Path:
    with path.open("wb") as out:
        out.truncate(size)
    return path


def test_a_folder_inside_the_volume(tmp_path: Path, loop_device: Callable[..., str]) -> None:
    image = blank(tmp_path / "disk.img")
    device, other = loop_device(image), loop_device(blank(tmp_path / "other.img"))
    subprocess.run(["mkfs.ext2", "-q", device], check=True)
    with mounted(device, tmp_path / "mnt") as inside:
        for facts in (describe(device), describe(image)):
            assert is_stored_on(inside, facts)
            assert shares_disk(inside, facts)
            assert not is_stored_on(tmp_path, facts)
            assert not shares_disk(tmp_path, facts)
        assert not shares_disk(inside, describe(other))
    assert not is_stored_on(tmp_path / "none", describe(device))


def test_another_partition_of_the_disk(tmp_path: Path, partitioned_disk: Callable[[Path, str], str]) -> None:
    image = blank(tmp_path / "disk.img")
    disk = partitioned_disk(image, "label: gpt\nsize=2M\nsize=2M\n")
    subprocess.run(["mkfs.ext2", "-q", f"{disk}p1"], check=True)
    with mounted(f"{disk}p1", tmp_path / "mnt") as store:
        neighbour = describe(f"{disk}p2")
        assert not is_stored_on(store, neighbour)
        assert shares_disk(store, neighbour)
        assert is_stored_on(store, describe(disk))


def test_btrfs_over_two_devices(tmp_path: Path, loop_device: Callable[..., str]) -> None:
    if "btrfs" not in Path("/proc/filesystems").read_text() or shutil.which("mkfs.btrfs") is None:
        pytest.skip("no btrfs here")
    pair = [loop_device(blank(tmp_path / f"{n}.img", 128 << 20)) for n in range(2)]
    subprocess.run(["mkfs.btrfs", "-q", *pair], check=True)
    with mounted(pair[0], tmp_path / "mnt") as store:
        subprocess.run(["btrfs", "subvolume", "create", store / "sub"], check=True, capture_output=True)
        for device in pair:
            assert is_stored_on(store / "sub", describe(device))


def test_the_mount_that_holds_a_path() -> None:
    proc = mount_holding("/proc/self/status")
    assert proc is not None
    assert (proc.mount_point, proc.filesystem) == ("/proc", "proc")
    root = mount_holding("/")
    assert root is not None
    assert root.mount_point == "/"
