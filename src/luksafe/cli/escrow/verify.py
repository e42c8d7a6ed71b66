"""``luksafe escrow verify``: does a packet still open its device?"""

from __future__ import annotations

from collections.abc import Iterator

import click

from luksafe.cli.app import EXIT_NEGATIVE, EXIT_WARNINGS, App, verb
from luksafe.cli.escrow.identities import Opened, Openers, opener_options
from luksafe.cli.targets import header_option
from luksafe.cli.text import bad, good
from luksafe.errors import KeyRejected, LuksafeError, UsageError
from luksafe.luks.model import Json
from luksafe.ops.escrow.found import FoundPacket, find_packet, packets_in_vault
from luksafe.ops.escrow.verify import PacketVerdict, find_device, note_verdict, verify_by_notes, verify_opened
from luksafe.ops.target import Target, open_target


@verb
@click.argument("packet", required=False)
@click.argument("device", required=False)
@header_option
@click.option("--notes", "by_notes", is_flag=True, help="Do not open it: compare what was noted when it was proven.")
@click.option("--all", "every", is_flag=True, help="Each packet of the vault; closed ones by their notes.")
@opener_options
def command(
    app: App,
    packet: str | None,
    device: str | None,
    header_file: str | None,
    by_notes: bool,
    every: bool,
    openers: Openers,
) -> int:
    """Try the secret in PACKET on DEVICE (found by its UUID when not named) and note the proof; nothing is revealed.

    With --notes the packet stays closed: is the keyslot, or the volume key, still the one that it was proven with?
    """
    if every == (packet is not None):
        raise UsageError("name a packet, or use --all", hint="luksafe escrow list")
    if packet is None:
        return _verify_all(app, openers, by_notes=by_notes)
    found = find_packet(app.workspace(), packet)
    opened = None if by_notes else openers.open(app, found)
    found = opened.found if opened else found
    if device is None:
        device, header_file = find_device(found.public.uuid if found.public else "")
    with open_target(app.workspace(), device, header_file) as target:
        verdict, noted = _verify(app, found, opened, target)
        app.emit(
            _to_json(found, verdict, target, noted=noted), lambda: _lines(app, found, verdict, target, noted=noted)
        )
    if not verdict.opens:
        return EXIT_NEGATIVE
    return EXIT_WARNINGS if verdict.warnings or (opened and opened.warnings) else 0


def _verify_all(app: App, openers: Openers, *, by_notes: bool) -> int:
    """Each packet of the vault: opened where something was given to open it with, else by its notes."""
    shown: list[Json] = []
    lines: list[str] = []
    for found in packets_in_vault(app.workspace()):
        try:
            opened = openers.open(app, found) if openers.is_given and not by_notes else None
        except KeyRejected:
            opened = None  # sealed to others
        try:
            found = opened.found if opened else found
            device, header_file = find_device(found.public.uuid if found.public else "")
            with open_target(app.workspace(), device, header_file) as target:
                verdict, noted = _verify(app, found, opened, target)
                shown.append(_to_json(found, verdict, target, noted=noted))
                lines += _lines(app, found, verdict, target, noted=noted)
        except LuksafeError as error:
            lines.append(f"{found.description}: not known: {error}")
            shown.append({"packet": found.public.packet_id if found.public else "", "opens": None, "why": str(error)})
    app.emit({"packets": shown}, lambda: lines or ["there are no packets"])
    opens = [each["opens"] for each in shown]
    return EXIT_NEGATIVE if False in opens else EXIT_WARNINGS if None in opens or app.warned else 0


def _verify(app: App, found: FoundPacket, opened: Opened | None, target: Target) -> tuple[PacketVerdict, bool]:
    """The verdict, and whether it was noted."""
    if opened is None:
        return verify_by_notes(found, target.inspection.require_header()), False
    verdict = verify_opened(opened.contents, target)
    return verdict, note_verdict(app.workspace(), found, verdict, target)


def _to_json(found: FoundPacket, verdict: PacketVerdict, target: Target, *, noted: bool) -> Json:
    secrets = [
        {"kind": each.kind, "state": each.state, "keyslot": each.keyslot, "why": each.why} for each in verdict.secrets
    ]
    return {
        "packet": found.public.packet_id if found.public else "",
        "uuid": verdict.uuid,
        "device": target.description,
        "opens": verdict.opens,
        "method": verdict.method,
        "secrets": secrets,
        "warnings": list(verdict.warnings),
        "noted": noted,
    }


def _lines(app: App, found: FoundPacket, verdict: PacketVerdict, target: Target, *, noted: bool) -> Iterator[str]:
    by_notes = verdict.method == "notes"
    for each in verdict.secrets:
        opens = good("opens", colored=app.is_colored) if each.state == "opens" else ""
        word = opens or bad("does NOT open" if each.state == "not" else "unknown", colored=app.is_colored)
        yield f"{found.description}: its {each.kind} {word} {target.description}: {each.why}"
    for words in verdict.warnings:
        yield f"  warning: {words}"
    if by_notes:
        yield "  by the notes of earlier proofs; the packet was not opened"
    elif noted:
        yield "  noted with the packet"
    if not verdict.opens:
        yield f"  next: luksafe escrow save {target.description} --recipient R"
