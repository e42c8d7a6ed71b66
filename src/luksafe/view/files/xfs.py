"""XFS through libfsxfs (extra ``files``: libfsxfs-python)."""

from __future__ import annotations

import io
import stat
from collections.abc import Iterator
from typing import Any

from luksafe.errors import DamagedInput, Unsupported
from luksafe.extras import install_hint
from luksafe.reader import Reader
from luksafe.view.files.node import Entry, EntryKind, Node, raw_name

KINDS = {stat.S_IFREG: EntryKind.FILE, stat.S_IFDIR: EntryKind.FOLDER, stat.S_IFLNK: EntryKind.LINK}


def open_xfs(reader: Reader) -> Node:
    """The root of a filesystem. Raises ``Unsupported`` without libfsxfs, ``DamagedInput`` where it cannot be read."""
    try:
        import pyfsxfs
    except ImportError:
        raise Unsupported(
            "reading files of xfs needs libfsxfs",
            hint=f"{install_hint('files')}; or mount it: luksafe mount, then mount -o ro,norecovery,loop",
        ) from None
    volume = pyfsxfs.volume()
    try:
        volume.open_file_object(_File(reader))
        return _XfsNode(volume, volume.root_directory, b"/")
    except OSError as error:
        raise DamagedInput(
            f"the xfs filesystem cannot be read: {error}",
            hint="try: luksafe serve --overlay FILE, then xfs_repair on what it serves",
        ) from None


class _File(io.RawIOBase):
    """A Reader as a Python file, which libfsxfs takes."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._reader.size_bytes}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        data = self._reader.read_at(self._at, self._reader.size_bytes if size < 0 else size)
        self._at += len(data)
        return data

    def get_size(self) -> int:
        return self._reader.size_bytes


class _XfsNode:
    def __init__(self, volume: Any, file: Any, name: bytes) -> None:
        self._volume = volume  # must outlive its entries
        self._file = file
        mode = int(file.file_mode)
        kind = KINDS.get(stat.S_IFMT(mode), EntryKind.OTHER)
        target = raw_name(file.symbolic_link_target or b"") if kind is EntryKind.LINK else b""
        mtime_ns = int(file.get_modification_time_as_integer() or 0)
        self.entry = Entry(name, kind, int(file.size), mode & 0o7777, mtime_ns, int(file.inode_number), target)

    def children(self) -> Iterator[Node]:
        for file in self._file.sub_file_entries:
            yield _XfsNode(self._volume, file, raw_name(file.name))

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        length = min(length_bytes, self.entry.size_bytes - offset_bytes)
        return bytes(self._file.read_buffer_at_offset(length, offset_bytes)) if length > 0 else b""
