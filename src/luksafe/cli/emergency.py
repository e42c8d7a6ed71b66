"""``luksafe emergency``: the header is gone and the volume is still open; save everything now."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from luksafe.cli.app import EXIT_WARNINGS, App, verb
from luksafe.cli.escrow.sealing import SealOptions, has_warnings, seal_options
from luksafe.cli.progress import Progress
from luksafe.cli.rebuild_options import NewKey, new_key_options
from luksafe.device.mappings import find_mapping
from luksafe.luks.model import Json
from luksafe.ops.mapping_header import DO_NOT_CLOSE
from luksafe.ops.rebuild.emergency import Emergency, EmergencyOrder, save_all


@verb
@click.argument("name")
@click.option("--to", "to_file", type=click.Path(path_type=Path), help="The header file; default NAME.luksheader.")
@new_key_options
@seal_options
def command(app: App, name: str, to_file: Path | None, new_key: NewKey, sealing: SealOptions) -> int:
    """Save what the open mapping NAME still knows: a detached header with a new passphrase, proven by the mapping.

    It is written to a file, to the vault and every store; with --recipient the volume key goes into escrow as well.
    Nothing is written to the device.
    """
    mapping = find_mapping(name)
    path = to_file or Path(f"{mapping.name}.luksheader")
    groups = sealing.groups(app) if sealing.recipient or sealing.shares else ()
    kdf = new_key.kdf(is_luks1=mapping.type == "LUKS1")
    with new_key.passphrase(f"{mapping.device} ({mapping.luks_uuid})") as passphrase:
        order = EmergencyOrder(path, passphrase, kdf, groups, sealing.output)
        with Progress(app, "searching memory", None) as progress:
            done = save_all(app.workspace(), mapping.name, order, app.say, lambda read, total: progress(read))
    shown = sealing.hand_out(app, done.packets)
    app.emit(_to_json(done) | {"packets": shown}, lambda: _lines(mapping.name, done, sealing))
    for problem in done.problems:
        app.warn(problem)
    return EXIT_WARNINGS if done.problems or done.on_the_volume or has_warnings(done.packets) else 0


def _to_json(done: Emergency) -> Json:
    imported = done.imported
    return {
        "device": done.device,
        "uuid": done.uuid,
        "file": str(done.header_file),
        "keyslot": done.keyslot,
        "proof": done.proof,
        "backup": imported.added.id if imported else None,
        "stores": imported.added.stores if imported else [],
        "on_the_volume": list(done.on_the_volume),
        "problems": list(done.problems),
    }


def _lines(name: str, done: Emergency, sealing: SealOptions) -> Iterator[str]:
    yield f"header    {done.header_file}: keyslot {done.keyslot} opens with the new passphrase"
    yield f"proof     {done.proof}"
    if done.imported:
        yield f"vault     backup {done.imported.added.id[:12]} in {', '.join(done.imported.added.stores)}"
    for store in done.on_the_volume:
        yield f"warning   {store} lies on the volume itself: that is no copy"
    yield from sealing.lines(done.packets)
    yield f"{name} is still open: {DO_NOT_CLOSE} before the header is back"
    yield f"next      luksafe restore {done.header_file} {done.device} --allow-in-use"
