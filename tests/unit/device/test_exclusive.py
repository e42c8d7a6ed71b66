"""Opening for writing: alone, the planned device only, never larger than it was."""

from __future__ import annotations

import dataclasses
import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from luksafe.device.exclusive import open_for_writing
from luksafe.device.identity import describe
from luksafe.device.lock import metadata_lock
from luksafe.errors import Busy, NotFound, Refused

SIZE = 1 << 20


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(SIZE))
    return path


@pytest.fixture(params=["file", "loop"])
def target(request: pytest.FixtureRequest, image: Path) -> str:
    return str(image) if request.param == "file" else request.getfixturevalue("loop_device")(image)


def test_writes_are_on_the_medium_after_a_sync(target: str, image: Path) -> None:
    with open_for_writing(target, describe(target)) as device:
        assert device.lock.held, device.lock.why
        device.write_at(1000, b"hello")
        device.write_at(SIZE - 3, memoryview(b"end"))
        device.write_at(0, b"")
        device.sync()
        assert device.read_at(998, 9) == b"\0\0hello\0\0"
        assert device.read_uncached(999, 6).data == b"\0hello"
        device.close()
    assert image.read_bytes() == bytes(1000) + b"hello" + bytes(SIZE - 1008) + b"end"


@pytest.mark.parametrize(("offset", "length"), [(SIZE, 1), (SIZE - 1, 2), (-1, 1), (0, SIZE + 1)])
def test_nothing_is_written_beyond_the_end(target: str, image: Path, offset: int, length: int) -> None:
    with open_for_writing(target, describe(target)) as device, pytest.raises(Refused, match="do not fit"):
        device.write_at(offset, b"x" * length)
    assert image.read_bytes() == bytes(SIZE)


def test_a_file_cut_meanwhile_does_not_grow_again(image: Path) -> None:
    with open_for_writing(image, describe(image)) as device:
        os.truncate(image, 4096)
        with pytest.raises(Refused, match="ends at byte 4096"):
            device.write_at(8192, b"x")
    assert image.stat().st_size == 4096


def test_nobody_else_gets_in(target: str) -> None:
    planned = describe(target)
    with open_for_writing(target, planned):
        with pytest.raises(Busy), metadata_lock(target, wait_seconds=0):
            pass
        if planned.kind == "block":
            with pytest.raises(Busy, match="is held by something"):
                open_for_writing(target, planned)
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(Busy, match=rf"locked by .*PID {os.getpid()}"):
            open_for_writing(target, planned, allow_in_use=True, wait_seconds=0)
        assert len(os.listdir("/proc/self/fd")) == before


def test_a_mounted_device_is_busy_unless_that_is_allowed(
    image: Path, tmp_path: Path, loop_device: Callable[..., str]
) -> None:
    device = loop_device(image)
    subprocess.run(["mkfs.ext2", "-q", device], check=True)
    (tmp_path / "mnt").mkdir()
    subprocess.run(["mount", device, tmp_path / "mnt"], check=True)
    try:
        for path in (device, image):
            with pytest.raises(Busy, match=f"mounted at {tmp_path / 'mnt'}") as caught:
                open_for_writing(path, describe(path))
            assert "umount" in caught.value.hint
            with open_for_writing(path, describe(path), allow_in_use=True) as opened:
                assert opened.lock.held
    finally:
        subprocess.run(["umount", tmp_path / "mnt"], check=True)


def test_only_the_planned_device(image: Path, tmp_path: Path, loop_device: Callable[..., str]) -> None:
    planned = describe(image)
    copy = tmp_path / "copy"
    shutil.copy(image, copy)
    copy.replace(image)  # the same name, the same size, another file
    with pytest.raises(Refused, match=r"inode .* is now") as caught:
        open_for_writing(image, planned)
    assert "nothing was written" in caught.value.hint
    planned = describe(image)
    os.truncate(image, SIZE * 2)
    with pytest.raises(Refused, match=f"size {SIZE} is now {SIZE * 2}"):
        open_for_writing(image, planned)
    device = loop_device(image)
    with pytest.raises(Refused, match="kind file is now block"):
        open_for_writing(device, planned)
    on_device = describe(device)
    if on_device.disk_sequence is not None:
        with pytest.raises(Refused, match="medium"):
            open_for_writing(device, dataclasses.replace(on_device, disk_sequence=1))


def test_another_disk_under_the_same_name(image: Path, tmp_path: Path, loop_device: Callable[..., str]) -> None:
    device = loop_device(image)
    planned = describe(device)
    if planned.disk_sequence is None:
        pytest.skip("this kernel does not count media")
    other = tmp_path / "other.img"
    other.write_bytes(bytes(SIZE))
    subprocess.run(["losetup", "--detach", device], check=True)
    subprocess.run(["losetup", device, other], check=True)
    with pytest.raises(Refused, match="medium"):
        open_for_writing(device, planned)


def test_a_read_only_device_is_not_written(image: Path, loop_device: Callable[..., str]) -> None:
    device = loop_device(image, "--read-only")
    planned = describe(device)
    for in_use in (False, True):
        with pytest.raises(Refused, match="is read-only") as caught:
            open_for_writing(device, planned, allow_in_use=in_use)
        assert f"blockdev --setrw {device}" in caught.value.hint


def test_no_file_is_made(tmp_path: Path, image: Path) -> None:
    with pytest.raises(NotFound):
        open_for_writing(tmp_path / "new", describe(image))
    assert not (tmp_path / "new").exists()


def test_a_short_write_is_continued_and_a_failing_one_names_the_byte(image: Path) -> None:
    code = (
        "import resource, sys; from luksafe.device.exclusive import *\n"
        "from luksafe.device.identity import describe\n"
        "with open_for_writing(sys.argv[1], describe(sys.argv[1])) as device:\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"  # the kernel now writes up to there only
        "    try: device.write_at(100, b'x' * 8192)\n"
        "    except OSError as error: print(error.errno, error)"
    )
    done = subprocess.run([sys.executable, "-c", code, image], capture_output=True, text=True, check=True)
    assert done.stdout == f"{errno.EFBIG} [Errno {errno.EFBIG}] File too large at byte 5000: '{image}'\n"
    assert image.read_bytes() == bytes(100) + b"x" * 4900 + bytes(SIZE - 5000)


def test_writing_goes_on_after_a_short_write(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: real(fd, data[:1000], at))
    with open_for_writing(image, describe(image)) as device:
        device.write_at(7, bytes(range(250)) * 20)
    assert image.read_bytes()[:5008] == bytes(7) + bytes(range(250)) * 20 + b"\0"
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: 0)
    with open_for_writing(image, describe(image)) as device, pytest.raises(OSError, match="nothing more was written"):
        device.write_at(0, b"x")


def test_only_this_module_opens_for_writing() -> None:
    source = Path(__file__).resolve().parents[3] / "src" / "luksafe"
    with_rdwr = {path.name for path in (source / "device").glob("*.py") if "O_RDWR" in path.read_text()}
    assert with_rdwr == {"exclusive.py", "opening.py"}
