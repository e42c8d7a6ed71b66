"""Every command that a diagnosis of the corpus prints is one: the parser reads its verb, options and arguments."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
from conftest import Corpus, load_corpus, write_sparse

from luksafe.cli.main import cli
from luksafe.ops.diagnosis.facts import gather
from luksafe.ops.diagnosis.judge import diagnose
from luksafe.ops.target import open_target
from luksafe.ops.workspace import Workspace

CORPUS = load_corpus()
CASES = [name for name, case in CORPUS.cases.items() if "image" in case["files"]] if CORPUS else []
OTHER_PROGRAMS = {"cryptsetup", "losetup", "lsblk", "ls", "dd", "qemu-img", "gunzip", "gzip", "xz", "zstd", "ewfexport"}


def require_command(line: str) -> None:
    """Raises click's error for a line that the program does not understand."""
    program, *words = shlex.split(line)
    if program != "luksafe":
        assert program in OTHER_PROGRAMS, line
        return
    command: click.Command = cli
    with click.Context(cli) as context:
        while isinstance(command, click.Group):
            found = command.get_command(context, words.pop(0))
            assert found is not None, line
            command = found
    with command.make_context("luksafe", words):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("case_id", CASES)
def test_what_a_diagnosis_prints_runs_as_printed(case_id: str, corpus: Corpus, tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    write_sparse(path, corpus.data(case_id))
    workspace = Workspace(tmp_path / "no-vault", state_folder=tmp_path / "state")
    with open_target(workspace, str(path)) as target:
        diagnosis = diagnose(gather(workspace, target))
    assert diagnosis.next
    for line in diagnosis.next:
        assert not re.search(r"  +|\(", line), line  # no remark in the line
        require_command(line)
    assert len(set(diagnosis.next)) == len(diagnosis.next)
