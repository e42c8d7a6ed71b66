"""Listing and reading files of a filesystem inside the volume: the part that runs in the isolated process."""

from __future__ import annotations

from collections.abc import Iterator

from luksafe.reader import Reader
from luksafe.view.files.filesystem import CASELESS, Walk, find, open_filesystem
from luksafe.view.files.isolated import Chunk, FileEnd, Found, Message, Note, run_isolated
from luksafe.view.files.node import EntryKind, Node
from luksafe.view.salvage import read_parts

CHUNK_BYTES = 1 << 20
MOST_TIMES_LARGER = 1000  # a file that claims more than this times the size of the volume is damage, not sparse
_ZEROS = bytes(CHUNK_BYTES)


def list_files(
    reader: Reader, content: str, path: str = "/", *, recursive: bool = False, target: str = "TARGET"
) -> Iterator[Found | Note]:
    """What stands at ``path``: a file itself, what a folder holds, or with ``recursive`` all below it.

    ``target`` is the name of the volume in hints.
    Raises ``NotFound``, ``Unsupported``, ``DamagedInput``.
    """

    def produce() -> Iterator[Message]:
        node = find(open_filesystem(reader, content), path, caseless=content in CASELESS, target=target)
        if node.entry.kind is not EntryKind.FOLDER:
            yield Found((node.entry.name,), node.entry)
        elif recursive:
            walked = Walk(node)
            yield from (Found(parts, below.entry) for parts, below in walked if parts)
            yield from (Note(parts, text) for parts, text in walked.failed)
        else:
            yield from (Found((child.entry.name,), child.entry) for child in node.children())

    for message in run_isolated(produce):
        if isinstance(message, Found | Note):
            yield message


def read_files(reader: Reader, content: str, path: str, *, target: str = "TARGET") -> Iterator[Message]:
    """All files at or below ``path``, with what they hold. Unreadable places of the disk count as zeros.

    ``target`` is the name of the volume in hints.
    Raises ``NotFound``, ``Unsupported``, ``DamagedInput``.
    """

    def produce() -> Iterator[Message]:
        filling = ZeroFilling(reader)
        node = find(open_filesystem(filling, content), path, caseless=content in CASELESS, target=target)
        walked = Walk(node)
        for parts, below in walked:
            yield Found(parts, below.entry)
            if below.entry.kind is EntryKind.FILE:
                yield from _content(below, filling)
        yield from (Note(parts, text) for parts, text in walked.failed)

    return run_isolated(produce)


def _content(node: Node, filling: ZeroFilling) -> Iterator[Message]:
    before = filling.bad_bytes
    size = node.entry.size_bytes
    if size > filling.size_bytes * MOST_TIMES_LARGER:
        yield FileEnd(0, f"it claims to be of {size} bytes")
        return
    try:
        for offset in range(0, size, CHUNK_BYTES):
            data = node.read_at(offset, CHUNK_BYTES)
            if len(data) < min(CHUNK_BYTES, size - offset):
                yield FileEnd(filling.bad_bytes - before, f"it ends at byte {offset + len(data)} of {size}")
                return
            if not _ZEROS.startswith(data):
                yield Chunk(offset, data)
    except OSError as error:
        yield FileEnd(filling.bad_bytes - before, str(error))
        return
    yield FileEnd(filling.bad_bytes - before)


class ZeroFilling:
    """A Reader with zeros where the inner one fails, by sectors; counts them."""

    def __init__(self, inner: Reader) -> None:
        self._inner = inner
        self.bad_bytes = 0

    @property
    def size_bytes(self) -> int:
        """The size of the inner one."""
        return self._inner.size_bytes

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Its bytes, or zeros; fewer at the end."""
        length = max(0, min(length_bytes, self.size_bytes - offset_bytes))
        parts = []
        for part in read_parts(self._inner, offset_bytes, length, 512):
            if part.data is None:
                self.bad_bytes += part.size_bytes
            parts.append(bytes(part.size_bytes) if part.data is None else part.data)
        return b"".join(parts)
