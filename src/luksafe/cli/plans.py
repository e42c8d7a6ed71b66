"""A plan as a person reads it before saying YES."""

from __future__ import annotations

import shlex
import sys
import textwrap
from collections.abc import Iterable

import click

from luksafe.cli.app import App
from luksafe.cli.text import bad, count, human_size
from luksafe.ops.write.plan import WritePlan

_TERMINAL_COLUMNS = 79


def print_plan(app: App, plan: WritePlan, *, to_stderr: bool) -> None:
    """Print the plan: to stderr before a question, to stdout when it is the result (``--dry-run``)."""
    width = _TERMINAL_COLUMNS if (sys.stderr if to_stderr else sys.stdout).isatty() else None
    for line in _lines(app, plan):
        for part in _wrapped(line, width):
            click.echo(part, err=to_stderr)
    if not to_stderr and (command := _command_that_writes(plan)):
        click.echo(f"next: {command}")


def _command_that_writes(plan: WritePlan) -> str:
    """The command of this dry run as it would write, with the flags that are missing; empty where none helps."""
    words = sys.argv[1:]
    given = [danger.flag for danger in plan.dangers if f" {danger.flag} " in f" {' '.join(words)} ".replace("=", " ")]
    left = [danger.flag for danger in plan.dangers_left(given)]
    if "--dry-run" not in words or not all(left):
        return ""
    command = shlex.join(["luksafe", *(word for word in words if word != "--dry-run")])
    return " ".join([command, *dict.fromkeys(left)])


def _wrapped(line: str, width: int | None) -> Iterable[str]:
    """The line in pieces that a terminal shows without breaking words; as it is where nobody looks."""
    if width is None or len(click.unstyle(line)) <= width:
        return [line]
    return textwrap.wrap(line, width, subsequent_indent=" " * 11, break_long_words=False, break_on_hyphens=False)


def _lines(app: App, plan: WritePlan) -> Iterable[str]:
    target = plan.target
    name = " ".join(part for part in (target.model, target.serial) if part)
    yield f"PLAN: {plan.purpose} {plan.source}".rstrip()
    yield f"  target   {target.path}, {human_size(target.size_bytes)}" + (f", {name}" if name else "")
    if plan.uuid:
        yield f"  volume   {plan.uuid}"
    for note in plan.notes:
        yield f"  note     {note}"
    for change in plan.changes:
        yield f"  change   {change}"
    for phase in plan.phases:
        size = sum(len(write.new) for write in phase.writes)
        same = all(write.old == write.new for write in phase.writes)
        where = ", ".join(f"{write.offset}-{write.end}" for write in phase.writes[:3])
        more = f" and {len(phase.writes) - 3} more" if len(phase.writes) > 3 else ""
        yield f"  write    {phase.name}: {human_size(size)} at bytes {where}{more}" + (
            " (equal already)" if same else ""
        )
    for danger in plan.dangers:
        flag = f"  [{danger.flag}]" if danger.flag else ""
        yield f"  {bad('DANGER', colored=app.is_colored)}   {danger.text}{flag}"
    yield f"  undo     what is there now is saved in two places first ({count(len(plan.writes), 'range')})"
