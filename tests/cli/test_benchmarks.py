"""The benchmarks run, on tiny inputs; what they measure is for people to read."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def run(name: str, *options: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(BENCHMARKS / name), *options]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_startup_prints_both_medians():
    assert len(re.findall(r"median \d+\.\d{3} s", run("startup", "--runs", "1"))) == 2


def test_unlock_prints_ratios_for_both_kdfs():
    if shutil.which("cryptsetup", path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None:
        pytest.skip("cryptsetup is not installed")
    printed = run("unlock", "--runs", "1", "--cheap")
    assert len(re.findall(r"ratio +\d+\.\d\d", printed)) == 12
    assert "argon2id" in printed
    assert "pbkdf2" in printed


def test_the_help_is_printed_without_the_vault_or_any_library_but_click():
    code = "import sys; from luksafe.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    heavy = ("luksafe.vault", "luksafe.luks", "msgspec", "cryptography", "numpy", "rich", "asyncio")
    code += f"print([m for m in {heavy!r} if m in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines()[-1] == "[]"
