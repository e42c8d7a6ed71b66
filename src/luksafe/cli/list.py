"""``luksafe list``: volumes, their backups and their escrow packets."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click

from luksafe.cli.app import App, plain, verb
from luksafe.cli.packet_lines import packet_lines
from luksafe.cli.terminal import echo
from luksafe.cli.text import age_of, dim, good, table
from luksafe.device.identity import describe
from luksafe.errors import NotFound
from luksafe.luks.model import Json
from luksafe.ops.check import packets_of
from luksafe.ops.copies import CountedCopies, listed_copies
from luksafe.ops.record import uuid_of
from luksafe.ops.recorded_device import device_backups
from luksafe.ops.target import Target, open_target
from luksafe.vault.backup import Backup

if TYPE_CHECKING:
    from luksafe.ops.escrow.summary import PacketSummary


@verb
@click.argument("target", required=False)
@click.option("--forgotten", is_flag=True, help="Show forgotten backups too.")
def command(app: App, target: str | None, forgotten: bool) -> int:
    """List volumes, their backups and packets; with TARGET (a device, UUID, label or backup) those of one volume."""
    uuid, remedy = _volume(app, target) if target else (None, "backup DEVICE   (or: luksafe backup --all)")
    try:
        with app.workspace().open_vault() as vault:
            backups = vault.backups(uuid, with_forgotten=forgotten)
            wanted, packets = vault.config.copies, packets_of(vault, uuid)
            counted = {backup.id: listed_copies(vault, backup) for backup in backups}
    except NotFound:
        backups, wanted, packets, counted = [], 3, (), {}
    app.emit(
        {
            "backups": [to_json(backup, counted[backup.id]) for backup in backups],
            "wanted_copies": wanted,
            "packets": [plain(packet) for packet in packets],
        },
        lambda: _print(app, backups, counted, wanted, packets, "yet" if target is None else f"of {target}", remedy),
    )
    return 0


def to_json(backup: Backup, counted: CountedCopies) -> Json:
    """One backup as JSON."""
    record = backup.record
    return {
        "id": backup.id,
        "uuid": record.uuid,
        "label": record.label,
        "format": record.luks,
        "seqid": record.seqid,
        "created": record.created,
        "host": record.host,
        "device": record.device.path,
        "why": record.why,
        "keyslots": [slot["slot"] for slot in _active(backup)],
        "copies": [
            {"store": c.store, "here": c.here, "verified": c.verified, "counts": c.store in counted.stores}
            for c in backup.copies
        ],
        "proven": backup.proofs[-1].when if backup.proofs else "",
        "proofs": [{"when": p.when, "method": p.method} for p in backup.proofs],
        "current": backup.is_current,
        "foreign": backup.is_foreign,
        "forgotten": backup.tombstone.when if backup.tombstone else "",
    }


def _volume(app: App, target: str) -> tuple[str, str]:
    """The volume that a target is of, and the command that helps where it has no backup.

    A UUID that no backup or file has stands for itself.
    """
    workspace = app.workspace()
    try:
        with open_target(workspace, target) as opened:
            verb = "backup" if opened.inspection.header else "diagnose"
            every = "" if opened.inspection.header else "   (all backups: luksafe list)"
            uuid = uuid_of(opened.inspection)
            return _known_at(app, opened, uuid), f"{verb} {shlex.quote(target)}{every}"
    except NotFound:
        with workspace.open_vault() as vault:
            if any(b.record.uuid.lower() == target.lower() for b in vault.backups(with_forgotten=True)):
                return target, "backup DEVICE"
        raise


def _known_at(app: App, target: Target, uuid: str) -> str:
    """The UUID; where nothing is kept of it, that of a volume that was kept from this device, whose header is lost."""
    path = target.data_path or target.header_path
    with app.workspace().vault_if_readable() as vault:
        if vault is None or path is None or (uuid and vault.backups(uuid)):
            return uuid
        known = device_backups(vault, describe(path))
    if not known:
        return uuid
    backup, tie = known[0]
    app.say(f"{path}: what is kept of the volume that was here, known by {tie.text}; next: luksafe check {path}")
    return backup.record.uuid


def _active(backup: Backup) -> list[Json]:
    slots = backup.record.parameters.get("keyslots", [])
    return [s for s in slots if isinstance(s, dict) and s.get("state") not in (None, "inactive")]


def _print(
    app: App,
    backups: Sequence[Backup],
    counted: Mapping[str, CountedCopies],
    wanted: int,
    packets: Sequence[PacketSummary],
    of: str,
    remedy: str,
) -> None:
    if not backups:
        echo(f"no backups {of}")
        if app.has_root_another_vault():
            echo("root has a vault of its own: sudo luksafe list")
    now = app.workspace().now()
    for uuid in dict.fromkeys(backup.record.uuid for backup in backups):
        of_volume = [backup for backup in backups if backup.record.uuid == uuid]
        of_volume.sort(key=lambda b: (b.is_current, b.record.created), reverse=True)
        label = f'  "{of_volume[0].record.label}"' if of_volume[0].record.label else ""
        device = of_volume[0].record.device.path
        echo(f"{uuid or '(no UUID)'}{label}  {device}")
        rows = [_row(app, backup, counted[backup.id], wanted, now) for backup in of_volume]
        head = ("id", "state", "taken", "host", "format", "slots", "copies", "proven")
        lines = list(table(rows, head, indent=2))
        for line, backup in zip(lines, [None, *of_volume], strict=True):
            colored = app.is_colored
            if backup is not None and backup.is_current:
                line = good(line, colored=colored)
            elif backup is not None:
                line = dim(line, colored=colored)
            echo(line)
        _print_packets([packet for packet in packets if packet.uuid == uuid], uuid, now)
    shown = {backup.record.uuid for backup in backups}
    for uuid in dict.fromkeys(packet.uuid for packet in packets if packet.uuid not in shown):
        echo(f"{uuid or '(no UUID)'}  no backup of its header")
        _print_packets([packet for packet in packets if packet.uuid == uuid], uuid, now)
    if not backups:
        echo(f"next: luksafe {remedy}")


def _print_packets(packets: Sequence[PacketSummary], uuid: str, now: datetime) -> None:
    for line in packet_lines(packets, uuid, now):
        echo(f"  {line}")


def _row(app: App, backup: Backup, counted: CountedCopies, wanted: int, now: datetime) -> tuple[str, ...]:
    record = backup.record
    other = "not own" if backup.is_foreign else "older"
    state = "forgotten" if backup.tombstone else "current" if backup.is_current else other
    taken = age_of(record.created, now)
    proven = age_of(backup.proofs[-1].when, now) if backup.proofs else "never"
    slots = ",".join(str(slot["slot"]) for slot in _active(backup)) or "-"
    seqid = f"{record.luks or 'damaged'}" + (f"/{record.seqid}" if record.seqid else "")
    return backup.id[:12], state, taken, record.host[:14], seqid, slots, f"{len(counted.stores)}/{wanted}", proven
