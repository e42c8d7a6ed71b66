"""Every system call that changes something is once the last one, or fails, in everything that a vault does."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

DRIVER = Path(__file__).with_name("cut_points.py")
SCENARIOS = ["add", "go-back", "prove", "forget", "sync", "configure", "undo"]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is some: hundreds of vaults are made, each file of them synced."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as made:
        yield Path(made)


def sweep(scenario: str, fault: str, folder: Path) -> int:
    """The number of cuts that were survived."""
    run = subprocess.run([sys.executable, DRIVER, scenario, fault, folder], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return int(run.stdout)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_killed_at_every_call(scenario: str, folder: Path) -> None:
    assert sweep(scenario, "kill", folder) > 10


@pytest.mark.parametrize("scenario", ["add", "sync", "undo"])
def test_killed_in_the_middle_of_every_write(scenario: str, folder: Path) -> None:
    assert sweep(scenario, "tear", folder) > 10


@pytest.mark.parametrize("fault", [pytest.param("EIO", marks=pytest.mark.slow), "ENOSPC+"])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_call_fails(scenario: str, fault: str, folder: Path) -> None:
    assert sweep(scenario, fault, folder) > 10
