"""``luksafe rescue``: the guide, which looks, explains, proposes, and does one step at a time."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from luksafe.cli.app import EXIT_NEGATIVE, App, verb
from luksafe.cli.rescue_session import Session
from luksafe.errors import UsageError
from luksafe.ops.rescue.ending import what_could_exist
from luksafe.ops.rescue.look import look
from luksafe.ops.rescue.model import Outlook


@verb
@click.argument("device")
@click.option("--anew", is_flag=True, help="Begin anew instead of going on with a rescue that was left.")
def command(app: App, device: str, anew: bool) -> int:
    """Guide through the rescue of DEVICE: what happened, which ways out there are, one step at a time.

    A copy of the header region is made first. Every command is shown before it runs, and can be refused; the device
    is written to only by commands that show their plan and ask. Leave with q, come back with the same command.
    With --json nothing is asked and done: it prints the ways out.
    """
    if app.json:
        seen = look(app.workspace(), device, [])
        app.emit(_to_json(seen.outlook, device), lambda: None)
        return 0 if seen.outlook.is_healthy else EXIT_NEGATIVE
    if app.yes:
        raise UsageError("rescue asks before each step; --yes would answer what nobody has read")
    return Session(app, device).run(anew=anew)


def _to_json(outlook: Outlook, device: str) -> dict[str, Any]:
    ways = [
        {
            "key": way.key,
            "title": way.title,
            "chance": way.chance.name.lower().replace("_", "-"),
            "risk": way.risk.name.lower().replace("_", "-"),
            "why": way.why,
            "steps": [{**asdict(step), "command": list(step.command)} for step in way.steps],
        }
        for way in outlook.ways
    ]
    return {
        "verdict": outlook.verdict,
        "rule": outlook.rule,
        "urgent": list(outlook.urgent),
        "story": list(outlook.story),
        "avoid": list(outlook.avoid),
        "ways": ways,
        "missing": outlook.missing.value,
        "could_exist": [asdict(hope) for hope in what_could_exist(outlook.missing, device)],
    }
