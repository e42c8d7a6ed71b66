"""The process that takes back an enrolment when its parent is killed: python -m luksafe.ops.escrow.watcher."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from luksafe.device.signals import INTERRUPTS
from luksafe.ops.escrow.enrolment import DONE
from luksafe.ops.escrow.unfinished import take_back_noted
from luksafe.ops.workspace import Workspace


def watch(workspace: Workspace, path: Path, pipe: int) -> None:
    """Wait until nobody holds the pipe any more; unless the end was told, take back what the note says."""
    for number in INTERRUPTS:
        signal.signal(number, signal.SIG_IGN)
    told = b""
    while piece := os.read(pipe, 64):
        told += piece
    if told != DONE:
        take_back_noted(workspace, path)


if __name__ == "__main__":
    vault, state, note, pipe = sys.argv[1:]
    watch(Workspace(Path(vault), state_folder=Path(state), allow_foreign=True), Path(note), int(pipe))
