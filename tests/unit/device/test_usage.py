"""Who uses a device: mounts, swap, loop devices, locks, and holders that nobody shows."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luksafe.device.mounts import Mount, parse_mountinfo, unescape
from luksafe.device.usage import find_uses
from luksafe.errors import NotFound


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    with path.open("wb") as out:
        out.truncate(8 << 20)
    return path


@contextmanager
def mounted(device: str, at: Path, *options: str) -> Iterator[None]:
    at.mkdir()
    subprocess.run(["mount", *options, device, at], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", at], check=True)


def test_nobody(image: Path, loop_device: Callable[..., str]) -> None:
    assert find_uses(image) == []
    assert find_uses(loop_device(image)) == []


def test_a_mount_is_seen_from_the_device_and_from_the_image(
    image: Path, tmp_path: Path, loop_device: Callable[..., str]
) -> None:
    device = loop_device(image)
    subprocess.run(["mkfs.ext2", "-q", device], check=True)
    at = tmp_path / "mount point"
    with mounted(device, at, "-o", "ro"):
        [use] = find_uses(device)
        assert (use.kind, use.name) == ("mounted", str(at))
        assert use.detail == f"{device} is mounted at {at} (ext2, read-only)"
        assert [(use.kind, use.name) for use in find_uses(image)] == [("loop", device), ("mounted", str(at))]
    assert find_uses(device) == []


@pytest.mark.skipif(shutil.which("mkfs.btrfs") is None, reason="mkfs.btrfs is not installed")
def test_a_btrfs_mount_has_another_number_and_is_seen(tmp_path: Path, loop_device: Callable[..., str]) -> None:
    if "btrfs" not in Path("/proc/filesystems").read_text():
        pytest.skip("this kernel has no btrfs")
    image = tmp_path / "btrfs.img"
    with image.open("wb") as out:
        out.truncate(128 << 20)
    device = loop_device(image)
    subprocess.run(["mkfs.btrfs", "-q", device], check=True)
    with mounted(device, tmp_path / "mnt"):
        assert [use.kind for use in find_uses(device)] == ["mounted"]


def test_a_disk_is_used_through_its_partition(
    image: Path, tmp_path: Path, partitioned_disk: Callable[[Path, str], str]
) -> None:
    device = partitioned_disk(image, "label: gpt\nsize=4M\n")
    subprocess.run(["mkfs.ext2", "-q", f"{device}p1"], check=True)
    with mounted(f"{device}p1", tmp_path / "mnt"):
        assert [use.detail for use in find_uses(device)] == [f"{device}p1 is mounted at {tmp_path / 'mnt'} (ext2)"]
        assert [use.kind for use in find_uses(f"{device}p1")] == ["mounted"]


def test_swap(image: Path, tmp_path: Path, loop_device: Callable[..., str]) -> None:
    device = loop_device(image)
    subprocess.run(["mkswap", "-q", device], check=True)
    if subprocess.run(["swapon", device], capture_output=True).returncode != 0:
        pytest.skip("this kernel takes no swap here")
    try:
        assert [use.kind for use in find_uses(device)] == ["swap"]
    finally:
        subprocess.run(["swapoff", device], check=True)


def test_a_loop_device_over_a_device(image: Path, loop_device: Callable[..., str]) -> None:
    below = loop_device(image)
    above = loop_device(Path(below), "--offset", "4096")
    assert [(use.kind, use.name) for use in find_uses(below)] == [("loop", above)]


def test_an_exclusive_holder_that_nothing_shows(image: Path, loop_device: Callable[..., str]) -> None:
    device = loop_device(image)
    fd = os.open(device, os.O_RDONLY | os.O_EXCL)
    try:
        assert [use.kind for use in find_uses(device)] == ["exclusive"]
    finally:
        os.close(fd)


def test_locks_of_others_on_a_file(image: Path) -> None:
    code = (
        "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_SH); print(flush=True); sys.stdin.read()"
    )
    with (
        subprocess.Popen([sys.executable, "-c", code, image], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder,
        image.open() as own,
    ):
        assert holder.stdout is not None
        holder.stdout.readline()
        fcntl.flock(own, fcntl.LOCK_SH)  # our own is none
        [use] = find_uses(image)
        assert use.kind == "locked"
        assert f"(PID {holder.pid}) has {image} locked" in use.detail


def test_a_missing_device_is_an_error() -> None:
    with pytest.raises(NotFound):
        find_uses("/dev/luksafe0")


def test_mountinfo_is_read() -> None:
    text = (
        "36 35 98:0 /mnt1 /my\\040disk rw,noatime master:1 - ext3 /dev/root\\011x rw,errors=continue\n"
        "37 35 0:31 / /b ro - btrfs /dev/sda1 ro\n"
        "38 35 x:1 / /c rw - ext4 /dev/sdb rw\nnonsense\n\n1 2 3:4 / /d rw\n"
    )
    assert parse_mountinfo(text) == [
        Mount((98, 0), "/my disk", "ext3", "/dev/root\tx", False),
        Mount((0, 31), "/b", "btrfs", "/dev/sda1", True),
    ]


@given(st.text(alphabet="0123456789:/ -\\rowx\n", max_size=200))
def test_any_mountinfo_is_read(text: str) -> None:
    parse_mountinfo(text)
    unescape(text)
