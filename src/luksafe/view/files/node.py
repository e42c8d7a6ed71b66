"""What all readers of filesystems give: nodes of a tree."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Protocol

import msgspec


class EntryKind(StrEnum):
    """What a name stands for; devices, pipes and sockets are ``other``."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    OTHER = "other"


class Entry(msgspec.Struct, frozen=True):
    """What is known of a file or folder. ``mode`` is the permission bits; names are bytes, UTF-8 or not."""

    name: bytes
    kind: EntryKind
    size_bytes: int
    mode: int
    mtime_ns: int
    inode: int
    link_target: bytes = b""


class Node(Protocol):
    """A file or folder of a filesystem."""

    @property
    def entry(self) -> Entry:
        """What is known of it."""
        ...

    def children(self) -> Iterator[Node]:
        """What a folder holds, without ``.`` and ``..``. Raises ``OSError``."""
        ...

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Bytes of a file, fewer at its end. Raises ``OSError``."""
        ...


def raw_name(name: bytes | str) -> bytes:
    """A name as the bytes on the disk."""
    return name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")
