"""KMIP 0.98 items as volume_key writes them: tag (4 bytes), type (1), length (4), value; big-endian, no padding."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Self

from luksafe.errors import DamagedInput

INTEGER = 0x01
ENUMERATION = 0x04
TEXT = 0x06
BYTES = 0x07
STRUCTURE = 0x80

MAX_BYTES = 1 << 20
MAX_DEPTH = 16
_HEAD = struct.Struct(">IBI")


@dataclass(frozen=True, slots=True)
class Item:
    """One item: ``value`` for a plain one, ``items`` for a structure. It may hold a secret, so repr shows neither."""

    tag: int
    type: int
    value: bytes = field(default=b"", repr=False)
    items: tuple[Item, ...] = field(default=(), repr=False)

    @classmethod
    def integer(cls, tag: int, value: int) -> Self:
        """A signed number of 4 bytes."""
        return cls(tag, INTEGER, value.to_bytes(4, "big", signed=True))

    @classmethod
    def enumeration(cls, tag: int, value: int) -> Self:
        """One value of a KMIP enumeration."""
        return cls(tag, ENUMERATION, value.to_bytes(4, "big"))

    @classmethod
    def text(cls, tag: int, value: str) -> Self:
        """UTF-8 text."""
        return cls(tag, TEXT, value.encode("utf-8", "replace"))

    @classmethod
    def structure(cls, tag: int, *items: Item) -> Self:
        """A structure of other items."""
        return cls(tag, STRUCTURE, items=items)

    def find(self, *path: int) -> Item | None:
        """The first item at a path of tags; None when there is none."""
        found: Item | None = self
        for tag in path:
            found = next((i for i in found.items if i.tag == tag), None) if found else None
        return found

    def child(self, *path: int) -> Item:
        """The first item at a path of tags; raises DamagedInput when there is none."""
        found = self.find(*path)
        if found is None:
            raise DamagedInput(f"the volume_key packet lacks the item 0x{path[-1]:08X}")
        return found

    def as_number(self) -> int:
        """The value of an integer or enumeration."""
        if self.type not in (INTEGER, ENUMERATION) or len(self.value) != 4:
            raise DamagedInput(f"item 0x{self.tag:08X} of the volume_key packet is no number")
        return int.from_bytes(self.value, "big", signed=self.type == INTEGER)

    def as_text(self) -> str:
        """The value of a text item."""
        if self.type != TEXT:
            raise DamagedInput(f"item 0x{self.tag:08X} of the volume_key packet is no text")
        return self.value.decode("utf-8", "replace")

    def as_bytes(self) -> bytes:
        """The value of a bytes item."""
        if self.type != BYTES:
            raise DamagedInput(f"item 0x{self.tag:08X} of the volume_key packet is no byte string")
        return self.value

    def serialize(self) -> bytes:
        """The item as bytes."""
        value = b"".join(i.serialize() for i in self.items) if self.type == STRUCTURE else self.value
        return _HEAD.pack(self.tag, self.type, len(value)) + value


def parse_item(data: bytes) -> Item:
    """The one item that ``data`` is; raises DamagedInput when it is cut, too deep or has something behind it."""
    if len(data) > MAX_BYTES:
        raise DamagedInput(f"{len(data)} bytes are no volume_key packet")
    items = _parse(memoryview(data), 0)
    if len(items) != 1:
        raise DamagedInput("there is something behind the volume_key packet" if items else "the packet is empty")
    return items[0]


def _parse(data: memoryview, depth: int) -> tuple[Item, ...]:
    if depth > MAX_DEPTH:
        raise DamagedInput("the volume_key packet is nested too deeply")
    items = []
    while data:
        if len(data) < _HEAD.size:
            raise DamagedInput("the volume_key packet is cut off")
        tag, kind, length = _HEAD.unpack_from(data)
        value, data = data[_HEAD.size : _HEAD.size + length], data[_HEAD.size + length :]
        if len(value) < length:
            raise DamagedInput("the volume_key packet is cut off")
        inner = _parse(value, depth + 1) if kind == STRUCTURE else ()
        items.append(Item(tag, kind, b"" if kind == STRUCTURE else bytes(value), inner))
    return tuple(items)
