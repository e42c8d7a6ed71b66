from __future__ import annotations

import os
import random
import shutil
import socket
import stat
import subprocess
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.view.readers import FaultyReader, FileReader, noise

from luksafe.errors import Busy, DamagedInput, Refused, StoreError
from luksafe.reader import BytesReader
from luksafe.view.nbd.export import Export
from luksafe.view.nbd.listen import listen_unix
from luksafe.view.nbd.server import serve
from luksafe.view.overlay import BLOCK_BYTES, MAP_OFFSET, Overlay
from luksafe.view.process import fork_worker

UUID = "d98923eb-03c7-4dea-98bc-7dfd34115e6b"
SIZE = 5 * BLOCK_BYTES + 1000
BASE = noise(SIZE)
WRITES = st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(1, 3 * BLOCK_BYTES)), max_size=8)


@settings(max_examples=40, deadline=None)
@given(WRITES, WRITES)
def test_reads_give_what_was_written_last(
    tmp_path_factory: pytest.TempPathFactory, first: list[tuple[int, int]], second: list[tuple[int, int]]
) -> None:
    path = tmp_path_factory.mktemp("overlay") / "overlay"
    model = bytearray(BASE)
    for writes in (first, second):  # the second round on the overlay opened again
        with Overlay(BytesReader(BASE), path, UUID) as overlay:
            assert overlay.read_at(0, SIZE) == model
            for offset, length in writes:
                data = noise(min(length, SIZE - offset), offset)
                overlay.write_at(offset, data)
                model[offset : offset + len(data)] = data
                start = max(0, offset - 10)
                assert overlay.read_at(start, len(data) + 20) == model[start : start + len(data) + 20]
            assert overlay.read_at(0, SIZE + 5) == model


def test_the_file_is_private_sparse_and_as_the_specification_says(tmp_path: Path) -> None:
    path = tmp_path / "overlay"
    with Overlay(BytesReader(BASE), path, UUID) as overlay:
        overlay.write_at(BLOCK_BYTES + 5, b"hello")
    data = path.read_bytes()
    assert data[:16] == b"luksafe overlay\n"
    assert data[32:68] == UUID.encode()
    assert data[MAP_OFFSET] == 0b10
    assert (
        data[2 * BLOCK_BYTES : 3 * BLOCK_BYTES]
        == BASE[BLOCK_BYTES:][:5] + b"hello" + BASE[BLOCK_BYTES + 10 : 2 * BLOCK_BYTES]
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_was_not_flushed_is_as_if_not_written(tmp_path: Path) -> None:
    path = tmp_path / "overlay"
    overlay = Overlay(BytesReader(BASE), path, UUID)
    overlay.write_at(0, b"flushed")
    overlay.flush()
    overlay.write_at(2 * BLOCK_BYTES, b"not flushed")
    os.close(overlay._fd)  # as when the process is killed
    with Overlay(BytesReader(BASE), path, UUID) as again:
        assert again.read_at(0, SIZE) == b"flushed" + BASE[7:]


def test_faults_of_the_base_and_writes_beyond_the_end(tmp_path: Path) -> None:
    base = FaultyReader(BASE, [(BLOCK_BYTES, 2 * BLOCK_BYTES)])
    with Overlay(base, tmp_path / "overlay", UUID) as overlay:
        with pytest.raises(OSError):
            overlay.write_at(BLOCK_BYTES + 5, b"part of an unreadable block")
        with pytest.raises(OSError):
            overlay.read_at(0, SIZE)
        overlay.write_at(BLOCK_BYTES, bytes(BLOCK_BYTES))  # a whole block needs nothing from the base
        assert overlay.read_at(0, SIZE) == BASE[:BLOCK_BYTES] + bytes(BLOCK_BYTES) + BASE[2 * BLOCK_BYTES :]
        for offset in (SIZE - 1, -1):
            with pytest.raises(OSError):
                overlay.write_at(offset, b"ab")


def test_files_that_will_not_do(tmp_path: Path) -> None:
    path = tmp_path / "overlay"
    with Overlay(BytesReader(BASE), path, UUID), pytest.raises(Busy):
        Overlay(BytesReader(BASE), path, UUID)
    with pytest.raises(Refused, match="another volume"):
        Overlay(BytesReader(BASE), path, UUID.replace("d", "e"))
    with pytest.raises(Refused, match="another volume"):
        Overlay(BytesReader(BASE[:-512]), path, UUID)
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(Refused, match="left alone"):
        Overlay(BytesReader(BASE), tmp_path / "mine", UUID)
    assert (tmp_path / "mine").read_text() == "mine"
    with path.open("r+b") as file:
        file.truncate(MAP_OFFSET)
    with pytest.raises(DamagedInput, match="cut short"):
        Overlay(BytesReader(BASE), path, UUID)
    with pytest.raises(StoreError):
        Overlay(BytesReader(BASE), tmp_path / "no" / "folder", UUID)
    huge = FaultyReader(b"", [])
    huge.size_bytes = 1 << 60
    with pytest.raises(Refused, match="too large"):
        Overlay(huge, tmp_path / "huge", UUID)
    with pytest.raises(Refused, match="regular"):
        Overlay(BytesReader(BASE), Path("/dev/null"), UUID)


def test_threads_share_it(tmp_path: Path) -> None:
    with Overlay(BytesReader(BASE), tmp_path / "overlay", UUID) as overlay:

        def write_stripes(number: int) -> None:
            for offset in random.Random(number).sample(range(number * 64, SIZE - 64, 1024), 150):
                overlay.write_at(offset, bytes([number]) * 64)

        threads = [threading.Thread(target=write_stripes, args=(number,)) for number in range(1, 5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        model = bytearray(BASE)
        for number in range(1, 5):
            for offset in random.Random(number).sample(range(number * 64, SIZE - 64, 1024), 150):
                model[offset : offset + 64] = bytes([number]) * 64
        assert overlay.read_at(0, SIZE) == model


def test_a_filesystem_is_repaired_over_nbd_and_the_base_is_untouched(tmp_path: Path) -> None:
    tools = ("mkfs.ext4", "e2fsck", "qemu-img", "nbdcopy")
    if any(not shutil.which(tool) for tool in tools):
        pytest.skip(f"needs {', '.join(tools)}")
    image, path = tmp_path / "image", tmp_path / "nbd.sock"
    subprocess.run(["mkfs.ext4", "-q", image, "8M"], check=True)
    before = image.read_bytes()

    def run() -> None:
        base = FileReader(image)
        with listen_unix(path) as listener, Overlay(base, tmp_path / "overlay", UUID) as overlay:
            serve(Export(overlay, writable=overlay), listener)

    uri = f"nbd+unix:///?socket={path}"
    changed = tmp_path / "changed"
    for round_number in range(2):  # the second server finds what the first one left
        server = fork_worker(run)
        with socket.socket(socket.AF_UNIX) as probe:
            while probe.connect_ex(os.fspath(path)):
                pass
        if round_number == 0:
            changed.write_bytes(before)
            subprocess.run(["tune2fs", "-L", "renamed", changed], check=True, capture_output=True)
            subprocess.run(["nbdcopy", "--flush", changed, uri], check=True)
        copy = tmp_path / f"copy{round_number}"
        subprocess.run(["nbdcopy", uri, copy], check=True)
        assert copy.read_bytes() == changed.read_bytes()
        os.kill(server.pid, 15)
        assert server.join() == 0
    assert image.read_bytes() == before
