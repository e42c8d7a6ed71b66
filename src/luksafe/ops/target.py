"""What a user names as TARGET becomes bytes and what they say: a device, an image, a header file, a backup."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from luksafe.device.source import open_source
from luksafe.errors import NotFound
from luksafe.luks.inspection import Inspection, inspect
from luksafe.ops.workspace import Workspace
from luksafe.reader import BytesReader, Reader

VAULT_PREFIX = "vault:"


@dataclass(frozen=True, slots=True)
class Target:
    """An opened target. ``reader`` holds the header (and the data too, unless detached or a backup).

    ``path`` is None for a backup; ``backup_id`` is None for anything else; ``description`` is for people.
    """

    reader: Reader
    inspection: Inspection
    description: str
    path: Path | None = None
    backup_id: str | None = None
    data_path: Path | None = None


@contextmanager
def open_target(workspace: Workspace, text: str, header: str | None = None) -> Iterator[Target]:
    """Open a target read-only and look at its header; ``header`` is a detached one (a file, or ``vault:ID``).

    A path that exists wins over a backup of that name; ``vault:`` before the name asks for a backup. Raises NotFound.
    """
    if header is not None:
        with open_target(workspace, header) as detached:
            text_and_header = f"{text} with the header from {detached.description}"
            yield Target(
                detached.reader, detached.inspection, text_and_header, detached.path, detached.backup_id, Path(text)
            )
        return
    if text.startswith(VAULT_PREFIX) or not os.path.lexists(text):
        yield open_backup(workspace, text.removeprefix(VAULT_PREFIX))
        return
    with open_source(text) as reader:
        yield Target(reader, inspect(reader), text, Path(text), data_path=Path(text))


def open_backup(workspace: Workspace, text: str) -> Target:
    """A backup in the vault as a target. Raises NotFound when neither a file nor a backup has that name."""
    if "/" in text:
        raise NotFound(f"{text}: no such file or device")
    raise NotFound(f"{text}: no such file, device or backup")


def bytes_target(image: bytes, description: str, backup_id: str) -> Target:
    """A header image in memory as a target."""
    reader = BytesReader(image)
    return Target(reader, inspect(reader), description, backup_id=backup_id)
