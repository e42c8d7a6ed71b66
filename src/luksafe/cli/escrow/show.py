"""``luksafe escrow show``: what a packet is, without opening it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import click

from luksafe.cli.app import EXIT_WARNINGS, App, verb
from luksafe.cli.packet_lines import packet_line
from luksafe.cli.text import count
from luksafe.escrow.recipients.interface import OPEN_WITH
from luksafe.luks.model import Json
from luksafe.ops.escrow.found import FoundPacket, find_packet, packets_in_vault
from luksafe.ops.escrow.summary import PacketSummary, summarise, summarised
from luksafe.vault.name import is_uuid


@verb
@click.argument("packet", required=False)
def command(app: App, packet: str | None) -> int:
    """Say what PACKET is: of which volume, what kind, sealed to whom. Without PACKET, list those of the vault."""
    if packet is None or is_uuid(packet):
        return list_packets(app, packet)
    one = find_packet(app.workspace(), packet)
    if one.problem:
        app.warn(f"{one.description}: {one.problem}")
    [summary] = summarised(app.workspace(), [one])
    app.emit({**_to_json(one), "stale": summary.stale}, lambda: _lines(one, summary))
    return EXIT_WARNINGS if one.problem else 0


def list_packets(app: App, uuid: str | None) -> int:
    """All packets of the vault, or those of one volume, and whether they are known to be of no more use."""
    found = packets_in_vault(app.workspace(), uuid)
    packets = summarised(app.workspace(), found)
    stale = {packet.id: packet.stale for packet in packets}
    shown = [{**_to_json(each), "stale": stale.get(summarise([each])[0].id, "")} for each in found]
    app.emit({"packets": shown}, lambda: _list(packets, app.workspace().now()))
    return 0


def _to_json(found: FoundPacket) -> Json:
    public = found.public
    known: Json = {
        "id": "",
        "uuid": "",
        "format": "",
        "kinds": [],
        "host": "",
        "when": "",
        "recipients": [],
        "shares": None,
        "sealed_sha256": "",
    }
    if public is not None:
        known |= {
            "id": public.packet_id,
            "uuid": public.uuid,
            "format": public.format,
            "kinds": list(public.kinds),
            "host": public.host,
            "when": f"{public.when:%Y-%m-%dT%H:%M:%SZ}",
            "recipients": [name.to_json() for name in public.recipients],
            "shares": public.shares.to_json() if public.shares else None,
            "sealed_sha256": public.sealed_sha256,
        }
    return {
        **known,
        "scheme": found.packet.scheme,
        "open_with": OPEN_WITH[found.packet.scheme],
        "size": len(found.packet.sealed),
        "stored_as": found.vault_id,
        "stores": list(found.stores),
        "file": str(found.path) if found.path else "",
        "proofs": [{"when": proof.when, "method": proof.method, "host": proof.host} for proof in found.proofs],
        "problem": found.problem,
    }


def _list(packets: Sequence[PacketSummary], now: datetime) -> Iterator[str]:
    """The packets of each volume under its UUID."""
    for uuid in dict.fromkeys(packet.uuid for packet in packets):
        yield uuid or "(volume not known)"
        yield from (f"  {packet_line(packet, now)}" for packet in packets if packet.uuid == uuid)
    if dead := [packet.id for packet in packets if packet.is_dead]:
        yield f"next: luksafe forget {' '.join(dead)}"
    if not packets:
        yield "no packets; next: luksafe escrow save DEVICE --recipient R"


def _lines(found: FoundPacket, summary: PacketSummary) -> Iterator[str]:
    public = found.public
    scheme = found.packet.scheme
    if public is None:
        yield f"{found.description}: a packet ({scheme}); its public part is not at hand, so only opening it tells more"
    else:
        yield f"packet {public.packet_id}: {', '.join(public.kinds)}"
        yield f"  volume  {public.uuid or '(no UUID)'} ({public.format})"
        yield f"  host    {public.host}"
        yield f"  made    {public.when:%Y-%m-%d %H:%M} UTC"
        for name in public.recipients:
            yield f"  for     {name.name} ({name.kind}{', ' + name.fingerprint if name.fingerprint else ''})"
    where = ", ".join(found.stores) if found.stores else str(found.path or "")
    yield f"  where   {where} ({count(len(found.packet.sealed), 'byte')})"
    for proof in found.proofs:
        yield f"  proof   {proof.when}: {proof.method}"
    if summary.stale:
        yield f"  {'DEAD  ' if summary.is_dead else 'stale '}  {summary.stale}"
    yield f"  opens   luksafe escrow open {found.path or (public.packet_id if public else found.vault_id)}"
    yield f"  or      {OPEN_WITH[scheme]}"
