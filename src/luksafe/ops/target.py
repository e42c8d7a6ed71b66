"""What a user names as TARGET becomes bytes and what they say: a device, an image, a header file, a backup."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from luksafe.device.source import open_source
from luksafe.errors import NotFound, UsageError
from luksafe.luks.finding import Finding, Severity
from luksafe.luks.inspection import Inspection, inspect
from luksafe.luks.weaknesses import clear_text_findings
from luksafe.ops.moment import read_moment
from luksafe.ops.workspace import Workspace
from luksafe.reader import BytesReader, Reader
from luksafe.vault.name import is_like_file

if TYPE_CHECKING:
    from luksafe.vault.backup import Backup

VAULT_PREFIX = "vault:"


@dataclass(frozen=True, slots=True)
class Target:
    """An opened target. ``reader`` holds the header (and the data too, unless detached or a backup).

    ``header_path`` is the file or device with the header, None for a backup; ``data_path`` the one with the data, None
    where only the header is known; ``backup`` is set for a backup; ``description`` is for people. ``lock_note`` says
    why cryptsetup's lock was not held while header and keyslot areas were read; empty when it was.
    """

    reader: Reader
    inspection: Inspection
    description: str
    header_path: Path | None = None
    data_path: Path | None = None
    backup: Backup | None = None
    lock_note: str = ""

    @property
    def has_header_apart(self) -> bool:
        """Whether the header is a detached one, in a file or in the vault."""
        return self.data_path is not None and self.header_path != self.data_path

    def header_place(self, device: str) -> str:
        """Where commands that write the header are to write: the detached header, else the device."""
        return str(self.header_path) if self.has_header_apart and self.header_path else device

    def words(self, device: str) -> str:
        """The device as a command names it, with its detached header."""
        return f"{device} --header {self.header_place(device)}" if self.has_header_apart else device


@contextmanager
def open_target(workspace: Workspace, text: str, header: str | None = None, *, full: bool = False) -> Iterator[Target]:
    """Open a target read-only and look at its header; ``header`` is a detached one (a file, or ``vault:ID``).

    Header and keyslot areas are of one moment, also when they change later; with ``full`` the whole header area is.
    A path that exists wins over a backup of that name; ``vault:`` before the name asks for a backup. Raises NotFound,
    Busy while the header does not keep still.
    """
    if header is None:
        with _open_one(workspace, text, full=full) as target:
            _warn_of_clear_text(workspace, target)
            yield target
        return
    if not os.path.lexists(text):
        raise NotFound(f"{text}: no such file or device", hint="see which devices there are: lsblk")
    with _open_one(workspace, header, full=full) as detached:
        _warn_of_clear_text(workspace, detached)
        yield Target(
            detached.reader,
            detached.inspection,
            f"{text} with the header from {detached.description}",
            detached.header_path,
            Path(text),
            detached.backup,
            detached.lock_note,
        )


def _warn_of_clear_text(workspace: Workspace, target: Target) -> None:
    """Whatever the verb is about: a volume key in the clear is told."""
    for finding in clear_text_findings(target.inspection.header) if target.inspection.header else ():
        workspace.warn(f"{target.description}: {finding.text}")


@contextmanager
def _open_one(workspace: Workspace, text: str, *, full: bool) -> Iterator[Target]:
    if text.startswith(VAULT_PREFIX) or not os.path.lexists(text):
        yield open_backup(workspace, text.removeprefix(VAULT_PREFIX))
        return
    with open_source(text) as reader:
        moment = read_moment(text, reader, full=full)
        inspection = with_foreign_signatures(moment.reader, moment.inspection)
        path = Path(text)
        yield Target(moment.reader, inspection, text, path, path, lock_note=moment.lock_note)


def with_foreign_signatures(reader: Reader, inspection: Inspection) -> Inspection:
    """Add what stops cryptsetup: with one LUKS2 copy bad, a foreign signature on the device keeps it from going on."""
    states = [copy.state for copy in inspection.copies]
    if inspection.format != "luks2" or inspection.header is None or states.count("ok") != 1:
        return inspection
    from luksafe.probe.recognise import recognise  # costs start-up time, and only damaged headers need it
    from luksafe.probe.recognised import Kind

    # cryptsetup asks blkid, which does not look at backup superblocks
    found = [f for f in recognise(reader) if f.copy == "primary"]
    foreign = [f for f in found if f.name != "crypto_LUKS" and f.kind is not Kind.BOOT_CODE]
    if not foreign:
        return inspection
    names = ", ".join(dict.fromkeys(found.name for found in foreign))
    text = f"ambiguous signatures: one header copy is bad, and {names} is on the device; cryptsetup refuses it"
    finding = Finding("ambiguous-signatures", Severity.ERROR, "device", text, foreign[0].offset, foreign[0].length)
    return replace(inspection, findings=(*inspection.findings, finding))


def open_backup(workspace: Workspace, text: str) -> Target:
    """A backup in the vault as a target. Raises NotFound when neither a file nor a backup has that name."""
    if "/" in text:
        raise NotFound(f"{text}: no such file or device", hint="see which devices there are: lsblk")
    try:
        vault = workspace.open_vault()
    except NotFound:
        raise NotFound(
            f"{text}: no such file or device"
            if is_like_file(text)
            else f"{text}: no such file or device, and there is no vault at {workspace.vault_home}",
            hint="name the vault with --vault DIR, or check the path",
        ) from None
    with vault:
        try:
            backup = vault.resolve(text)
        except NotFound:
            if is_like_file(text):
                raise NotFound(f"{text}: no such file or device", hint="check its name, or see: luksafe list") from None
            raise
        image = vault.image(backup.id).data
    reader = BytesReader(image)
    return Target(reader, inspect(reader), f"backup {backup.id[:12]}", backup=backup)


def require_path(target: Target) -> Path:
    """The device or file of a target. Raises UsageError for a backup, which is none."""
    if target.header_path is None:
        raise UsageError(f"{target.description} is no device; name the device or image itself")
    return target.header_path
