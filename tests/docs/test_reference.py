"""docs/reference.md is what the program says now. After a change of verbs or options: ``make reference``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from luksafe.cli.verbs import EXAMPLES, VERBS

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference.md"


def test_it_is_up_to_date():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, ROOT / "docs" / "make-reference"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert REFERENCE.read_text("utf-8") == done.stdout, "run: make reference"


def test_every_verb_is_in_it_and_has_an_example():
    text = REFERENCE.read_text("utf-8")
    assert [verb.name for verb in VERBS if f"### {verb.name}\n" not in text] == []
    assert {verb.name for verb in VERBS} == set(EXAMPLES)
