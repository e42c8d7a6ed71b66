"""The ranges that a tool wrote, and how they are collected."""

from __future__ import annotations

from dataclasses import dataclass

from luksafe.probe.signatures.luks import HEADER_SIZES

LUKS_MAGIC_BYTES = 6


@dataclass(frozen=True, slots=True)
class Written:
    """``length`` bytes at ``offset`` of the reader. ``certain``: the structure cannot be there without them written;
    otherwise the tool may have written them, depending on its options or on later use."""

    offset: int
    length: int
    what: str
    certain: bool

    @property
    def end(self) -> int:
        """The offset of the first byte behind it."""
        return self.offset + self.length


@dataclass(frozen=True, slots=True)
class Footprint:
    """What the maker of one structure wrote, by place. ``name`` is that of the structure.

    ``discards``: the usual tool first discards the whole device where it can (SSD, thin volume), so that all other
    bytes may be zero as well. ``not_covered`` says in words what is written besides but not computed here.
    """

    name: str
    ranges: tuple[Written, ...]
    discards: bool
    not_covered: tuple[str, ...]

    def overlapping(self, offset: int, length: int) -> list[Written]:
        """The ranges that touch ``length`` bytes at ``offset``."""
        return [r for r in self.ranges if r.offset < offset + length and offset < r.end]


class Ranges:
    """Collects ranges given relative to the start of the volume; neighbours of one kind are joined."""

    def __init__(self, start: int) -> None:
        self._start = start
        self._found: dict[tuple[str, bool], list[tuple[int, int]]] = {}
        self.not_covered: list[str] = []

    def certain(self, offset: int, length: int, what: str) -> None:
        """A range that must have been written."""
        self._add(offset, length, what, True)

    def possible(self, offset: int, length: int, what: str) -> None:
        """A range that may have been written."""
        self._add(offset, length, what, False)

    def erased_signatures(self) -> None:
        """The tool first erases the signatures that libblkid knows: of LUKS2 the magic of either header copy."""
        for offset in (0, *HEADER_SIZES):
            self.possible(offset, LUKS_MAGIC_BYTES, "LUKS magic, if old signatures were erased")

    def unknown(self, what: str) -> None:
        """Something written whose place is not computed."""
        self.not_covered.append(what)

    def _add(self, offset: int, length: int, what: str, certain: bool) -> None:
        if length <= 0 or offset < 0:
            return
        ranges = self._found.setdefault((what, certain), [])
        if ranges and ranges[-1][0] <= offset <= ranges[-1][1]:
            ranges[-1] = (ranges[-1][0], max(ranges[-1][1], offset + length))
        else:
            ranges.append((offset, offset + length))

    def footprint(self, name: str, *, discards: bool = False) -> Footprint:
        """All that was collected, by place."""
        ranges = [
            Written(self._start + first, end - first, what, certain)
            for (what, certain), places in self._found.items()
            for first, end in places
        ]
        ranges.sort(key=lambda r: (r.offset, not r.certain, r.end))
        return Footprint(name, tuple(ranges), discards, tuple(self.not_covered))
