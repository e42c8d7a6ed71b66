"""Which bytes were read and which were not, in the mapfile format of GNU ddrescue (manual, "Mapfile structure")."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from luksafe.errors import DamagedInput
from luksafe.wall import walled

MAX_BLOCKS = 1_000_000  # a mapfile of a dying disk has thousands; this bounds a hostile one
MAX_SIZE_BYTES = 1 << 63


class Status(StrEnum):
    """What is known of a range, in ddrescue's letters."""

    UNTRIED = "?"
    UNTRIMMED = "*"
    UNSCRAPED = "/"
    BAD = "-"
    FINISHED = "+"


@dataclass(frozen=True, slots=True)
class Block:
    """A range of bytes with one status."""

    offset_bytes: int
    size_bytes: int
    status: Status

    @property
    def end_bytes(self) -> int:
        """The first byte after the range."""
        return self.offset_bytes + self.size_bytes


class Mapfile:
    """The status of every byte of ``size_bytes`` bytes; neighbours of one status are one block."""

    def __init__(self, size_bytes: int, status: Status = Status.UNTRIED) -> None:
        self.size_bytes = size_bytes
        self._starts = [0] if size_bytes else []
        self._status = [status] if size_bytes else []

    @classmethod
    def of_blocks(cls, blocks: list[Block]) -> Mapfile:
        """A mapfile of contiguous blocks, the first at 0."""
        mapfile = cls(blocks[-1].end_bytes if blocks else 0)
        mapfile._starts = [block.offset_bytes for block in blocks]
        mapfile._status = [block.status for block in blocks]
        mapfile._join(0, len(blocks))
        return mapfile

    def __iter__(self) -> Iterator[Block]:
        ends = [*self._starts[1:], self.size_bytes]
        for start, end, status in zip(self._starts, ends, self._status):
            yield Block(start, end - start, status)

    def blocks(self, *statuses: Status) -> list[Block]:
        """The blocks that have one of ``statuses``, in order."""
        return [block for block in self if block.status in statuses]

    def total_bytes(self, *statuses: Status) -> int:
        """How many bytes have one of ``statuses``."""
        return sum(block.size_bytes for block in self if block.status in statuses)

    def mark(self, offset_bytes: int, size_bytes: int, status: Status) -> None:
        """Give a range a status; what reaches beyond the end is ignored."""
        end = min(offset_bytes + size_bytes, self.size_bytes)
        if offset_bytes >= end:
            return
        first = bisect_right(self._starts, offset_bytes) - 1
        last = bisect_right(self._starts, end - 1) - 1
        starts, values = [], []
        if self._starts[first] < offset_bytes:
            starts.append(self._starts[first])
            values.append(self._status[first])
        starts.append(offset_bytes)
        values.append(status)
        if end < self._end_of(last):
            starts.append(end)
            values.append(self._status[last])
        self._starts[first : last + 1] = starts
        self._status[first : last + 1] = values
        self._join(max(first - 1, 0), min(first + len(starts) + 1, len(self._starts)))

    def _end_of(self, index: int) -> int:
        return self._starts[index + 1] if index + 1 < len(self._starts) else self.size_bytes

    def _join(self, first: int, end: int) -> None:
        """Merge neighbours of one status among the blocks ``first`` … ``end``."""
        for index in range(end - 1, first, -1):
            if self._status[index] == self._status[index - 1]:
                del self._starts[index], self._status[index]


def format_mapfile(mapfile: Mapfile, *, comments: list[str] | None = None) -> str:
    """The text of a mapfile; ``comments`` become heading lines."""
    pending = mapfile.blocks(Status.UNTRIED, Status.UNTRIMMED, Status.UNSCRAPED)
    position, status = (pending[0].offset_bytes, pending[0].status.value) if pending else (mapfile.size_bytes, "+")
    lines = ["# Mapfile. Created by luksafe"]
    lines += [f"# {comment}" for comment in comments or []]
    lines += ["# current_pos  current_status  current_pass", f"0x{position:08X}     {status}               1"]
    lines += ["#      pos        size  status"]
    lines += [f"0x{block.offset_bytes:08X}  0x{block.size_bytes:08X}  {block.status}" for block in mapfile]
    return "\n".join(lines) + "\n"


@walled("a ddrescue mapfile")
def parse_mapfile(text: str) -> Mapfile:
    """Read a mapfile of ddrescue or of ours. Raises ``DamagedInput`` for anything else."""
    lines = [content for line in text.splitlines() if (content := line.partition("#")[0].split())]
    if not lines or len(lines) - 1 > MAX_BLOCKS or len(lines[0]) not in (2, 3) or lines[0][1] not in "?*/-FG+":
        raise _damaged("it has no status line" if lines else "it is empty")
    blocks = [_parse_block(words, number) for number, words in enumerate(lines[1:], 1)]
    for block, following in pairwise(blocks):
        if block.end_bytes != following.offset_bytes:
            raise _damaged(f"its blocks leave a gap or overlap at {block.end_bytes:#x}")
    if blocks and blocks[0].offset_bytes:  # a mapfile of a part: what lies before it was not tried
        blocks.insert(0, Block(0, blocks[0].offset_bytes, Status.UNTRIED))
    return Mapfile.of_blocks(blocks)


def _parse_block(words: list[str], number: int) -> Block:
    try:
        offset, size, status = _parse_integer(words[0]), _parse_integer(words[1]), Status(words[2])
    except (ValueError, IndexError):
        raise _damaged(f"block {number} cannot be read: {' '.join(words)[:60]!r}") from None
    if len(words) != 3 or offset < 0 or size <= 0 or offset + size > MAX_SIZE_BYTES:
        raise _damaged(f"block {number} cannot be read: {' '.join(words)[:60]!r}")
    return Block(offset, size, status)


def _parse_integer(word: str) -> int:
    """A decimal, hexadecimal or octal integer, as C writes them."""
    if len(word) > 24:
        raise ValueError(word)
    is_octal = len(word) > 1 and word[0] == "0" and word[1].isdigit()
    return int(word, 8 if is_octal else 0)


def _damaged(why: str) -> DamagedInput:
    return DamagedInput(f"this is not a ddrescue mapfile: {why}", hint="give another mapfile, or start without one")
