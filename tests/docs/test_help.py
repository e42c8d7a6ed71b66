"""``--help`` is read on a terminal of 80 columns by somebody in a hurry: it fits, and shows how the verb is typed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import click
import pytest

from luksafe.cli.main import cli
from luksafe.cli.verbs import EXAMPLES

ROOT = Path(__file__).resolve().parents[2]


@cache
def reference() -> str:
    """What docs/make-reference writes: the help of every verb."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, ROOT / "docs" / "make-reference"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_help_of_every_verb_fits_80_columns():
    assert [line for line in reference().splitlines() if len(line) > 80 and "](" not in line and "`" not in line] == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_verb_is_in_the_reference_and_shows_how_it_is_typed(name):
    chapter = re.search(rf"(?ms)^### {name}\n(.*?)(?=^##|\Z)", reference())
    assert chapter is not None
    assert f"  Example:\n    {EXAMPLES[name]}\n" in chapter[1]
    assert len(f"    {EXAMPLES[name]}") <= 80


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_is_one_that_the_verb_takes(name):
    """Every word of it that is an option is one, and the arguments are as many as it wants."""
    words = [w for w in shlex.split(EXAMPLES[name]) if w != "sudo"]
    assert words[:2] == ["luksafe", name]
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    words, context = words[2:], click.Context(command, info_name=name)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        command = command.get_command(context, words[0])
        assert command is not None, words[0]
        words, context = words[1:], click.Context(command, info_name=words[0])
    command.make_parser(context).parse_args(list(words))
    for parameter in command.params:
        if isinstance(parameter, click.Argument) and parameter.required:
            assert [w for w in words if not w.startswith("-")]
