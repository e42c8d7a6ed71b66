"""The whole server, in processes of its own, with the clients that people use."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from unit.view.readers import FileReader, noise

from luksafe.errors import Busy, Refused, UsageError
from luksafe.view.nbd.export import Export
from luksafe.view.nbd.listen import listen_tcp, listen_unix
from luksafe.view.nbd.server import serve
from luksafe.view.process import Worker, fork_worker

DATA = noise(3 << 20) + bytes(2 << 20) + noise((1 << 20) + 512, 2)


def run_server(source: Path, path: Path) -> None:
    os.setpgrp()
    with listen_unix(path) as listener:
        serve(Export(FileReader(source), "vol", "test"), listener, workers=2)


def children_of(process: Worker) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def server(source: Path, tmp_path: Path) -> Iterator[tuple[Worker, Path]]:
    path = tmp_path / "nbd.sock"
    process = fork_worker(lambda: run_server(source, path))
    deadline = time.monotonic() + 10
    while len(children_of(process)) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    yield process, path
    with suppress(ProcessLookupError, ChildProcessError):
        os.kill(process.pid, signal.SIGTERM)
        process.join()


def tool(*command: str | Path) -> str:
    if not shutil.which(str(command[0])):
        pytest.skip(f"{command[0]} is not installed")
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def uri(path: Path) -> str:
    return f"nbd+unix:///vol?socket={path}"


def test_nbdinfo(server: tuple[object, Path]) -> None:
    text = tool("nbdinfo", uri(server[1]))
    assert f"export-size: {len(DATA)}" in text
    assert "is_read_only: true" in text
    assert "can_multi_conn: true" in text
    assert "base:allocation" in text
    assert "vol" in tool("nbdinfo", "--list", uri(server[1]))
    assert f"{len(DATA)}" in tool("nbdinfo", "--map", uri(server[1]))


def test_nbdcopy(server: tuple[object, Path], tmp_path: Path) -> None:
    tool("nbdcopy", uri(server[1]), tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == DATA


def test_qemu_img(server: tuple[object, Path], source: Path, tmp_path: Path) -> None:
    tool("qemu-img", "compare", "-f", "raw", "-F", "raw", uri(server[1]), source)
    tool("qemu-img", "convert", "-f", "raw", "-O", "raw", uri(server[1]), tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == DATA


def test_qemu_io_cannot_write(server: tuple[object, Path], source: Path) -> None:
    tool("qemu-io", "-r", "-f", "raw", "-c", "read 0 4096", uri(server[1]))
    answer = subprocess.run(
        ["qemu-io", "-f", "raw", "-c", "write 0 4096", uri(server[1])], capture_output=True, text=True
    )
    assert answer.returncode != 0
    assert source.read_bytes() == DATA


def test_nbdkit_as_a_client(server: tuple[object, Path], tmp_path: Path) -> None:
    tool("nbdkit", "-U", "-", "nbd", uri(server[1]), "--run", f'nbdcopy "$uri" {tmp_path / "copy"}')
    assert (tmp_path / "copy").read_bytes() == DATA


def test_several_clients_at_once(server: tuple[object, Path], tmp_path: Path) -> None:
    if not shutil.which("nbdcopy"):
        pytest.skip("nbdcopy is not installed")
    copies = [tmp_path / f"copy{number}" for number in range(6)]
    running = [subprocess.Popen(["nbdcopy", uri(server[1]), copy]) for copy in copies]
    assert [process.wait(60) for process in running] == [0] * 6
    assert all(copy.read_bytes() == DATA for copy in copies)


def test_socket_is_private(server: tuple[object, Path]) -> None:
    assert stat.S_IMODE(server[1].stat().st_mode) == 0o600


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_cleanly_with_clients_connected(server: tuple[Worker, Path], number: signal.Signals) -> None:
    process, path = server
    with socket.socket(socket.AF_UNIX) as idle:
        idle.connect(os.fspath(path))
        idle.recv(18)
        os.kill(process.pid, number)
        assert process.join() == 0
        assert idle.recv(1) == b""
    assert not path.exists()


def test_workers_end_with_a_killed_server_and_its_socket_is_taken_over(
    server: tuple[Worker, Path], source: Path
) -> None:
    process, path = server
    with socket.socket(socket.AF_UNIX) as idle:
        idle.connect(os.fspath(path))
        idle.recv(18)
        process.kill()
        process.join()
        idle.settimeout(10)
        assert idle.recv(1) == b""
    assert path.is_socket()
    with listen_unix(path):
        assert path.is_socket()
    assert not path.exists()


def test_a_dead_worker_ends_the_server(server: tuple[Worker, Path]) -> None:
    process, path = server
    os.kill(children_of(process)[0], signal.SIGKILL)
    assert process.join() == 1
    assert not path.exists()


def test_a_socket_in_use_is_left_alone(tmp_path: Path) -> None:
    with listen_unix(tmp_path / "s"), pytest.raises(Busy), listen_unix(tmp_path / "s"):
        pass
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError), listen_unix(tmp_path / "file"):
        pass
    assert (tmp_path / "file").read_text() == "mine"
    with pytest.raises(UsageError), listen_unix(tmp_path / ("x" * 120)):
        pass


def test_tcp_stays_on_this_machine() -> None:
    with listen_tcp("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(Busy), listen_tcp("localhost", port):
            pass
    with pytest.raises(Busy), listen_tcp("127.0.0.1", 99999):
        pass
    for host in ("0.0.0.0", "192.0.2.1", "::"):
        with pytest.raises(Refused, match="no password"), listen_tcp(host, 0):
            pass
    with pytest.raises(UsageError), listen_tcp("example.org", 0):
        pass
