"""``luksafe prove``: open a header with a key and say what the data are."""

from __future__ import annotations

from pathlib import Path

import click

from luksafe.cli.app import EXIT_NEGATIVE, EXIT_WARNINGS, App, verb
from luksafe.cli.escrow.identities import Openers
from luksafe.cli.keys import KeyOptions, key_options
from luksafe.cli.proof_keys import packet_openers, proof_key
from luksafe.cli.show import raise_with_result
from luksafe.cli.targets import header_option, target_argument
from luksafe.cli.terminal import echo
from luksafe.cli.text import bad, good
from luksafe.errors import LuksafeError
from luksafe.luks.finding import Severity
from luksafe.luks.model import Json
from luksafe.ops.describe import describe_finding
from luksafe.ops.proof import ProofReport, prove
from luksafe.ops.target import Target, open_target
from luksafe.vault.record import NOT_RECOGNISED


@verb
@target_argument
@header_option
@click.option("--data", type=click.Path(path_type=Path), help="The device or image that holds the data.")
@packet_openers
@key_options
def command(
    app: App, target: str, header_file: str | None, data: Path | None, key: KeyOptions, openers: Openers
) -> int:
    """Open TARGET's header with a key, verify the volume key, decrypt the data and recognise what is in them."""
    with open_target(app.workspace(), target, header_file) as opened:
        base: Json = {
            "opened": False,
            "keyslot": None,
            "volume_key_sha256": None,
            "data": {"checked": False, "found": "", "why": ""},
            "uuid": opened.inspection.header.uuid if opened.inspection.header else "",
            "target": opened.description,
            "findings": [describe_finding(f) for f in opened.inspection.all_findings],
        }
        if opened.inspection.header is None:
            raise_with_result(opened, base)
        try:
            report = _prove(app, opened, data, key, openers)
        except LuksafeError as problem:
            problem.result = {**base, **problem.result}
            raise
        app.emit({**base, **_to_json(report)}, lambda: _print(app, opened, report))
        if report.flaws:
            return EXIT_NEGATIVE
        if report.data.is_doubtful:
            return EXIT_NEGATIVE if report.expected else EXIT_WARNINGS
        worst = report.unproven_digests or any(f.severity is not Severity.INFO for f in opened.inspection.all_findings)
        return EXIT_WARNINGS if worst else 0


def _prove(app: App, opened: Target, data: Path | None, key: KeyOptions, openers: Openers) -> ProofReport:
    with proof_key(app, key, opened.description, openers) as given:
        return prove(
            app.workspace(),
            opened,
            passphrase=given.passphrase,
            volume_key=given.volume_key,
            keyslot=given.keyslot,
            data=data,
            limits=given.limits,
        )


def _to_json(report: ProofReport) -> Json:
    return {
        "opened": True,
        "keyslot": report.keyslot,
        "volume_key_sha256": report.volume_key_sha256,
        "digest": report.digest_id,
        "digests": list(report.digests),
        "unproven_digests": list(report.unproven_digests),
        "flaws": list(report.flaws),
        "unbound": report.is_unbound,
        "data": {
            "checked": report.data.checked,
            "found": report.data.found,
            "why": report.data.why,
            "makes_sense": report.data.makes_sense,
        },
        "expected": report.expected,
        "noted_with": report.noted_with,
        "noted_as": _noted_as(report),
    }


def _noted_as(report: ProofReport) -> str:
    if not report.noted_with:
        return ""
    return "data" if report.data.found not in NOT_RECOGNISED and not report.is_noise else "opens"


def _print(app: App, target: Target, report: ProofReport) -> None:
    who = "the volume key" if report.keyslot is None else f"keyslot {report.keyslot}"
    if report.flaws or report.data.is_doubtful:
        word = bad("opens, not proven", colored=app.is_colored)
    else:
        word = good("proven", colored=app.is_colored)
    echo(f"{word}: {who} opens {target.description}")
    echo(f"  digest {', '.join(map(str, report.digests))} confirms the volume key")
    for flaw in report.flaws:
        echo(f"  {bad('error', colored=app.is_colored)}: {flaw}")
    for digest in report.unproven_digests:
        text = f"the key of digest {digest}, which the data need as well, was not opened"
        echo(f"  {bad('warning', colored=app.is_colored)}: {text}")
    _print_data(app, report)
    if report.noted_with:
        only = "" if _noted_as(report) == "data" else ": that a key opens it; the data were not recognised"
        echo(f"  noted with backup {report.noted_with[:12]}{only}")
    for finding in target.inspection.findings:
        if finding.severity is not Severity.INFO:
            echo(f"  {finding.severity.value}: {finding.text}")


def _print_data(app: App, report: ProofReport) -> None:
    data = report.data
    if not data.checked:
        echo(f"  the data were not looked at: {data.why}")
    elif report.is_noise:
        echo(f"  {bad('the data make no sense', colored=app.is_colored)}: {data.why}")
        if report.expected:
            echo(f"  they should: {report.expected}; nothing was noted")
        else:
            echo("  on a volume that was never written to that is so; nothing was ever recognised on this one")
    elif data.is_doubtful:
        echo(f"  {bad('the data are nothing known', colored=app.is_colored)}, though no noise: {data.why}")
        echo("  some ciphers leave as much at a wrong place: with nothing known at its place it is no proof")
        if report.expected:
            echo(f"  they should be known: {report.expected}; nothing was noted")
    else:
        echo(f"  the data decrypt to: {data.found}")
        if app.verbose and data.why:
            echo(f"    because {data.why}")
