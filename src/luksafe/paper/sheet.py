"""What stands on a sheet, its kinds, and the sheet id (spec/paper-sheet.md sections 1, 3 and 6)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum
from typing import Self

from luksafe.errors import DamagedInput, Unsupported, UsageError
from luksafe.secret import SecretBytes

FORMAT = 1
LINE_BYTES = 20
MAX_LINE = 1023
MAX_PAYLOAD_BYTES = LINE_BYTES * MAX_LINE
DIGEST_BYTES = 16


class SheetKind(Enum):
    """What the payload is; the value is the code in the head line."""

    PACKET = 1
    VOLUME_KEY = 2
    PASSPHRASE = 3
    SHARE = 4
    HEADER = 5

    @property
    def word(self) -> str:
        """The name in options and JSON: ``packet``, ``volume-key``, ``passphrase``, ``share``, ``header``."""
        return self.name.lower().replace("_", "-")


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do: a sentence, and the commands to type for it."""

    text: str
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Procedure:
    """One way back in, step by step."""

    heading: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class SheetContent:
    """All that a sheet shows. ``payload`` goes into the codes and the typed lines.

    ``opens`` and ``parameters`` are (label, text) in the order of printing. The first of ``procedures`` stands on the
    first page, the others at the end. ``file_name`` is what they call the payload.
    """

    kind: SheetKind
    title: str
    payload: SecretBytes
    subtitle: tuple[str, ...] = ()
    opens: tuple[tuple[str, str], ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()
    procedures: tuple[Procedure, ...] = ()
    file_name: str = ""

    def __post_init__(self) -> None:
        """Raise UsageError where this cannot be printed."""
        if not 0 < len(self.payload) <= MAX_PAYLOAD_BYTES:
            raise UsageError(
                f"{len(self.payload)} bytes do not go on paper (1 to {MAX_PAYLOAD_BYTES} do)",
                hint="keep the header image in a store, and print the packet without it",
            )
        if self.kind is SheetKind.SHARE and not self.words:
            raise UsageError("the payload of a share sheet is its words, small letters with one space between them")

    @property
    def head(self) -> Head:
        """Line 0 of this sheet."""
        return Head.of(self.kind, self.payload)

    @property
    def sheet_id(self) -> str:
        """As printed: ``3F9A-C1D2``."""
        return self.head.sheet_id

    @property
    def words(self) -> tuple[str, ...]:
        """The words of a share; empty for other kinds, and for a payload that is not words."""
        if self.kind is not SheetKind.SHARE:
            return ()
        text = self.payload.reveal()
        words = text.decode("ascii", "replace").split(" ")
        return tuple(words) if all(word.isascii() and word.isalpha() and word.islower() for word in words) else ()

    @property
    def verbatim(self) -> str:
        """A secret as it is typed: a volume key in hexadecimal, a passphrase that looks like what it is; else empty."""
        if self.kind is SheetKind.VOLUME_KEY:
            return self.payload.view.hex()
        text = self.payload.reveal().decode("utf-8", "replace") if self.kind is SheetKind.PASSPHRASE else ""
        return text if all("!" <= character <= "~" for character in text) else ""

    @property
    def stored_as(self) -> str:
        """The file name of the payload in the procedures."""
        return self.file_name or self.kind.word


@dataclass(frozen=True, slots=True)
class Head:
    """Line 0: kind, length and hash of the payload."""

    kind: SheetKind
    length_bytes: int
    digest: bytes

    @classmethod
    def of(cls, kind: SheetKind, payload: SecretBytes) -> Self:
        """The head line for this payload."""
        return cls(kind, len(payload), hashlib.sha256(payload.view).digest()[:DIGEST_BYTES])

    @classmethod
    def parse(cls, line: bytes) -> Self:
        """From the 20 bytes of line 0; raises Unsupported for another format or kind, DamagedInput for nonsense."""
        if len(line) != LINE_BYTES:
            raise DamagedInput(f"line 0 of a sheet has {LINE_BYTES} bytes, not {len(line)}")
        hint = "read this sheet with a newer luksafe, or by hand as it says itself"
        if line[0] != FORMAT:
            raise Unsupported(f"the sheet has format {line[0]}, this luksafe reads format {FORMAT}", hint=hint)
        if line[1] not in {kind.value for kind in SheetKind}:
            raise Unsupported(f"the sheet holds something of a kind not known here (number {line[1]})", hint=hint)
        length = int.from_bytes(line[2:4], "big")
        if not 0 < length <= MAX_PAYLOAD_BYTES:
            raise DamagedInput(f"line 0 says that the sheet holds {length} bytes, which no sheet does")
        return cls(SheetKind(line[1]), length, line[4:])

    @property
    def line(self) -> bytes:
        """The 20 bytes of line 0."""
        return bytes([FORMAT, self.kind.value]) + self.length_bytes.to_bytes(2, "big") + self.digest

    @property
    def sheet_id(self) -> str:
        """As printed: ``3F9A-C1D2``."""
        digits = self.digest[:4].hex().upper()
        return f"{digits[:4]}-{digits[4:]}"

    @property
    def line_count(self) -> int:
        """The number of the last line."""
        return -(-self.length_bytes // LINE_BYTES)
