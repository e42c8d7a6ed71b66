"""Opening and reading block devices, images and packed header files."""

from __future__ import annotations

import errno
import gzip
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from luksafe.device import source
from luksafe.device.source import open_source
from luksafe.errors import DamagedInput, LuksafeError, NotFound, Unsupported, UsageError

DATA = bytes(range(256)) * 40


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(DATA)
    return path


@pytest.mark.parametrize(
    ("offset", "length"), [(0, 0), (0, 10240), (1, 511), (513, 7), (10239, 1), (10239, 50), (10240, 1), (99999, 5)]
)
def test_reads_like_a_slice(image: Path, offset: int, length: int) -> None:
    with open_source(image) as reader:
        assert reader.size_bytes == len(DATA)
        assert reader.read_at(offset, length) == DATA[offset : offset + length]


def test_a_sparse_image_has_its_full_size(tmp_path: Path) -> None:
    path = tmp_path / "sparse.img"
    with path.open("wb") as out:
        out.truncate(1 << 40)
        out.seek(1 << 39)
        out.write(b"LUKS")
    with open_source(path) as reader:
        assert reader.size_bytes == 1 << 40
        assert reader.read_at((1 << 39) - 2, 8) == b"\0\0LUKS\0\0"


def test_links_are_followed(image: Path, tmp_path: Path) -> None:
    link = tmp_path / "by-uuid"
    link.symlink_to(image)
    with open_source(link) as reader:
        assert reader.read_at(0, 4) == DATA[:4]
        assert reader.path == str(link)


def test_a_file_that_shrinks_gives_what_is_left(image: Path) -> None:
    with open_source(image) as reader:
        os.truncate(image, 100)
        assert reader.read_at(90, 4000) == DATA[90:100]


def test_a_packed_header_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "header.hdr.gz"
    path.write_bytes(gzip.compress(DATA) + gzip.compress(b"second member"))
    with open_source(path) as reader:
        assert reader.kind == "packed"
        assert reader.read_at(0, 1 << 20) == DATA + b"second member"


PACKED = gzip.compress(os.urandom(100) + DATA)
DAMAGED = {
    "torn": PACKED[:-9],
    "flipped": PACKED[:40] + bytes([PACKED[40] ^ 0xFF]) + PACKED[41:],
    "not gzip": b"LUKS" + PACKED,
    "magic alone": b"\x1f\x8b",
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_packed_header_is_an_error(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "header.gz"
    path.write_bytes(DAMAGED[damage])
    with pytest.raises(DamagedInput, match="not a whole gzip file"):
        open_source(path)


def test_unpacking_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(bytes(3 << 20)))
    monkeypatch.setattr(source, "MAX_UNPACKED_BYTES", 2 << 20)
    with pytest.raises(Unsupported, match="more than 2 MiB") as caught:
        open_source(path)
    assert "gunzip" in caught.value.hint


def test_no_descriptor_is_left_behind(image: Path, tmp_path: Path) -> None:
    (tmp_path / "torn.gz").write_bytes(gzip.compress(DATA)[:50])
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(DamagedInput):
        open_source(tmp_path / "torn.gz")
    with open_source(image) as reader:
        pass
    reader.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_is_no_storage_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
    for path, kind in [
        (tmp_path, "a directory"),
        (tmp_path / "pipe", "a pipe"),
        (Path("/dev/zero"), "a character device"),
        (tmp_path / "socket", "a socket"),
    ]:
        with pytest.raises(UsageError, match=kind) as caught:
            open_source(path)
        assert "block device" in caught.value.hint


def test_missing_names(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nothing")
    for path in (tmp_path / "none", tmp_path / "dangling", tmp_path / "a" / "b", "/dev/luksafe0", "x" * 5000):
        with pytest.raises(NotFound, match="no such device or file"):
            open_source(path)
    with pytest.raises(NotFound, match="lead nowhere"):
        open_source(tmp_path / "loop")
    with pytest.raises(UsageError, match="not a path"):
        open_source("disk\0.img")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_without_permission_it_says_sudo(image: Path) -> None:
    image.chmod(0o600)
    for folder in image.parents[:3]:
        folder.chmod(0o755)
    code = (
        "import os, sys; from luksafe.device.source import open_source\n"
        "os.setuid(65534)\n"
        "try: open_source(sys.argv[1])\n"
        "except Exception as e: print(e, '|', e.hint, '|', e.code)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(image)], capture_output=True, text=True, check=True)
    assert done.stdout == f"no permission to read {image} | run with sudo | permission\n"


def test_a_failing_medium_raises_with_the_place(tmp_path: Path, loop_device: Callable[..., str]) -> None:
    path = tmp_path / "failing.img"
    path.write_bytes(bytes(1 << 20))
    device = loop_device(path)
    os.truncate(path, 256 << 10)  # beyond this the loop device answers with EIO
    with open_source(device) as reader:
        assert reader.kind == "block"
        assert reader.size_bytes == 1 << 20
        assert reader.read_at(1000, 5000) == bytes(5000)
        with pytest.raises(OSError, match=rf"at byte \d+.*{device}") as caught:
            reader.read_at(0, 1 << 20)
        assert caught.value.errno == errno.EIO
        assert not isinstance(caught.value, LuksafeError)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_reading_opens_read_only_and_writes_nothing(
    image: Path, loop_device: Callable[..., str], tmp_path: Path
) -> None:
    device = loop_device(image)
    code = (
        "import sys; from luksafe.device.source import open_source\n"
        "from luksafe.device.identity import describe\n"
        "from luksafe.device.uncached import read_uncached\n"
        "for path in sys.argv[1:]:\n"
        "    describe(path); read_uncached(path, 0, 4096)\n"
        "    with open_source(path) as r: r.read_at(0, 99)"
    )
    log = tmp_path / "trace"
    subprocess.run(
        ["strace", "-f", "-o", log, "-e", "trace=open,openat,openat2,creat", sys.executable, "-c", code, image, device],
        check=True,
    )
    opened = [line for line in log.read_text().splitlines() if f'"{image}"' in line or f'"{device}"' in line]
    assert len(opened) >= 4
    assert all("O_RDONLY" in line and "O_CREAT" not in line for line in opened), opened
    assert image.read_bytes() == DATA
