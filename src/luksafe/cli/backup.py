"""``luksafe backup``: save headers in the vault and every store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

import click

from luksafe.cli.app import EXIT_NEGATIVE, EXIT_WARNINGS, App, verb
from luksafe.cli.copies import missing_copies
from luksafe.cli.dangers import damaged_keyslot_option
from luksafe.cli.targets import header_option
from luksafe.cli.text import count, human_size
from luksafe.errors import LuksafeError, NotFound, UsageError
from luksafe.luks.model import Json
from luksafe.ops.backup import BackupReport, backup_device
from luksafe.ops.moment import LUKS1_NOTE
from luksafe.ops.roster import MissingVolume, Roster, machine_and_vault


@verb
@click.argument("devices", nargs=-1)
@header_option
@click.option("--all", "every", is_flag=True, help="Every LUKS volume of this machine and of the vault.")
@click.option("--full", is_flag=True, help="Keep the whole header area, unused space too.")
@click.option("--again", is_flag=True, help="Keep a header that was forgotten before.")
@damaged_keyslot_option
@click.option("--why", default="", help="A note that is kept with the backup.")
def command(
    app: App,
    devices: tuple[str, ...],
    header_file: str | None,
    every: bool,
    full: bool,
    again: bool,
    allow_damaged: bool,
    why: str,
) -> int:
    """Save the header of each DEVICE in the vault and in every store that is here."""
    if not every and not devices:
        raise UsageError("name a device, or use --all", hint="see which devices there are: lsblk -f")
    roster = machine_and_vault(app.workspace()) if every else Roster(tuple((d, header_file) for d in devices))
    wanted = roster.devices
    if not wanted and not roster.missing:
        raise NotFound("no LUKS volume was found on this machine, and the vault knows of none")
    reports: list[BackupReport] = []
    failures: list[LuksafeError] = []
    for device, header in wanted:
        try:
            refuse = not allow_damaged
            report = backup_device(
                app.workspace(),
                device,
                header,
                full=full,
                again=again,
                why=why,
                refuse_damaged=refuse,
                is_named=not every,
            )
            reports.append(report)
        except LuksafeError as problem:
            if len(wanted) == 1 and not roster.missing:
                raise
            app.warn(f"{device}: {problem}")
            failures.append(problem)
    app.emit(
        {"backups": [to_json(r) for r in reports], "missing": [missing_json(m) for m in roster.missing]},
        lambda: chain(
            chain.from_iterable(
                _lines(report, verbose=app.verbose) for report in reports if not app.quiet or _has_warnings(report)
            ),
            _missing_lines([missing for missing in roster.missing if not app.quiet or missing.is_lost]),
        ),
    )
    is_lost = any(missing.is_lost for missing in roster.missing)
    if failures and not reports:
        return failures[0].exit_status
    if is_lost and not reports:
        return EXIT_NEGATIVE
    return EXIT_WARNINGS if failures or is_lost or any(_has_warnings(report) for report in reports) else 0


def missing_json(missing: MissingVolume) -> Json:
    """A volume that the vault knows and that is not on this machine, as JSON."""
    return {
        "uuid": missing.uuid,
        "fate": missing.fate,
        "device": missing.device,
        "backup": missing.backup.id,
        "text": missing.text,
        "next": missing.next,
        "last_seen": missing.seen,
    }


def _missing_lines(missing: Sequence[MissingVolume]) -> Iterator[str]:
    for volume in sorted(missing, key=lambda volume: not volume.is_lost):
        yield f"{'LOST    ' if volume.is_lost else 'absent  '}{volume.uuid}: {volume.text}"
        if volume.next:
            yield f"  next    {volume.next}"


def to_json(report: BackupReport) -> Json:
    """One backup as JSON."""
    return {
        "id": report.added.id,
        "uuid": report.uuid,
        "device": report.device,
        "new": report.added.new,
        "returned": report.added.returned,
        "stores": report.added.stores,
        "copies": list(report.copies.stores),
        "uncounted": [{"store": name, "why": why} for name, why in report.copies.others],
        "wanted_copies": report.wanted_copies,
        "away": [store.name for store in report.added.away],
        "problems": [problem.text for problem in report.added.problems],
        "changes": list(report.changes),
        "size": len(report.taken.image),
        "stored_bytes": report.stored_bytes,
        "kept": [list(part) for part in report.taken.kept],
        "whole": report.taken.why_whole,
        "unreadable": [list(part) for part in report.taken.unreadable],
        "lock": report.lock_note or "held",
        "damaged": [found.words("the device") for found in report.damaged],
        "destroyed_keyslots": list(report.destroyed),
        "erased": bool(report.erased),
        "weaknesses": report.weaknesses,
        "open_without_header": report.lost.text if report.lost else None,
        "replaced": [reason.text for reason in report.replaced],
        "resized": report.resized.text if report.resized else None,
    }


def _has_warnings(report: BackupReport) -> bool:
    is_shrunk = report.resized is not None and report.resized.severity == "critical"
    if report.lost or report.dangers or report.replaced or is_shrunk:
        return True
    return bool(report.added.problems or report.taken.unreadable or report.inspection.is_refused)


def _lines(report: BackupReport, *, verbose: bool) -> Iterator[str]:
    added = report.added
    what = "backed up" if added.new else "unchanged, stored already"
    if added.returned:
        what = "went back to a header that was stored before"
    yield f"{report.device}: {what}"
    yield f"  backup  {added.id}"
    yield f"  volume  {report.uuid or '(no UUID)'}"
    good = len(report.copies.stores)
    names = f": {report.copies.names}" if good else ""
    yield f"  copies  {good} of {report.wanted_copies} wanted{names} ({human_size(report.stored_bytes)} each)"
    for reason in report.copies.reasons:
        yield f"  no copy {reason}"
    for change in report.changes:
        yield f"  change  {change}"
    if report.taken.why_whole:
        yield f"  whole   all {human_size(len(report.taken.image))} were kept: {report.taken.why_whole}"
    for start, end in report.taken.unreadable:
        yield f"  unreadable  bytes {start} to {end}"
    yield from missing_copies(added.away, added.problems)
    yield from _danger_lines(report)
    if report.lock_note and (verbose or report.lock_note != LUKS1_NOTE):
        yield f"  note    read without cryptsetup's lock: {report.lock_note}"
    if good < report.wanted_copies and not added.away and not added.problems:
        missing = report.wanted_copies - good
        yield f"  next    luksafe stores add NAME DIR   ({count(missing, 'copy')} missing)"
    elif report.is_proven:
        yield f"  next    luksafe check {report.device}"
    else:
        yield f"  next    luksafe prove {added.id[:12]} --data {report.device}"


def _danger_lines(report: BackupReport) -> Iterator[str]:
    """What the user should look at first, each with the command that helps."""
    for danger in report.dangers:
        yield f"  DANGER  {danger}"
    for text in report.weaknesses:
        yield f"  note    {text}"
    if report.erased and report.opens:
        yield f"  next    luksafe restore {report.opens[:12]} {report.device} --dry-run"
    elif report.dangers:
        yield f"  next    luksafe diagnose {report.device}"
    if report.resized:
        is_shrunk = report.resized.severity == "critical"
        yield f"  {'DANGER ' if is_shrunk else 'note   '} {report.resized.text}"
        yield from [f"  next    {report.resized.next}"] if is_shrunk else []
    for replaced in report.replaced:
        yield f"  DANGER  {replaced.text}"
        yield f"  next    {replaced.next}"
    if report.lost:
        yield f"  DANGER  {report.lost.text}"
        yield f"  next    {report.lost.header.next}"
