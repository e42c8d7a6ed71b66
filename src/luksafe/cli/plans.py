"""A plan as a person reads it before saying YES."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from luksafe.cli.app import App
from luksafe.cli.terminal import echo
from luksafe.cli.text import bad, count, human_size
from luksafe.ops.write.plan import WritePlan


def print_plan(app: App, plan: WritePlan) -> None:
    """Print the plan to stderr, before a question."""
    for line in _lines(app, plan):
        echo(line, err=True)


def dry_run_lines(app: App, plan: WritePlan, accepted: Sequence[str]) -> Iterator[str]:
    """The plan as the result of ``--dry-run``, and the command that writes, with the flags not yet ``accepted``.

    Where a danger has something better, that is named, and no command.
    """
    yield from _lines(app, plan)
    left = plan.dangers_left(accepted)
    flags = [danger.flag for danger in left]
    if better := list(dict.fromkeys(danger.instead for danger in left if danger.instead)):
        yield from (f"next: {words}" for words in better)
    elif all(flags) and not any(danger.destroys for danger in left):
        yield f"next: {_command_that_writes(app.words, flags)}"


def _command_that_writes(words: Sequence[str], flags: Sequence[str]) -> str:
    """The command of a dry run with these flags in the place of ``--dry-run``."""
    at = words.index("--dry-run")
    parts = [shlex.join(words[:at]), *dict.fromkeys(flags), shlex.join(words[at + 1 :])]
    return " ".join(["luksafe", *filter(None, parts)])


def _lines(app: App, plan: WritePlan) -> Iterator[str]:
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
        flag = f"  [{danger.flag}]" if danger.flag and not danger.destroys else ""
        yield f"  {bad('DANGER', colored=app.is_colored)}   {danger.text}{flag}"
    yield f"  undo     what is there now is saved in two places first ({count(len(plan.writes), 'range')})"
