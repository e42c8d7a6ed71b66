"""``luksafe escrow import``: what other tools kept, as packets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from luksafe.cli.app import EXIT_WARNINGS, App, verb
from luksafe.cli.escrow.identities import Openers, opener_options
from luksafe.cli.escrow.sealing import SealOptions, seal_options
from luksafe.cli.keys import read_key_file
from luksafe.cli.targets import header_option
from luksafe.cli.text import count
from luksafe.errors import LuksafeError, NotFound, UsageError
from luksafe.escrow.recipients.interface import Identity
from luksafe.escrow.volume_key.packet import Keys
from luksafe.luks.model import Json
from luksafe.ops.escrow.found import read_packet_file
from luksafe.ops.escrow.import_ import About, Imported, explain, files_in, match_volume, read_foreign, seal_imported
from luksafe.ops.escrow.keeping import KeptPacket, store_packet
from luksafe.ops.escrow.recipients import packet_passphrase
from luksafe.ops.escrow.save import SaveOrder
from luksafe.ops.target import Target, open_target

if TYPE_CHECKING:
    from luksafe.escrow.recipients.x509 import X509Identity


@dataclass
class _Run:
    """What was found so far, and what everything is opened and sealed with."""

    keys: Keys
    order: SaveOrder
    target: Target | None
    dry_run: bool
    outcomes: list[Imported] = field(default_factory=list)
    kept: list[KeptPacket] = field(default_factory=list)


@verb
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--opens", help="The volume that the secrets open: a device, image, header file or backup.")
@header_option
@click.option("--wrap-key", help="The raw key of volume_key packets that wrap their secret with one.")
@click.option("--dry-run", is_flag=True, help="Say what would be imported.")
@opener_options
@seal_options
def command(
    app: App,
    paths: tuple[Path, ...],
    opens: str | None,
    header_file: str | None,
    wrap_key: str | None,
    dry_run: bool,
    openers: Openers,
    sealing: SealOptions,
) -> int:
    """Seal the secrets in files and folders: packets of volume_key, luksDump texts, volume keys, recovery keys, CSV.

    Each is proven against the header that it is of, where the vault has one or --opens names one. Packets of luksafe
    itself are stored as they are. The files stay: remove them when the packets are proven.
    """
    sealing.require_folders()
    groups = sealing.groups(app) if sealing.is_given and not dry_run else ()
    order = SaveOrder(groups, (), sealing.reason or "imported", folder=sealing.output)
    with ExitStack() as stack:
        target = stack.enter_context(open_target(app.workspace(), opens, header_file)) if opens else None
        run = _Run(_keys(app, openers, wrap_key), order, target, dry_run)
        for path in files_in(paths):
            try:
                _take(app, run, path)
            except LuksafeError as error:
                run.outcomes.append(explain(path, error))
    if not run.outcomes:
        raise NotFound("there are no files there")
    shown = sealing.hand_out(app, run.kept)
    app.emit({"imported": [_to_json(each) for each in run.outcomes], "packets": shown}, lambda: _lines(sealing, run))
    is_clean = all(outcome.state in ("proven", "stored") for outcome in run.outcomes)
    return 0 if is_clean else EXIT_WARNINGS


def _keys(app: App, openers: Openers, wrap_key: str | None) -> Keys:
    """What opens packets of volume_key: the key file is their passphrase, unless it opened an identity."""
    typed = openers.typed()
    return Keys(
        passphrase=packet_passphrase(typed) if typed is not None else None,
        identity=_certificate_key(openers.load(app)),
        symmetric_key=read_key_file(wrap_key) if wrap_key else None,
    )


def _certificate_key(identities: Sequence[Identity]) -> X509Identity | None:
    """The first private key of a certificate: packets of volume_key are sealed to no other kind."""
    return next((cast("X509Identity", each) for each in identities if each.scheme == "cms"), None)


def _take(app: App, run: _Run, path: Path) -> None:
    secrets = read_foreign(path, run.keys)
    if secrets is None:
        run.outcomes.append(_take_packet(app, run, path))
        return
    if not secrets:
        run.outcomes.append(Imported(str(path), "skipped", "there is no secret in it"))
    for secret in secrets:
        found = match_volume(app.workspace(), path, secret, run.target, run.order.reason)
        if found.contents and not run.dry_run:
            if not run.order.groups:
                raise UsageError("say to whom it is sealed", hint="--recipient R, or --shares M/N")
            run.kept += seal_imported(app.workspace(), found, run.order)
        run.outcomes.append(found)


def _take_packet(app: App, run: _Run, path: Path) -> Imported:
    """A packet of luksafe is stored as it is; public parts, shares and whatever else are left alone."""
    try:
        found = read_packet_file(path)
    except LuksafeError as error:
        return explain(path, error)
    if path.suffix == ".json" or found.path != path:
        return Imported(str(path), "skipped", "the public part of a packet: it goes with its sealed file")
    if not run.dry_run:
        store_packet(app.workspace(), found)
    uuid, host = (found.public.uuid, found.public.host) if found.public else ("", "")
    about = About(uuid=uuid, host=host, source="luksafe")
    return Imported(str(path), "stored", "a packet of luksafe, as it is", about)


def _to_json(outcome: Imported) -> Json:
    return {"file": outcome.file, "state": outcome.state, "why": outcome.why, **asdict(outcome.about)}


def _lines(sealing: SealOptions, run: _Run) -> Iterator[str]:
    for outcome in run.outcomes:
        about = ", ".join(part for part in asdict(outcome.about).values() if part)
        yield f"{outcome.state:<9} {outcome.file}: {outcome.why}" + (f" ({about})" if about else "")
    yield from sealing.lines(run.kept)
    done = sum(outcome.state in ("proven", "unproven", "stored") for outcome in run.outcomes)
    yield f"{count(done, 'secret')} {'could be ' if run.dry_run else ''}imported of {count(len(run.outcomes), 'entry')}"
    if any(outcome.state == "unproven" for outcome in run.outcomes):
        yield "next: back up the headers of the unproven ones (luksafe backup), then import again"
