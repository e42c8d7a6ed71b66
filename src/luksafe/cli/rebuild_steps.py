"""The steps of a rebuild, once the key is known: rehearse, plan, ask, write, say what was done."""

from __future__ import annotations

from pathlib import Path

from luksafe.cli.app import App
from luksafe.cli.plans import dry_run_lines, print_plan
from luksafe.cli.prompts import confirm
from luksafe.cli.rebuild_options import NewKey
from luksafe.cli.restore import outcome_to_json
from luksafe.cli.text import human_size
from luksafe.errors import Refused
from luksafe.luks.create import KdfChoice
from luksafe.luks.model import Json
from luksafe.ops.rebuild.known import Known, Volume
from luksafe.ops.rebuild.new_header import NewHeader, new_keyslot
from luksafe.ops.rebuild.rebuild import Rehearsal, final_plan, rehearse, write_to_device, write_to_file
from luksafe.ops.write.plan import dangers_left, refuse_dangers
from luksafe.secret import SecretBytes


def carry_out(
    app: App,
    volume: Volume,
    known: Known,
    new_key: NewKey,
    *,
    to_file: Path | None,
    dry_run: bool,
    accepted: list[str],
) -> int:
    """Rehearse the rebuild and, unless it is a dry run, carry it out; gives the exit status."""
    kdf = new_key.kdf(is_luks1=known.parameters.format == "luks1")
    rehearsal = rehearse(app.workspace(), volume, known, to_file=to_file is not None)
    if dry_run:
        return _dry_run(app, known, rehearsal, accepted)
    refuse_dangers(rehearsal.dangers, accepted)
    app.say(f"proof of the key: {rehearsal.confidence.text}")
    with new_key.passphrase(f"{volume.device} ({known.parameters.uuid})") as passphrase:
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
        print_plan(app, plan)
    plan.refuse_dangers(accepted)
    confirm(app, f"Write this to {plan.target.path}?")
    done, seen = write_to_device(app.workspace(), volume, plan, known, passphrase, app.say)
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
            f"then: {_next(volume, new, path)}",
        ),
    )
    return 0


def _next(volume: Volume, new: NewHeader, path: Path) -> str:
    """Onto the device goes only a header that has room before the data."""
    if new.header.data_offset < new.header.areas_end:
        return f"luksafe backup {volume.device} --header {path}"
    return f"luksafe restore {path} {volume.device}" + (" --allow-in-use" if volume.uses else "")


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
        app.emit({**result, "plan": plan.to_json()}, lambda: dry_run_lines(app, plan, accepted))
    else:
        dangers = [danger.text for danger in rehearsal.dangers]
        app.emit({**result, "dangers": dangers}, lambda: (f"proof: {rehearsal.confidence.text}", *dangers))
    return Refused.exit_status if left else 0
