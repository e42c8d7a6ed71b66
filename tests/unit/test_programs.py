"""Root runs no program that a folder of somebody's PATH happens to hold."""

from __future__ import annotations

import ast
import os
import subprocess
from pathlib import Path

import pytest

import luksafe
from luksafe.device.cryptsetup import run_cryptsetup
from luksafe.device.crypttab import find_device
from luksafe.programs import ROOT_PATH, environment, find_program, fixed_path, search_path

SOURCE = Path(luksafe.__file__).parent
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="what is for root")


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder first in PATH whose programs leave a trace."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("cryptsetup", "blkid", "losetup", "lsblk", "dmsetup", "udevadm"):
        (folder / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran-$(basename $0)\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return tmp_path


@as_root
def test_what_a_path_plants_is_not_run_by_root(planted: Path) -> None:
    if find_program("cryptsetup"):
        assert run_cryptsetup(["--version"]).startswith("cryptsetup")
    find_device("UUID=00000000-0000-0000-0000-000000000000")
    assert not list(planted.glob("ran-*"))
    assert search_path() == ROOT_PATH == environment()["PATH"]
    with fixed_path():
        subprocess.run(["/bin/sh", "-c", "blkid -V || true"], check=True, capture_output=True)
    assert not list(planted.glob("ran-*"))
    assert os.environ["PATH"].startswith(str(planted))


def test_a_relative_folder_of_path_counts_for_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "planted").write_text("#!/bin/sh\n")
    (tmp_path / "planted").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    for uid in (0, 1000):
        monkeypatch.setattr(os, "geteuid", lambda uid=uid: uid)
        monkeypatch.setenv("PATH", ".::bin:/bin")
        assert find_program("planted") is None
        found = find_program("sh")
        assert found is not None and found.startswith("/")


def test_every_program_is_found_in_one_place() -> None:
    """No call names a program without its path; Python starts itself without the present folder on its path."""
    for file in SOURCE.rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text())):
            if not isinstance(call, ast.Call) or "subprocess" not in ast.unparse(call.func):
                continue
            words = call.args[0]
            assert any(keyword.arg == "env" for keyword in call.keywords), f"{file}:{call.lineno} lends PATH"
            if isinstance(words, ast.List):
                first = words.elts[0]
                assert not isinstance(first, ast.Constant) or str(first.value).startswith("/"), f"{file}:{call.lineno}"
                if ast.unparse(first) == "sys.executable":
                    assert ast.unparse(words.elts[1]) == "'-P'", f"{file}:{call.lineno}"
        assert file.name == "programs.py" or "shutil.which" not in file.read_text(), file
