"""Tables of fixed binary fields: one table serves the parser, the writer and whoever explains the bytes."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from luksafe.errors import DamagedInput

FieldKind = Literal["u16", "u32", "u64", "text", "bytes"]
FieldValue = int | str | bytes
_NUMBER = {"u16": ">H", "u32": ">I", "u64": ">Q"}


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its name in the specification, where it lies, how it is encoded (numbers are big-endian)."""

    name: str
    offset: int
    length: int
    kind: FieldKind


def unpack(fields: Sequence[Field], data: bytes | memoryview) -> dict[str, FieldValue]:
    """Values by name. Text ends at its first NUL; bytes that are no UTF-8 are kept as surrogates.

    Raises DamagedInput when ``data`` is shorter than the table.
    """
    needed = max(f.offset + f.length for f in fields)
    if len(data) < needed:
        raise DamagedInput(f"{needed} bytes of header are needed, {len(data)} are there", code="header-too-short")
    values: dict[str, FieldValue] = {}
    for f in fields:
        raw = bytes(data[f.offset : f.offset + f.length])
        if f.kind == "bytes":
            values[f.name] = raw
        elif f.kind == "text":
            values[f.name] = raw.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")
        else:
            values[f.name] = struct.unpack(_NUMBER[f.kind], raw)[0]
    return values


def pack_into(fields: Sequence[Field], values: Mapping[str, FieldValue], out: bytearray) -> None:
    """Write ``values`` into ``out``; what the table does not name stays as it is. Raises ValueError on a misfit."""
    for f in fields:
        value = values[f.name]
        if isinstance(value, int):
            raw = struct.pack(_NUMBER[f.kind], value)
        elif isinstance(value, str):
            raw = value.encode("utf-8", "surrogateescape")
            if len(raw) >= f.length:
                raise ValueError(f"{f.name} does not fit its {f.length} bytes")
            raw = raw.ljust(f.length, b"\0")
        else:
            raw = value
        if len(raw) != f.length:
            raise ValueError(f"{f.name} has {len(raw)} bytes, not {f.length}")
        out[f.offset : f.offset + f.length] = raw
