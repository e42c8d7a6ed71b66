"""What mkfs.btrfs writes: both ends of the device, the superblocks, and the nodes of all trees."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from luksafe.probe.footprint.model import Footprint, Ranges
from luksafe.probe.recognised import Recognised
from luksafe.probe.signatures.btrfs import MIRRORS_BYTES, SUPERBLOCK_BYTES
from luksafe.probe.volume import MismatchError, Volume

ERASED_BYTES = 2 << 20
TEMPORARY_OFFSET, TEMPORARY_NODES = 5 << 20, 16
SYSTEM_CHUNKS_AT, SYSTEM_CHUNKS_BYTES = 811, 2048
KEY_BYTES, CHUNK_BYTES, STRIPE_BYTES, NODE_HEADER_BYTES = 17, 48, 32, 101
ITEM_BYTES, POINTER_BYTES = 25, 33
CHUNK_ITEM, ROOT_ITEM = 228, 132
ROOT_BYTENR_AT = 176
STRIPED = 0x08 | 0x40 | 0x80 | 0x100  # RAID0, RAID10, RAID5, RAID6
MOST_NODES = 5000


@dataclass(frozen=True, slots=True)
class Chunk:
    """``length`` bytes of logical space from ``logical``, and where its copies lie on this device."""

    logical: int
    length: int
    places: tuple[int, ...]


def btrfs(volume: Volume, found: Recognised) -> Footprint:
    """The first and last 2 MiB, each superblock that fits, and every tree node reached from the superblock."""
    g, out = found.geometry, Ranges(found.start)
    out.certain(0, ERASED_BYTES, "start of the device")
    out.certain(g["device_bytes"] - ERASED_BYTES, ERASED_BYTES, "end of the device")
    for offset in MIRRORS_BYTES:
        if offset + SUPERBLOCK_BYTES <= g["device_bytes"]:
            out.certain(offset, SUPERBLOCK_BYTES, "superblock")
    out.possible(TEMPORARY_OFFSET, TEMPORARY_NODES * g["node_size"], "first trees, later moved")
    try:
        _Trees(volume, found, out).walk()
    except MismatchError:
        out.unknown("trees whose nodes cannot be read, are striped, or are too many")
    return out.footprint("btrfs", discards=True)


class _Trees:
    """Follows all trees: first the chunk tree, which says where everything else lies."""

    def __init__(self, volume: Volume, found: Recognised, out: Ranges) -> None:
        self._volume, self._out, self._g = volume, out, found.geometry
        at = found.offset - volume.offset_bytes + SYSTEM_CHUNKS_AT
        self._chunks: dict[int, Chunk] = {}  # by logical address
        self._order: list[int] = []  # the addresses, sorted
        self._system = volume.read(at, min(found.geometry["system_chunks_bytes"], SYSTEM_CHUNKS_BYTES))
        self._seen: set[int] = set()
        self._used: dict[int, int] = {}  # chunk: end of the highest node in it

    def walk(self) -> None:
        """Adds the nodes of all trees."""
        at = 0
        while at + KEY_BYTES + CHUNK_BYTES <= len(self._system):
            at += KEY_BYTES + self._add_chunk(_u64(self._system, at + 9), self._system[at + KEY_BYTES :])
        self._order = sorted(self._chunks)
        for kind, offset, data in self._items(self._g["chunk_root"], "chunk tree"):
            if kind == CHUNK_ITEM:
                self._add_chunk(offset, data)
        self._order = sorted(self._chunks)
        roots = [
            _u64(data, ROOT_BYTENR_AT)
            for kind, _, data in self._items(self._g["root"], "tree of trees")
            if kind == ROOT_ITEM and len(data) >= ROOT_BYTENR_AT + 8
        ]
        for root in roots:
            for _ in self._items(root, "trees"):
                pass
        for chunk in self._chunks.values():
            for place in chunk.places:
                self._out.possible(place, self._used.get(chunk.logical, 0), "earlier copies of tree nodes")

    def _add_chunk(self, logical: int, raw: bytes) -> int:
        """Remembers a chunk; gives the size of its description."""
        stripes = int.from_bytes(raw[44:46], "little")
        places = []
        for n in range(stripes):
            at = CHUNK_BYTES + n * STRIPE_BYTES
            if at + STRIPE_BYTES <= len(raw) and _u64(raw, at) == self._g["device_id"]:
                places.append(_u64(raw, at + 8))
        if not _u64(raw, 24) & STRIPED:
            self._chunks[logical] = Chunk(logical, _u64(raw, 0), tuple(places))
        return CHUNK_BYTES + stripes * STRIPE_BYTES

    def _items(self, root: int, what: str) -> Iterator[tuple[int, int, bytes]]:
        """The items (key type, key offset, data) of the leaves under ``root``; adds the nodes passed."""
        waiting = [root]
        while waiting:
            logical = waiting.pop()
            if logical in self._seen:
                continue
            if len(self._seen) >= MOST_NODES:
                raise MismatchError("more nodes than are followed")
            self._seen.add(logical)
            node = self._node(logical, what)
            if node is None:
                continue
            count, level = int.from_bytes(node[96:100], "little"), node[100]
            step = POINTER_BYTES if level else ITEM_BYTES
            for at in range(NODE_HEADER_BYTES, min(NODE_HEADER_BYTES + count * step, len(node) - step + 1), step):
                if level:
                    waiting.append(_u64(node, at + KEY_BYTES))
                    continue
                start = NODE_HEADER_BYTES + int.from_bytes(node[at + 17 : at + 21], "little")
                length = int.from_bytes(node[at + 21 : at + 25], "little")
                yield node[at + 8], _u64(node, at + 9), node[start : start + length]

    def _node(self, logical: int, what: str) -> bytes | None:
        """The node at a logical address, once its places are added; None where it lies on another device."""
        size = self._g["node_size"]
        number = bisect_right(self._order, logical)
        chunk = self._chunks[self._order[number - 1]] if number else None
        if chunk is None or logical >= chunk.logical + chunk.length:
            raise MismatchError("in no chunk, or in a striped one")
        inside = logical - chunk.logical
        places = [place + inside for place in chunk.places]
        self._used[chunk.logical] = max(self._used.get(chunk.logical, 0), inside + size)
        for place in places:
            self._out.certain(place, size, what)
        node = self._volume.read(places[0], size) if places else None
        if node is not None and _u64(node, 48) != logical:
            raise MismatchError("no tree node")
        return node


def _u64(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 8], "little")
