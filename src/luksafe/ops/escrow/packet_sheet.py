"""A packet from paper: scans of its sheet, wherever the file of a packet is wanted."""

from __future__ import annotations

from pathlib import Path

from luksafe.errors import DamagedInput, UsageError
from luksafe.escrow.packet import Packet, read_packet
from luksafe.paper.parts import SheetParts
from luksafe.paper.scan import read_scans
from luksafe.paper.sheet import SheetKind


def read_packet_sheet(path: Path) -> tuple[Packet, str]:
    """The packet on the scanned sheet (a PDF, a picture, a folder of them) and the sheet's id; other sheets are left.

    Raises DamagedInput where there is none or codes are missing, UsageError where there are several.
    """
    found = [parts for parts in read_scans([path]).sheets.values() if parts.head]
    packets = [parts for parts in found if parts.head and parts.head.kind is SheetKind.PACKET]
    if len(packets) > 1:
        raise UsageError(
            f"{path} shows {len(packets)} packets: {', '.join(parts.sheet_id for parts in packets)}",
            code="ambiguous",
            hint="read one into a file: luksafe paper read SCAN --sheet ID --output packet.age",
        )
    if not packets:
        raise DamagedInput(f"{path} shows {_kinds(found)}, and no packet", hint=_what_to_do(found))
    [sheet] = packets
    try:
        return read_packet(sheet.payload().payload.reveal()), sheet.sheet_id
    except DamagedInput as error:
        if not sheet.is_complete:
            error.hint = f"{sheet.wanted()}: luksafe paper read {path} --typed LINES --output packet.age"
        raise


def _kinds(found: list[SheetParts]) -> str:
    """The kinds of sheets that are there instead, in words."""
    words = sorted({parts.head.kind.word for parts in found if parts.head})
    return ", ".join(f"a sheet of the kind {word}" for word in words) or "no code of a luksafe sheet"


def _what_to_do(found: list[SheetParts]) -> str:
    if not found:
        return "scan flat with 300 dpi, or photograph one code at a time into a folder, or type: luksafe paper read"
    return "a share is given by --share; a key is read by: luksafe paper read SCAN"
