"""Which reader reads which filesystem, and walking its tree within bounds."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator

from luksafe.errors import DamagedInput, NotFound, Unsupported
from luksafe.reader import Reader
from luksafe.view.files.node import EntryKind, Node
from luksafe.view.files.tsk import FILESYSTEMS, open_tsk
from luksafe.view.files.xfs import open_xfs

MAX_DEPTH = 200
MAX_ENTRIES = 20_000_000
CASELESS = frozenset({"vfat", "exfat", "ntfs"})


def open_filesystem(reader: Reader, content: str) -> Node:
    """The root of the filesystem that ``content`` names as blkid does. Raises ``Unsupported``, ``DamagedInput``."""
    if content in FILESYSTEMS:
        return open_tsk(reader, content)
    if content == "xfs":
        return open_xfs(reader)
    kernel = "as root: mount -o ro,loop DIR/volume /mnt"
    by_hand = f"btrfs restore DIR/volume FOLDER (package btrfs-progs); or {kernel}" if content == "btrfs" else kernel
    raise Unsupported(
        f"no files of {content} are read here" if content else "what stands in the volume is not recognised",
        hint=f"luksafe mount TARGET DIR, then {by_hand}",
    )


def find(root: Node, path: str, *, caseless: bool = False, target: str = "TARGET") -> Node:
    """The node at ``path``; symbolic links on the way are not followed.

    Raises ``NotFound``, with a hint that names the volume ``target``.
    """
    look = f"see what there is: luksafe ls {shlex.quote(target)}"
    node = root
    for part in [part for part in os.fsencode(path).split(b"/") if part not in (b"", b".")]:
        if node.entry.kind is not EntryKind.FOLDER:
            raise NotFound(f"{path}: {os.fsdecode(node.entry.name)} is no folder", hint=_link_hint(node) or look)
        children = list(node.children())
        found = next((child for child in children if child.entry.name == part), None)
        if found is None and caseless:
            wanted = os.fsdecode(part).casefold()
            found = next((child for child in children if os.fsdecode(child.entry.name).casefold() == wanted), None)
        if found is None:
            raise NotFound(f"no such file or folder in the volume: {path}", hint=look)
        node = found
    return node


def _link_hint(node: Node) -> str:
    target = os.fsdecode(node.entry.link_target)
    return f"it is a link to {target}" if target else ""


class Walk:
    """A node and all below it, folders before what they hold, as pairs of path parts and node.

    Loops that a damaged tree may have are not entered; folders that cannot be read are noted in ``failed``.
    """

    def __init__(self, node: Node, parts: tuple[bytes, ...] = ()) -> None:
        self._start = (parts, node)
        self._seen = 0
        self.failed: list[tuple[tuple[bytes, ...], str]] = []

    def __iter__(self) -> Iterator[tuple[tuple[bytes, ...], Node]]:
        return self._below(*self._start, frozenset())

    def _below(
        self, parts: tuple[bytes, ...], node: Node, above: frozenset[int]
    ) -> Iterator[tuple[tuple[bytes, ...], Node]]:
        self._seen += 1
        if self._seen > MAX_ENTRIES:
            raise DamagedInput(f"the tree has more than {MAX_ENTRIES} names", hint="name a folder of it")
        yield parts, node
        if node.entry.kind is not EntryKind.FOLDER:
            return
        if node.entry.inode in above or len(above) >= MAX_DEPTH:
            self.failed.append((parts, "a folder within itself, or too deep"))
            return
        try:
            for child in node.children():
                yield from self._below((*parts, child.entry.name), child, above | {node.entry.inode})
        except OSError as error:
            self.failed.append((parts, f"the folder cannot be read: {error}"))
