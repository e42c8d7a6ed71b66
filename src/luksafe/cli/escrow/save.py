"""``luksafe escrow save``: seal the key of a volume."""

from __future__ import annotations

from itertools import chain

import click

from luksafe.cli.app import EXIT_WARNINGS, App, verb
from luksafe.cli.escrow.sealing import SealOptions, has_warnings, seal_options
from luksafe.cli.keys import KeyOptions, key_options
from luksafe.cli.prompts import confirm
from luksafe.cli.targets import header_option
from luksafe.errors import LuksafeError, NotFound, UsageError
from luksafe.escrow.contents import SecretKind
from luksafe.ops.check import every_device
from luksafe.ops.escrow.keeping import KeptPacket
from luksafe.ops.escrow.recovery import plan_recovery, save_recovery_key
from luksafe.ops.escrow.save import SaveOrder, save
from luksafe.ops.escrow.volume import ProvenVolume, prove_volume
from luksafe.ops.rebuild.from_mapping import key_of_mapping
from luksafe.ops.target import Target, open_target, require_path
from luksafe.secret import SecretBytes


@verb
@click.argument("devices", nargs=-1)
@header_option
@click.option("--all", "every", is_flag=True, help="Every LUKS volume of this machine.")
@click.option("--secret", type=click.Choice(["volume-key", "passphrase"]), multiple=True, help="What to seal.")
@click.option("--from-mapping", metavar="NAME", help="Take the volume key of the active mapping NAME.")
@click.option("--recovery-key", is_flag=True, help="Add a fresh recovery key to a free keyslot, and seal that.")
@click.option("--dry-run", is_flag=True, help="With --recovery-key: stop after the plan.")
@click.option("--with-header", is_flag=True, help="Seal the compact header as well: the packet is larger.")
@seal_options
@key_options
def command(
    app: App,
    devices: tuple[str, ...],
    header_file: str | None,
    every: bool,
    secret: tuple[SecretKind, ...],
    from_mapping: str | None,
    recovery_key: bool,
    dry_run: bool,
    with_header: bool,
    sealing: SealOptions,
    key: KeyOptions,
) -> int:
    """Seal the volume key of each DEVICE (a device, image, header file or backup) to its recipients.

    The key is proven first, by a passphrase, a key file, the volume key itself or an active mapping. With
    --recovery-key a fresh recovery key is enrolled, proven and sealed, alone unless --secret names more.
    """
    wanted = _wanted(devices, header_file, every=every)
    if key.packet:
        raise UsageError("a packet is sealed anew by: luksafe escrow reseal")
    kinds = secret or (() if recovery_key else ("volume-key",))
    groups = () if dry_run else sealing.groups(app)
    order = SaveOrder(groups, kinds, sealing.reason, with_header, sealing.output, recovery_key, dry_run)
    kept: list[KeptPacket] = []
    failures: list[LuksafeError] = []
    typed = _ask_once(key, from_mapping, wanted)
    for device, header in wanted:
        try:
            with open_target(app.workspace(), device, header) as target:
                kept += _save(app, target, order, key, from_mapping, typed)
        except LuksafeError as problem:
            if len(wanted) == 1:
                raise
            app.warn(f"{device}: {problem}")
            failures.append(problem)
    shown = sealing.hand_out(app, kept)
    failed = [str(problem) for problem in failures]
    if dry_run:
        return failures[0].exit_status if failures else 0
    app.emit({"packets": shown, "failures": failed}, lambda: chain(sealing.lines(kept)))
    if failures and not kept:
        return failures[0].exit_status
    return EXIT_WARNINGS if failures or has_warnings(kept) else 0


def _wanted(devices: tuple[str, ...], header: str | None, *, every: bool) -> list[tuple[str, str | None]]:
    if every == bool(devices):
        raise UsageError("name a device, or use --all", hint="see which devices there are: lsblk -f")
    if header and len(devices) > 1:
        raise UsageError("--header goes with one device")
    wanted = every_device() if every else [(device, header) for device in devices]
    if not wanted:
        raise NotFound("no LUKS volume was found on this machine")
    return wanted


def _ask_once(key: KeyOptions, from_mapping: str | None, wanted: list[tuple[str, str | None]]) -> SecretBytes | None:
    """The passphrase from the command line: read before several volumes, since standard input is read once."""
    if key.volume_key_file or from_mapping:
        return None
    if key.key_file or len(wanted) > 1:
        return key.passphrase(f"{len(wanted)} volumes" if len(wanted) > 1 else wanted[0][0])
    return None


def _save(
    app: App, target: Target, order: SaveOrder, key: KeyOptions, from_mapping: str | None, typed: SecretBytes | None
) -> list[KeptPacket]:
    if key.volume_key_file or from_mapping:
        with _volume_key(app, target, key, from_mapping) as volume_key:
            return _seal(app, prove_volume(target, volume_key=volume_key, limits=key.limits), order, None)
    passphrase = typed or key.passphrase(target.description)
    volume = prove_volume(target, passphrase=passphrase, keyslot=key.key_slot, limits=key.limits)
    with volume.volume_key:
        return _seal(app, volume, order, passphrase)


def _seal(app: App, volume: ProvenVolume, order: SaveOrder, passphrase: SecretBytes | None) -> list[KeptPacket]:
    if not order.recovery_key:
        return save(app.workspace(), volume, order, passphrase)
    plan = plan_recovery(app.workspace(), volume)
    if order.dry_run:
        app.emit({"plan": plan.to_json()}, plan.lines)
        return []
    for line in plan.lines():
        app.say(line)
    confirm(app, f"Add a recovery key to {plan.live.path}?")
    done = save_recovery_key(app.workspace(), volume, plan, order, app.say)
    app.say(f"next: luksafe check {plan.live.path}; keep the packet's keys where this machine's fire does not reach")
    if done.note:
        app.warn(f"{done.note}; next: luksafe backup {plan.live.path}")
    return list(done.kept)


def _volume_key(app: App, target: Target, key: KeyOptions, from_mapping: str | None) -> SecretBytes:
    if from_mapping:
        device = target.data_path or require_path(target)
        return key_of_mapping(from_mapping, str(device), say=app.say).key
    return key.volume_key()
