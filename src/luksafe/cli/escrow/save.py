"""``luksafe escrow save``: seal the key of a volume."""

from __future__ import annotations

from dataclasses import dataclass, field

import click

from luksafe.cli.app import EXIT_WARNINGS, App, verb
from luksafe.cli.dangers import damaged_keyslot_option
from luksafe.cli.escrow.sealing import SealOptions, has_warnings, seal_options
from luksafe.cli.keys import KeyOptions, key_options
from luksafe.cli.prompts import confirm
from luksafe.cli.targets import header_option
from luksafe.errors import LuksafeError, NotFound, UsageError
from luksafe.escrow.contents import SecretKind
from luksafe.luks.model import Json
from luksafe.ops.escrow.keeping import KeptPacket
from luksafe.ops.escrow.recovery import RecoveryPlan, plan_recovery, save_recovery_key
from luksafe.ops.escrow.save import SaveOrder, save
from luksafe.ops.escrow.volume import ProvenVolume, prove_volume
from luksafe.ops.rebuild.from_mapping import key_of_mapping
from luksafe.ops.roster import every_device
from luksafe.ops.target import Target, open_target, require_path
from luksafe.secret import SecretBytes


@dataclass
class _Done:
    """What became of each volume."""

    kept: list[KeptPacket] = field(default_factory=list)
    plans: list[RecoveryPlan] = field(default_factory=list)
    enrolled: list[Json] = field(default_factory=list)
    failures: list[LuksafeError] = field(default_factory=list)
    has_notes: bool = False


@verb
@click.argument("devices", nargs=-1)
@header_option
@click.option("--all", "every", is_flag=True, help="Every LUKS volume of this machine.")
@click.option("--secret", type=click.Choice(["volume-key", "passphrase"]), multiple=True, help="What to seal.")
@click.option("--from-mapping", metavar="NAME", help="Take the volume key of the active mapping NAME.")
@click.option("--recovery-key", is_flag=True, help="Add a fresh recovery key to a free keyslot, and seal that.")
@click.option("--dry-run", is_flag=True, help="With --recovery-key: stop after the plan.")
@damaged_keyslot_option
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
    allow_damaged: bool,
    with_header: bool,
    sealing: SealOptions,
    key: KeyOptions,
) -> int:
    """Seal the volume key of each DEVICE (a device, image, header file or backup) to its recipients.

    The key is proven first, by a passphrase, a key file, the volume key itself or an active mapping. With
    --recovery-key a fresh recovery key is enrolled, proven and sealed, alone unless --secret names more.
    """
    sealing.require_folders()
    wanted = _wanted(devices, header_file, every=every)
    if key.packet:
        raise UsageError("a packet is sealed anew by: luksafe escrow reseal")
    if dry_run and not recovery_key:
        raise UsageError("--dry-run goes with --recovery-key: nothing else is done to a device")
    kinds = secret or (() if recovery_key else ("volume-key",))
    groups = () if dry_run else sealing.groups(app)
    order = SaveOrder(groups, kinds, sealing.reason, with_header, sealing.output, recovery_key, dry_run, allow_damaged)
    done = _Done()
    typed = _ask_once(key, from_mapping, wanted)
    for device, header in wanted:
        try:
            with open_target(app.workspace(), device, header) as target:
                _save(app, target, order, key, from_mapping, typed, done)
        except LuksafeError as problem:
            if len(wanted) == 1:
                raise
            app.warn(f"{device}: {problem}")
            done.failures.append(problem)
    return _report(app, sealing, order, done)


def _report(app: App, sealing: SealOptions, order: SaveOrder, done: _Done) -> int:
    failed = [str(problem) for problem in done.failures]
    if order.dry_run:
        plans: Json = {"plans": [plan.to_json() for plan in done.plans]}
        first = {"plan": done.plans[0].to_json()} if done.plans else {}
        app.emit({**first, **plans, "failures": failed}, lambda: [line for plan in done.plans for line in plan.lines()])
    else:
        shown = {"packets": sealing.hand_out(app, done.kept), "enrolled": done.enrolled, "failures": failed}
        app.emit(shown, lambda: sealing.lines(done.kept))
    if done.failures and not done.kept:
        return done.failures[0].exit_status
    return EXIT_WARNINGS if app.warned or done.failures or done.has_notes or has_warnings(done.kept) else 0


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
    app: App,
    target: Target,
    order: SaveOrder,
    key: KeyOptions,
    from_mapping: str | None,
    typed: SecretBytes | None,
    done: _Done,
) -> None:
    if key.volume_key_file or from_mapping:
        with _volume_key(app, target, key, from_mapping) as volume_key:
            _seal(app, prove_volume(target, volume_key=volume_key, limits=key.limits), order, None, done)
        return
    passphrase = typed or key.passphrase(target.description)
    volume = prove_volume(target, passphrase=passphrase, keyslot=key.key_slot, limits=key.limits)
    with volume.volume_key:
        _seal(app, volume, order, passphrase, done)


def _seal(app: App, volume: ProvenVolume, order: SaveOrder, passphrase: SecretBytes | None, done: _Done) -> None:
    if not order.recovery_key:
        done.kept += save(app.workspace(), volume, order, passphrase)
        return
    plan = plan_recovery(app.workspace(), volume, allow_damaged=order.allow_damaged)
    if order.dry_run:
        done.plans.append(plan)
        return
    for line in plan.lines():
        app.say(line)
    confirm(app, f"Add a recovery key to {plan.live.path}?")
    enrolled = save_recovery_key(app.workspace(), volume, plan, order, app.say)
    before, after = enrolled.backups
    done.kept += enrolled.kept
    done.enrolled.append({**plan.to_json(), "backups": {"before": before, "after": after}})
    if enrolled.note:
        done.has_notes = True
        app.warn(f"{enrolled.note}; next: luksafe backup {plan.live.path}")


def _volume_key(app: App, target: Target, key: KeyOptions, from_mapping: str | None) -> SecretBytes:
    if from_mapping:
        device = target.data_path or require_path(target)
        return key_of_mapping(from_mapping, str(device), say=app.say).key
    return key.volume_key()
