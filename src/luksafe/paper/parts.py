"""Putting a sheet together again from its codes and typed lines, in any order (sections 4 and 5)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from luksafe.errors import DamagedInput, UsageError
from luksafe.paper.sheet import DIGEST_BYTES, LINE_BYTES, Head, SheetKind
from luksafe.secret import SecretBytes


@dataclass(frozen=True, slots=True)
class Part:
    """What one QR code carries: code ``index`` (from 1) of ``count``, and its lines one after another."""

    head: Head
    index: int
    count: int
    data: bytes = field(repr=False)

    @property
    def first_line(self) -> int:
        """The number of the first line in this code."""
        return part_lines(self.head.line_count, self.index, self.count).start


@dataclass(frozen=True, slots=True)
class SheetPayload:
    """What a sheet held."""

    kind: SheetKind
    payload: SecretBytes
    sheet_id: str


def part_lines(line_count: int, index: int, count: int) -> range:
    """The numbers of the lines in code ``index`` of ``count``; empty if there is no such code."""
    each = -(-line_count // count)
    start = 1 + each * (index - 1)
    return range(start, min(start + each, line_count + 1))


class SheetParts:
    """One sheet as it comes in. Lines come from codes or from typing; both may be mixed.

    All parts must be of one sheet: that of the first head line, or ``sheet_id`` where given.
    """

    def __init__(self, sheet_id: str = "") -> None:
        self._wanted = normal_id(sheet_id) if sheet_id else ""
        self._lines: dict[int, bytes] = {}
        self.head: Head | None = None
        self.code_count = 0
        self.codes_in: set[int] = set()

    @property
    def sheet_id(self) -> str:
        """The id as printed; empty while no head line is in and none was asked for."""
        return self.head.sheet_id if self.head else self._wanted

    def add_part(self, part: Part) -> None:
        """Take a code; raises DamagedInput if it is of another sheet or was cut otherwise."""
        if self.code_count not in (0, part.count):
            raise DamagedInput(
                f"sheet {part.head.sheet_id} was printed twice, with {self.code_count} and with {part.count} codes",
                hint="read the codes of one print only",
            )
        self.add_lines({0: part.head.line})
        cut = range(0, len(part.data), LINE_BYTES)
        self.add_lines({part.first_line + at // LINE_BYTES: part.data[at : at + LINE_BYTES] for at in cut})
        self.code_count = part.count
        self.codes_in.add(part.index)

    def add_lines(self, lines: Mapping[int, bytes]) -> None:
        """Take lines by number; raises DamagedInput if one is of another sheet, Unsupported for a format not known."""
        if 0 in lines:
            self._take_head(Head.parse(lines[0]))
        for number, data in lines.items():
            if number and self._lines.setdefault(number, data) != data:
                raise DamagedInput(
                    f"line {number} was read twice with different content", hint="compare the sheet id on every page"
                )

    def _take_head(self, head: Head) -> None:
        if self.sheet_id not in ("", head.sheet_id) or self.head not in (None, head):
            raise DamagedInput(
                f"this is a part of sheet {head.sheet_id}, not of sheet {self.sheet_id}",
                hint=f"only pages that bear {self.sheet_id} belong together",
                code="other-sheet",
            )
        self.head = head

    @property
    def missing_lines(self) -> list[int]:
        """The lines still wanted; only line 0 while it is not in, for it tells how many there are."""
        if self.head is None:
            return [0]
        return [number for number in range(1, self.head.line_count + 1) if number not in self._lines]

    @property
    def missing_codes(self) -> list[int]:
        """The codes that would bring the lines still wanted; empty if no code was read at all."""
        if self.head is None or not self.code_count:
            return []
        missing, count = set(self.missing_lines), self.head.line_count
        cuts = {index: part_lines(count, index, self.code_count) for index in range(1, self.code_count + 1)}
        return [index for index, numbers in cuts.items() if not missing.isdisjoint(numbers)]

    @property
    def is_complete(self) -> bool:
        """Whether every line is in."""
        return not self.missing_lines

    def payload(self) -> SheetPayload:
        """What the sheet held, proven by its hash; raises DamagedInput while parts are missing or do not match."""
        if self.head is None or not self.is_complete:
            raise DamagedInput(f"sheet {self.sheet_id or '(id not read)'} is incomplete", hint=self.wanted())
        filled = b"".join(self._lines[number] for number in range(1, self.head.line_count + 1))
        payload, fill = filled[: self.head.length_bytes], filled[self.head.length_bytes :]
        if any(fill) or hashlib.sha256(payload).digest()[:DIGEST_BYTES] != self.head.digest:
            raise DamagedInput(
                f"every line of sheet {self.sheet_id} is right by itself, but together they are not that sheet",
                hint="a line is from another sheet: compare the sheet id on every page, then read again",
            )
        return SheetPayload(self.head.kind, SecretBytes(payload), self.head.sheet_id)

    def wanted(self) -> str:
        """What is still to be read, in words; empty if nothing is."""
        if self.head is None:
            return "scan any code of the sheet, or type its line 0"
        missing = self.missing_lines
        if not missing:
            return ""
        lines = f"type line{'s' if len(missing) > 1 else ''} {spans(missing)}"
        codes = self.missing_codes
        if not codes:
            return lines
        return f"scan code{'s' if len(codes) > 1 else ''} {spans(codes)} of {self.code_count} again, or {lines}"


def spans(numbers: list[int]) -> str:
    """Rising numbers as people write them: ``3, 7-12``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def normal_id(typed: str) -> str:
    """A sheet id as printed, from how it was typed; raises UsageError if it is none."""
    digits = "".join(typed.replace("-", " ").split()).upper()
    if len(digits) != 8 or any(digit not in "0123456789ABCDEF" for digit in digits):
        raise UsageError(f"{typed!r} is not a sheet id", hint="it is printed on every page, as in 3F9A-C1D2")
    return f"{digits[:4]}-{digits[4:]}"
