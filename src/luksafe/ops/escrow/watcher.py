"""The process that takes back an enrolment when its parent is killed: python -m luksafe.ops.escrow.watcher."""

from __future__ import annotations

import sys
from pathlib import Path

from luksafe.ops.escrow.enrolment import watch
from luksafe.ops.workspace import Workspace

if __name__ == "__main__":
    vault, state, note, pipe = sys.argv[1:]
    watch(Workspace(Path(vault), state_folder=Path(state)), Path(note), int(pipe))
