"""Print: bytes of a known kind become a sheet, which is read back before it counts as printed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from luksafe.errors import DamagedInput, KeyRejected, UsageError
from luksafe.escrow.sharing import read_share
from luksafe.luks.model import Header
from luksafe.luks.unlock import verify_volume_key
from luksafe.ops.new_file import write_new_file
from luksafe.ops.sheet_packet import share_facts
from luksafe.ops.sheet_procedures import procedures_for
from luksafe.ops.sheet_subject import Facts, SheetSubject
from luksafe.paper.layout import PageSize
from luksafe.paper.pdf import render_pdf
from luksafe.paper.scan import read_scans
from luksafe.paper.sheet import SheetContent, SheetKind
from luksafe.paper.wording import TITLES
from luksafe.secret import SecretBytes

_RECOVERY_KEY = re.compile(rb"[cbdefghijklnrtuv]{8}(-[cbdefghijklnrtuv]{8}){7}")
_AGE = (b"age-encryption.org/", b"-----BEGIN AGE ENCRYPTED FILE-----")
_CMS = (b"\x30\x80", b"\x30\x81", b"\x30\x82", b"\x30\x83", b"-----BEGIN CMS-----")
SHARE_WORDS = 20


@dataclass(frozen=True, slots=True)
class PrintedSheet:
    """A sheet on its way to the printer; ``is_new`` is false when the very same file was there already."""

    path: Path
    sheet_id: str
    pages: int
    is_new: bool


def kind_of(payload: SecretBytes) -> SheetKind:
    """What the bytes are, by their look. Raises UsageError where that does not tell."""
    data = payload.reveal()
    if data.startswith(_AGE + _CMS):
        return SheetKind.PACKET
    if _RECOVERY_KEY.fullmatch(data.rstrip(b"\n")):
        return SheetKind.PASSPHRASE
    if len(_share_words(data)) == SHARE_WORDS:
        return SheetKind.SHARE
    raise UsageError("what this file holds cannot be told by its look", hint="say it with --kind")


def make_content(
    payload: SecretBytes,
    kind: SheetKind,
    subject: SheetSubject | None = None,
    *,
    title: str = "",
    notes: tuple[str, ...] = (),
) -> SheetContent:
    """The content of a sheet; a share's file gives its words, and its comment lines as parameters.

    Raises UsageError for a volume key without ``subject``, KeyRejected if it is not that volume's key, DamagedInput
    for words that are no share.
    """
    header = subject.header if subject else None
    if kind is SheetKind.VOLUME_KEY:
        _require_key_of(payload, header)
    data = payload.reveal()
    facts: Facts = ()
    if kind is SheetKind.SHARE:
        share = read_share(data.decode("utf-8", "replace"))
        payload, facts = share.text, share_facts(share) + _comments(data)
    file_name = _file_name(kind, data)
    return SheetContent(
        kind=kind,
        title=title or (f"{TITLES[kind]} of {subject.name}" if subject else TITLES[kind]),
        payload=payload,
        subtitle=notes,
        opens=subject.opens if subject else (),
        parameters=facts + (subject.parameters if subject else ()),
        procedures=procedures_for(kind, data, file_name, header),
        file_name=file_name,
    )


def print_sheet(content: SheetContent, path: Path, size: PageSize = PageSize.A4) -> PrintedSheet:
    """Write the PDF, mode 0600, and read its codes back; the same file is left as it is.

    Raises Refused when another file has that name, DamagedInput (and removes the PDF) if it reads back differently.
    """
    pdf = render_pdf(content, size)
    is_new = not (path.is_file() and path.stat().st_size == len(pdf) and path.read_bytes() == pdf)
    if is_new:
        write_new_file(path, pdf)
    try:
        found = read_scans([path], content.sheet_id).only().payload().payload
        if found != content.payload:
            raise DamagedInput(f"{path} does not read back as it was printed")
    except BaseException:
        if is_new:
            path.unlink(missing_ok=True)
        raise
    return PrintedSheet(path, content.sheet_id, pdf.count(b"/Type /Page\n"), is_new)


def _require_key_of(key: SecretBytes, header: Header | None) -> None:
    if header is None:
        raise UsageError(
            "a volume key alone opens nothing: its parameters must stand on the sheet",
            hint="name the volume, or a backup of its header, with --opens TARGET",
        )
    segment = header.default_segment
    digest = header.digest_of_segment(segment.id) if segment else None
    if digest is None or len(key) != header.volume_key_size or not verify_volume_key(digest, key):
        raise KeyRejected(
            f"this is not the volume key of {header.uuid}", hint="compare it: cryptsetup luksDump --dump-volume-key"
        )


def _file_name(kind: SheetKind, data: bytes) -> str:
    if kind is SheetKind.PACKET:
        return "packet.age" if data.startswith(_AGE) else "packet.p7m"
    return {SheetKind.VOLUME_KEY: "volume.key", SheetKind.PASSPHRASE: "passphrase.txt"}.get(kind, kind.word)


def _share_words(data: bytes) -> list[str]:
    """The words of a share file: comment lines, numbers and line ends left out."""
    rows = data.decode("ascii", "replace").lower().splitlines()
    words = " ".join(row for row in rows if not row.lstrip().startswith("#")).split()
    words = [word for word in words if not word.strip(".:").isdigit()]
    return words if all(word.isalpha() and word.isascii() for word in words) else []


def _comments(data: bytes) -> Facts:
    """What the comment lines ``# packet: …`` and ``# host: …`` of a share file say."""
    found = re.findall(r"^# (packet|host): (\S.*)$", data.decode("utf-8", "replace"), re.MULTILINE)
    return tuple((name.capitalize(), text) for name, text in found)
