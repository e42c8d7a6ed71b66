"""Reading a stream field by field, in blocks, so that millions of small fields cost few reads."""

from __future__ import annotations

from luksafe.errors import DamagedInput
from luksafe.reader import Reader

_BLOCK_BYTES = 1 << 20


class Cursor:
    """A place in a Reader that moves on as fields are read. Raises ``DamagedInput`` at the end."""

    def __init__(self, reader: Reader, position: int) -> None:
        self._reader = reader
        self._start = position
        self._block = b""
        self._at = 0

    @property
    def position(self) -> int:
        """Where the next byte will come from."""
        return self._start + self._at

    def take(self, length: int) -> bytes:
        """The next ``length`` bytes."""
        if self._at + length > len(self._block):
            self._start += self._at
            self._at = 0
            self._block = self._reader.read_at(self._start, max(length, _BLOCK_BYTES))
            if len(self._block) < length:
                raise DamagedInput(f"the stream ends in the middle, at {self._start:#x}")
        self._at += length
        return self._block[self._at - length : self._at]

    def number(self, length: int) -> int:
        """The next ``length`` bytes as a big-endian number."""
        return int.from_bytes(self.take(length), "big")

    def name(self) -> str:
        """A text with its length in one byte before it."""
        return self.take(self.number(1)).decode("latin-1")

    def skip(self, length: int) -> None:
        """Move on without reading."""
        if self._at + length <= len(self._block):
            self._at += length
        else:
            self._start, self._block, self._at = self.position + length, b"", 0
