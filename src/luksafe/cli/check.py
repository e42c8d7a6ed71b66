"""``luksafe check``: is each volume safe?"""

from __future__ import annotations

import click

from luksafe.cli.app import EXIT_NEGATIVE, EXIT_WARNINGS, App, plain, verb
from luksafe.cli.packet_lines import packet_lines
from luksafe.cli.targets import header_option
from luksafe.cli.terminal import echo
from luksafe.cli.text import bad, good
from luksafe.errors import NotFound
from luksafe.ops.check import check_devices
from luksafe.ops.check_report import CheckReport, Reason, VolumeCheck


@verb
@click.argument("devices", nargs=-1)
@header_option
@click.option(
    "--all",
    "every",
    is_flag=True,
    help="Every LUKS volume of this machine and of the vault (also without DEVICE).",
)
def command(app: App, devices: tuple[str, ...], header_file: str | None, every: bool) -> int:
    """Say of each DEVICE whether it is safe: current backup, enough copies, all intact, one proven.

    Exit status 0 when all are safe; 3 when all that is wrong are warnings: never proven, too few copies, a store away;
    10 when a volume is damaged, lost, changed since its backup, or has none.
    """
    wanted = [(device, header_file) for device in devices]
    report = check_devices(app.workspace(), wanted, everything=every or not devices)
    if not report.volumes:
        raise NotFound(
            "no LUKS volume was found on this machine, and the vault knows of none", hint="name a device or an image"
        )
    app.emit(
        {"volumes": [plain(v) for v in report.volumes], "stores": plain(report.stores)}, lambda: _print(app, report)
    )
    found = {volume.severity for volume in report.volumes}
    if "critical" in found:
        return EXIT_NEGATIVE
    return EXIT_WARNINGS if report.stores or "warning" in found else 0


def _print(app: App, report: CheckReport) -> None:
    for volume in report.volumes:
        if not app.quiet or volume.severity or volume.state != "safe":
            _print_volume(app, volume)
    for reason in report.stores:
        echo(f"store {reason.text}")
        echo(f"  next: {reason.next}")


def _print_volume(app: App, volume: VolumeCheck) -> None:
    paint = good if volume.state == "safe" else bad
    state = paint(volume.state.upper(), colored=app.is_colored)
    echo(f"{state}  {volume.device}  {volume.uuid}")
    if volume.backup_id:
        proven = f"proven {volume.proven} by {_by(volume)}" if volume.proven else "never proven"
        have = f"{len(volume.copies)} of {volume.wanted_copies} copies"
        names = ", ".join(f"{name} (away)" if name in volume.away else name for name in volume.copies)
        echo(f"  backup {volume.backup_id[:12]}, {have} ({names or 'none'}), {proven}")
    for line in packet_lines(volume.packets, volume.uuid, app.workspace().now()):
        echo(f"  {line}")
    for reason in volume.reasons:
        _print_reason(reason)
    for note in (*volume.notes, *volume.weaknesses):
        _print_reason(note, "note: ")


def _by(volume: VolumeCheck) -> str:
    """What the proof showed."""
    if volume.rests_on == "data":
        return f"its data ({volume.found})"
    return "a key that opens it, not by its data"


def _print_reason(reason: Reason, label: str = "") -> None:
    echo(f"  - {label}{reason.text}")
    if reason.next:
        echo(f"      next: {reason.next}")
