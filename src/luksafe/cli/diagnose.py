"""``luksafe diagnose``: what is damaged, where, by what, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from luksafe.cli.app import EXIT_NEGATIVE, App, verb
from luksafe.cli.diagnosis_text import diagnosis_lines, map_lines
from luksafe.cli.keys import KeyOptions, key_options_without_packet
from luksafe.cli.targets import header_option, target_argument
from luksafe.errors import Unsupported
from luksafe.ops.diagnosis.attempt import KeyTrial
from luksafe.ops.diagnosis.facts import Facts, gather
from luksafe.ops.diagnosis.judge import diagnose
from luksafe.ops.diagnosis.model import Diagnosis, Verdict
from luksafe.ops.new_file import write_new_file
from luksafe.ops.target import open_target


@verb
@target_argument
@header_option
@click.option("--data", help="The device or image that holds the data, where TARGET is a header alone.")
@click.option("--try-variants", is_flag=True, help="Try what another keyboard layout, caps lock … would have typed.")
@click.option("--map", "with_map", is_flag=True, help="Draw the header area to scale.")
@click.option("--html", type=click.Path(path_type=Path), help="Write a report to look at or to send, without secrets.")
@click.option("--svg", type=click.Path(path_type=Path), help="Write the picture alone.")
@key_options_without_packet
def command(
    app: App,
    target: str,
    header_file: str | None,
    data: str | None,
    try_variants: bool,
    with_map: bool,
    html: Path | None,
    svg: Path | None,
    key: KeyOptions,
) -> int:
    """Say of TARGET what is damaged, where, by what, what still works and what to do next. Writes nothing to it.

    With a key option (or --try-variants) the key is tried as well: is it wrong, or is the keyslot damaged?
    Exit status 0 when it is healthy, 10 when it is not, 13 when nothing here knows its kind.
    """
    workspace = app.workspace()
    with open_target(workspace, target, header_file) as opened, _trial(app, key, try_variants, target) as trial:
        facts = gather(workspace, opened, data=data, trial=trial)
    diagnosis = diagnose(facts)
    _write_reports(app, diagnosis, facts, html, svg)
    app.emit(diagnosis.to_json(), lambda: _lines(app, diagnosis, with_map))
    if diagnosis.verdict is Verdict.UNSUPPORTED:
        return Unsupported.exit_status
    return 0 if diagnosis.verdict is Verdict.HEALTHY else EXIT_NEGATIVE


@contextmanager
def _trial(app: App, key: KeyOptions, with_variants: bool, target: str) -> Iterator[KeyTrial | None]:
    """The key to try, wiped afterwards; None when none was asked for."""
    if not key.is_given and not with_variants:
        yield None
    elif key.volume_key_file:
        with key.volume_key() as volume_key:
            yield KeyTrial(volume_key=volume_key, limits=key.limits)
    else:
        with key.passphrase(target) as passphrase:
            yield KeyTrial(
                passphrase=passphrase,
                keyslot=key.key_slot,
                with_variants=with_variants,
                limits=key.limits,
                say=app.say,
            )


def _write_reports(app: App, diagnosis: Diagnosis, facts: Facts, html: Path | None, svg: Path | None) -> None:
    if html is None and svg is None:
        return
    from luksafe.cli.diagnosis_report.drawing import draw
    from luksafe.cli.diagnosis_report.page import render_page

    drawing = draw(diagnosis, facts)
    if svg is not None:
        write_new_file(svg, drawing.encode())
        app.say(f"picture written to {svg}")
    if html is not None:
        write_new_file(html, render_page(diagnosis, drawing).encode())
        app.say(f"report written to {html}")


def _lines(app: App, diagnosis: Diagnosis, with_map: bool) -> Iterator[str]:
    yield from diagnosis_lines(diagnosis, colored=app.is_colored, verbose=app.verbose)
    if with_map:
        yield ""
        yield from map_lines(diagnosis, colored=app.is_colored)
