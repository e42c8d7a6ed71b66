"""The marker that makes a folder a store (spec/vault.md, section 2.3)."""

from __future__ import annotations

import re
from contextlib import suppress

from luksafe.errors import DamagedInput, NotFound, StoreError, Unsupported
from luksafe.vault.document import MAX_DOCUMENT_BYTES, Open
from luksafe.vault.folder import Folder
from luksafe.vault.record import FORMAT, Format, encode, parse_as, tag_of

MARKER = "luksafe-vault.json"


class Marker(Open, frozen=True, kw_only=True):
    """The format of the files in a store, and the store's own id: 32 hexadecimal digits."""

    format: Format = FORMAT
    store: str


def read_marker(folder: Folder) -> Marker:
    """The marker of a folder. Raises ``NotFound``, ``DamagedInput``, ``Unsupported`` for a format of the future."""
    marker = parse_as(Marker, folder.read(MARKER, MAX_DOCUMENT_BYTES))
    if marker.format > FORMAT:
        raise Unsupported(
            f"{folder.path} is a vault of format {marker.format}; this version knows {FORMAT}",
            hint="use the version of luksafe that made it, or a newer one",
        )
    if not is_store_id(marker.store):
        raise DamagedInput(f"the marker in {folder.path} names no store")
    return marker


def write_marker(folder: Folder, store_id: str) -> bool:
    """Make the folder a store, or restore its damaged marker, of which a copy is kept. False when it has a good one."""
    marker = encode(Marker(store=store_id))
    try:
        read_marker(folder)
    except NotFound:
        return folder.create(MARKER, marker)
    except DamagedInput:
        with suppress(DamagedInput):  # what is no file has no bytes to keep
            damaged = folder.read(MARKER, MAX_DOCUMENT_BYTES)
            folder.create(f"{MARKER}.damaged-{tag_of(damaged)}", damaged)
        # at one stroke: a folder without a marker would be a store no more
        folder.replace(MARKER, marker)
        return True
    return False


def is_store_id(text: str) -> bool:
    """Whether ``text`` is spelled as the id of a store."""
    return re.fullmatch("[0-9a-f]{32}", text) is not None


def set_aside(folder: Folder, name: str, limit_bytes: int) -> str:
    """Rename a damaged file to ``<name>.damaged-<digits of its SHA-256>``; gives the new name. Raises ``NotFound``."""
    try:
        tag = tag_of(folder.read(name, limit_bytes))
    except (DamagedInput, StoreError):
        tag = "0" * 16  # too long, no plain file, or in a bad sector
    head, _, file_name = name.rpartition("/")
    new_file_name = f"{file_name}.damaged-{tag}"
    folder.rename(name, new_file_name)
    return f"{head}/{new_file_name}" if head else new_file_name
