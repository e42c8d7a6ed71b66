"""Running luksafe as a user does: in this process for speed, in another where terminals or kills matter."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import escrow_samples as samples
import pytest
from generators.headers import PASSPHRASE, luks1_image, luks2_image

from luksafe.cli.app import App
from luksafe.cli.main import main

PR_SET_DUMPABLE = 4
UNPRIVILEGED = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
"""What a command begins with that may read no file against its mode, also where the tests run as root."""


@dataclass
class Ran:
    """What a command did."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class World:
    """A folder with a vault, a passphrase file and images; ``run`` runs luksafe there."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.vault = folder / "vault"
        self.key_file = folder / "passphrase"
        self.key_file.write_bytes(PASSPHRASE)
        self._capture = capture
        self._mounted: list[Path] = []

    def run(self, *arguments: object) -> Ran:
        App._current = None
        self._capture.readouterr()
        with pytest.raises(SystemExit) as leave:
            main(["--vault", str(self.vault), *map(str, arguments)])
        out, err = self._capture.readouterr()
        assert "Traceback" not in err
        return Ran(int(leave.value.code or 0), out, err)

    def process(self, *arguments: object, prefix: tuple[str, ...] = (), stdin: bytes = b"") -> Ran:
        """In a process of its own, without a terminal."""
        done = subprocess.run(
            [*prefix, sys.executable, "-m", "luksafe", "--vault", self.vault, *map(str, arguments)],
            input=stdin,
            capture_output=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())

    @contextmanager
    def running(self, *arguments: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
        """A verb that goes on until it is stopped, and the first line that it prints."""
        process = subprocess.Popen(
            [sys.executable, "-m", "luksafe", "--vault", self.vault, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            process.wait(20)
            for stream in (process.stdout, process.stderr):
                if stream:
                    stream.close()

    def image(self, name: str = "disk.img", data: bytes | None = None) -> Path:
        path = self.folder / name
        path.write_bytes(luks2_image() + bytes(1 << 20) if data is None else data)
        return path

    def luks1(self, name: str = "disk1.img") -> Path:
        return self.image(name, luks1_image() + bytes(1 << 20))

    def disk(self, name: str) -> Path:
        """A folder on a disk of its own; skips where the tests may not mount one."""
        path = self.folder / name
        path.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "none", path], capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"a disk of its own needs root: {done.stderr.strip()}")
        self._mounted.append(path)
        return path

    def unmount(self) -> None:
        for path in reversed(self._mounted):
            subprocess.run(["umount", "--lazy", path], capture_output=True)

    def stores(self, count: int = 2, *, move_home: bool = True) -> list[Path]:
        """Stores on disks of their own, and the vault moved to one, so that with an image here each is a copy."""
        paths = []
        if move_home and not self._mounted:
            home = self.disk("disk-of-home")
            if self.vault.exists():
                shutil.copytree(self.vault, home, dirs_exist_ok=True)
                shutil.rmtree(self.vault)
            self.vault.mkdir(mode=0o700)
            subprocess.run(["mount", "--bind", home, self.vault], check=True)
            self._mounted.append(self.vault)
        for number in range(count):
            path = self.folder / f"store{number}"
            inside = self.disk(f"disk{number}") / "store"
            inside.mkdir(mode=0o700)
            path.symlink_to(inside)
            assert self.run("stores", "add", f"s{number}", path).status == 0
            paths.append(path)
        return paths


@pytest.fixture
def world(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    # loop devices that other tests have attached meanwhile carry the same volume
    monkeypatch.setattr("luksafe.ops.elsewhere.find_luks_devices", list)
    made = World(tmp_path, capsys)
    yield made
    made.unmount()
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # a verb keeps the memory of its process private


@pytest.fixture
def recipient() -> str:
    """Somebody who may open a packet."""
    return str(samples.age_identity().to_public())


@pytest.fixture
def identity(world: World) -> Path:
    """The file that opens what is sealed to ``recipient``."""
    path = world.folder / "identity.txt"
    path.write_text(f"# keeper\n{samples.age_identity()}\n")
    return path
