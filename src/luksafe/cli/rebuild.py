"""``luksafe rebuild``: a new header round a volume key that is known."""

from __future__ import annotations

from pathlib import Path

import click

from luksafe.cli.app import App, verb
from luksafe.cli.dangers import danger_options
from luksafe.cli.escrow.identities import Openers, opener_options
from luksafe.cli.plans import print_plan
from luksafe.cli.prompts import confirm
from luksafe.cli.rebuild_options import NewKey, StatedParameters, new_key_options, parameter_options
from luksafe.cli.rebuild_source import SourceOptions, source_options
from luksafe.cli.restore import outcome_to_json
from luksafe.cli.text import human_size
from luksafe.errors import Refused
from luksafe.luks.create import KdfChoice
from luksafe.luks.model import Json
from luksafe.ops.rebuild.known import Known, Volume, gather, look
from luksafe.ops.rebuild.new_header import new_keyslot
from luksafe.ops.rebuild.plan import FLAG_HELP
from luksafe.ops.rebuild.rebuild import Rehearsal, final_plan, rehearse, write_to_device, write_to_file
from luksafe.ops.write.plan import dangers_left, refuse_dangers
from luksafe.secret import SecretBytes


@verb
@click.argument("device")
@source_options
@opener_options
@click.option("--to", "to_file", type=click.Path(path_type=Path), help="Write a detached header to this new file.")
@new_key_options
@parameter_options
@click.option("--dry-run", is_flag=True, help="Stop after the plan.")
@danger_options(FLAG_HELP, "Overwrite this foreign signature.")
def command(
    app: App,
    device: str,
    source: SourceOptions,
    openers: Openers,
    to_file: Path | None,
    new_key: NewKey,
    stated: StatedParameters,
    dry_run: bool,
    accepted: list[str],
) -> int:
    """Put a new header round the volume key of DEVICE, with a new passphrase. The data are not touched.

    The key is verified first: by a digest, by the active mapping, by what the data decrypt to. Its parameters come
    with it, or from a header that is left, or from a backup in the vault; else state them all.
    """
    source.require_one()
    with look(device) as volume, gather(app.workspace(), volume, source.take(app, volume, stated, openers)) as known:
        kdf = new_key.kdf(is_luks1=known.parameters.format == "luks1")
        rehearsal = rehearse(app.workspace(), volume, known, to_file=to_file is not None)
        if dry_run:
            return _dry_run(app, known, rehearsal, accepted)
        refuse_dangers(rehearsal.dangers, accepted)
        app.say(f"proof of the key: {rehearsal.confidence.text}")
        with new_key.passphrase(f"{device} ({known.parameters.uuid})") as passphrase:
            if to_file is not None:
                return _to_file(app, volume, known, rehearsal, passphrase, kdf, to_file)
            return _to_device(app, volume, known, rehearsal, passphrase, kdf, accepted)


def _to_device(
    app: App,
    volume: Volume,
    known: Known,
    rehearsal: Rehearsal,
    passphrase: SecretBytes,
    kdf: KdfChoice,
    accepted: list[str],
) -> int:
    plan = final_plan(app.workspace(), volume, known, passphrase, kdf, rehearsal.confidence)
    if not app.quiet and not app.json:
        print_plan(app, plan, to_stderr=True)
    plan.refuse_dangers(accepted)
    confirm(app, f"Write this to {plan.target.path}?")
    done, seen = write_to_device(app.workspace(), plan, known, passphrase, app.say)
    device, slot = volume.device, new_keyslot(known, seen.require_header())
    app.emit(
        {
            **_result(known, rehearsal),
            "plan": plan.to_json(),
            "done": True,
            "keyslot": slot,
            **outcome_to_json(done, seen),
        },
        lambda: (
            f"rebuilt: {human_size(done.size_bytes)} written to {device}, read back, equal",
            f"keyslot {slot} opens with the new passphrase; its digest proves the volume key",
            f"saved as undo entry {done.saved.entry.id} in {', '.join(map(str, done.saved.places))}",
            f"next: luksafe backup {device}   (to take it back: luksafe undo {device})",
        ),
    )
    return 0


def _to_file(
    app: App, volume: Volume, known: Known, rehearsal: Rehearsal, passphrase: SecretBytes, kdf: KdfChoice, path: Path
) -> int:
    new = write_to_file(app.workspace(), volume.facts, known, passphrase, kdf, path)
    slot = new_keyslot(known, new.header)
    app.emit(
        {**_result(known, rehearsal), "done": True, "keyslot": slot, "file": str(path), "bytes": len(new.image)},
        lambda: (
            f"written: {path}, {human_size(len(new.image))}, read back; the new passphrase opens its keyslot {slot}",
            f"next: luksafe prove {volume.device} --header {path}",
            f"then: luksafe restore {path} {volume.device}" + (" --allow-in-use" if volume.uses else ""),
        ),
    )
    return 0


def _result(known: Known, rehearsal: Rehearsal) -> Json:
    return {
        "uuid": known.parameters.uuid,
        "format": known.parameters.format,
        "key": known.origin,
        "base": known.base.found.name if known.base else None,
        "proofs": [{"by": proof.by, "text": proof.text} for proof in known.proofs],
        "data": {"verdict": rehearsal.confidence.data, "text": rehearsal.confidence.text},
        "notes": list(known.notes),
    }


def _dry_run(app: App, known: Known, rehearsal: Rehearsal, accepted: list[str]) -> int:
    result = _result(known, rehearsal)
    left = dangers_left(rehearsal.dangers, accepted)
    if rehearsal.plan:
        plan = rehearsal.plan
        app.emit({**result, "plan": plan.to_json()}, lambda: print_plan(app, plan, to_stderr=False))
    else:
        dangers = [danger.text for danger in rehearsal.dangers]
        app.emit({**result, "dangers": dangers}, lambda: (f"proof: {rehearsal.confidence.text}", *dangers))
    return Refused.exit_status if left else 0
