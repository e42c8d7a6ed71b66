"""``luksafe paper``: print sheets, read them back from scans or typing."""

from __future__ import annotations

import hashlib
import random
import shlex
import sys
from pathlib import Path

import click

from luksafe.cli.app import EXIT_NEGATIVE, EXIT_WARNINGS, App, verb
from luksafe.cli.input_file import read_input
from luksafe.cli.paper_typing import correct, quiz_keeper, type_lines
from luksafe.cli.targets import header_option
from luksafe.cli.terminal import echo
from luksafe.cli.text import count
from luksafe.errors import DamagedInput, Refused
from luksafe.escrow.public_part import MAX_PUBLIC_BYTES
from luksafe.ops.new_file import write_new_file
from luksafe.ops.paper_print import kind_of, make_content, print_sheet
from luksafe.ops.sheet_packet import subject_of_packet
from luksafe.ops.sheet_subject import SheetSubject, subject_of
from luksafe.ops.target import open_target
from luksafe.paper.layout import PageSize
from luksafe.paper.parts import SheetParts, SheetPayload
from luksafe.paper.scan import read_scans
from luksafe.paper.sheet import MAX_PAYLOAD_BYTES, SheetKind
from luksafe.paper.text import MAX_TEXT_CHARACTERS, read_text

KINDS = {kind.word: kind for kind in SheetKind}
NEXT = {
    SheetKind.PACKET: "luksafe escrow apply {0} DEVICE   (a new passphrase, also when the header is destroyed)",
    SheetKind.VOLUME_KEY: "luksafe rebuild DEVICE --volume-key-file {0}, with the parameters that the sheet shows",
    SheetKind.PASSPHRASE: "cryptsetup open --key-file {0} DEVICE NAME; if the header is destroyed: luksafe list",
    SheetKind.SHARE: "luksafe escrow apply PACKET DEVICE --share {0}, with the other shares",
    SheetKind.HEADER: "luksafe diagnose DEVICE, then luksafe restore {0} DEVICE",
}
SIZES = {size.name.lower(): size for size in PageSize}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Print packets, keys and shares as sheets of paper; read sheets back."""


@verb
@click.argument("file")
@click.argument("sheet", type=click.Path(path_type=Path))
@click.option("--kind", type=click.Choice(list(KINDS)), help="What FILE holds, where its look does not tell.")
@click.option("--opens", help="The volume: a device, image, header file or backup; its parameters are printed.")
@header_option
@click.option("--paper", type=click.Choice(list(SIZES)), default="a4", help="Size of the paper.")
@click.option("--title", default="", help="The title, instead of kind and volume.")
@click.option("--note", multiple=True, help="A line below the title; may be given again.")
@click.option("--quiz", is_flag=True, help="Then have the keeper type back three lines of the paper.")
def print_(
    app: App,
    file: str,
    sheet: Path,
    kind: str | None,
    opens: str | None,
    header_file: str | None,
    paper: str,
    title: str,
    note: tuple[str, ...],
    quiz: bool,
) -> int:
    """Print FILE (an escrow packet, a passphrase, a volume key, a share; - is standard input) to the PDF SHEET.

    The public part of a packet (the .json beside it) goes on the sheet as well.
    """
    payload = read_input(file, MAX_PAYLOAD_BYTES)
    what = KINDS[kind] if kind else kind_of(payload)
    subject = _subject(app, opens, header_file)
    public = Path(file).with_suffix(".json")
    if what is SheetKind.PACKET and public.is_file():
        part = read_input(str(public), MAX_PUBLIC_BYTES)
        subject = subject_of_packet(payload.reveal(), part.reveal(), subject)
    if what is SheetKind.PASSPHRASE and payload.reveal().endswith(b"\n"):
        app.warn("the passphrase ends with a line end, which --key-file takes and a prompt does not")
    content = make_content(payload, what, subject, title=title, notes=note)
    printed = print_sheet(content, sheet, SIZES[paper])
    passed = quiz_keeper(app, content, random.SystemRandom()) if quiz else None
    result = {"file": str(sheet), "sheet_id": printed.sheet_id, "pages": printed.pages, "kind": what.word}
    app.emit(
        {**result, "new": printed.is_new, **({} if passed is None else {"quiz_passed": passed})},
        lambda: echo(f"{sheet}: sheet {printed.sheet_id}, {count(printed.pages, 'page')}, read back from its codes"),
    )
    if not quiz:
        app.say("next: print it, scan the paper, and see that it is read: luksafe paper read SCAN")
    if what in (SheetKind.VOLUME_KEY, SheetKind.PASSPHRASE, SheetKind.SHARE):
        app.warn(f"{sheet} holds the secret in the clear: print it, then remove it")
    return EXIT_NEGATIVE if passed is False else 0


def _subject(app: App, opens: str | None, header_file: str | None) -> SheetSubject | None:
    """The volume that ``--opens`` names."""
    if opens is None:
        return None
    workspace = app.workspace()
    with open_target(workspace, opens, header_file) as target:
        return subject_of(workspace, target)


@verb
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--typed", help="Typed lines in a text file; - is standard input.")
@click.option("--correct", "with_proposals", is_flag=True, help="Take the only proposal for each wrong line.")
@click.option("--sheet", "sheet_id", default="", help="Read this sheet only, by the id printed on it.")
@click.option("--output", type=click.Path(path_type=Path), help="A new file, instead of standard output.")
def read(
    app: App,
    files: tuple[Path, ...],
    typed: str | None,
    with_proposals: bool,
    sheet_id: str,
    output: Path | None,
) -> int:
    """Read a sheet from FILES: scans (PDF, PNG, JPEG), folders of photographs. Without any, lines are typed in."""
    parts = SheetParts(sheet_id)
    has_warnings = False
    if files:
        scan = read_scans(list(files), sheet_id)
        notes = [*scan.notes]
        if not scan.sheets or not all(found.is_complete for found in scan.sheets.values()):
            notes += [f"{name}: no code of a luksafe sheet found" for name in scan.silent]
        for note in notes:
            app.warn(note)
        has_warnings = bool(notes)
        parts = scan.only() if scan.sheets or not typed else parts
    if typed:
        text = read_input(typed, MAX_TEXT_CHARACTERS).reveal().decode("utf-8", "replace")
        parts.add_lines(correct(app, read_text(text), with_proposals=with_proposals))
    elif not files:
        type_lines(parts)
    try:
        found = parts.payload()
    except DamagedInput as error:
        missing = {"missing_codes": parts.missing_codes, "missing_lines": parts.missing_lines}
        error.result = {"sheet_id": parts.sheet_id, **missing}
        raise
    _hand_out(app, found, output)
    return EXIT_WARNINGS if has_warnings else 0


def _hand_out(app: App, found: SheetPayload, output: Path | None) -> None:
    data = found.payload.reveal()
    facts = {"kind": found.kind.word, "sheet_id": found.sheet_id, "size": len(data)}
    digest = hashlib.sha256(data).hexdigest()
    if output:
        write_new_file(output, data)
        app.emit({**facts, "sha256": digest, "file": str(output)}, lambda: ())
    elif app.json:
        app.emit({**facts, "sha256": digest, "payload_hex": data.hex()}, lambda: ())
    elif sys.stdout.isatty() and found.kind not in (SheetKind.PASSPHRASE, SheetKind.SHARE):
        raise Refused("these bytes are not for a terminal", hint="give --output FILE, or redirect standard output")
    else:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    app.say(f"sheet {found.sheet_id}: {found.kind.word}, {count(len(data), 'byte')}, sha256 {digest}")
    app.say(f"next: {NEXT[found.kind].format(shlex.quote(str(output)) if output else 'FILE')}")


print_.name = "print"
for sub in (print_, read):
    command.add_command(sub)
