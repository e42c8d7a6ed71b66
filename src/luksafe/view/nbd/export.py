"""What the server offers: a Reader, and with an overlay a place for writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from luksafe.reader import Reader
from luksafe.view.nbd.protocol import TransmissionFlag


class WritableReader(Reader, Protocol):
    """A Reader that can be written, for the export that has an overlay."""

    def write_at(self, offset_bytes: int, data: bytes | memoryview) -> None:
        """Write ``data``; never beyond the end. Raises ``OSError``."""
        ...

    def flush(self) -> None:
        """Make all that was written durable."""
        ...


@dataclass(frozen=True, slots=True)
class Export:
    """One export, asked for by ``name`` or by the empty name. ``writable`` is the reader, where that takes writes."""

    reader: Reader
    name: str = ""
    description: str = ""
    writable: WritableReader | None = None

    @property
    def size_bytes(self) -> int:
        """The size of the export."""
        return self.reader.size_bytes

    def has_name(self, name: bytes) -> bool:
        """Whether a client means this export."""
        return name in (b"", self.name.encode())

    def transmission_flags(self, *, structured: bool) -> TransmissionFlag:
        """What the export can do, as told to clients."""
        flags = TransmissionFlag.HAS_FLAGS | TransmissionFlag.CAN_MULTI_CONN
        if structured:
            flags |= TransmissionFlag.SEND_DF
        if self.writable is None:
            return flags | TransmissionFlag.READ_ONLY
        return flags | TransmissionFlag.SEND_FLUSH | TransmissionFlag.SEND_FUA
