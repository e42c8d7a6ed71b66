"""What a scan found: volumes, places where key material lies without its header, guesses of lost partitions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from luksafe.luks.found import Format, FoundCopy
from luksafe.luks.model import Header
from luksafe.reader import Reader

VolumeKind = Literal["volume", "backup", "unknown"]
KeyslotState = Literal["intact", "destroyed"]
Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class FoundVolume:
    """One header found, with both its copies where both are there. Offsets are bytes of ``file``.

    ``offset`` is where its volume begins (for a packed backup, where the gzip member begins). ``copies`` are those
    found, ``header`` the one that counts, None for what cannot be used. ``kind``: ``volume`` when cipher text follows
    where its data should, ``backup`` when it is a copy of a header only. ``is_contiguous``: its parts lie where it
    says. ``stale``: there is a later state of this header, or (``is_taken_over``) a later volume in its place; ``why``
    says what the judgement rests on. ``backups`` are ids in the vault of this very generation.
    """

    file: str
    offset: int
    format: Format
    uuid: str
    seqid: int
    copies: tuple[FoundCopy, ...]
    header: Header | None
    kind: VolumeKind = "unknown"
    keyslots: tuple[tuple[int, KeyslotState], ...] = ()
    is_contiguous: bool = True
    is_packed: bool = False
    stale: bool = False
    is_taken_over: bool = False
    why: tuple[str, ...] = ()
    backups: tuple[str, ...] = ()

    @property
    def is_usable(self) -> bool:
        """Whether a passphrase could open it: a header, and a keyslot whose key material can be whole."""
        return self.header is not None and any(state == "intact" for _, state in self.keyslots)

    @property
    def may_hold_data(self) -> bool:
        """Whether its data may follow it: no mere backup, and no later volume in its place."""
        return self.header is not None and not self.is_taken_over and self.kind != "backup" and self.offset >= 0

    @property
    def only(self) -> str:
        """``primary`` or ``secondary`` when of a LUKS2 header one copy alone can be used, else empty."""
        good = {copy.copy for copy in self.copies if copy.header is not None}
        return next(iter(good)) if self.format == "luks2" and len(good) == 1 else ""

    def copy_named(self, name: str) -> FoundCopy | None:
        """The copy of that name, if it was found."""
        return next((copy for copy in self.copies if copy.copy == name), None)


@dataclass(frozen=True, slots=True)
class KnownHeader:
    """A header whose keyslot areas ``reader`` holds; ``name`` says where from, for people."""

    name: str
    header: Header
    reader: Reader


@dataclass(frozen=True, slots=True)
class Remains:
    """Key material of a known header that lies where no header is: its volume begins at ``start``.

    ``matched`` of the ``sampled`` sectors were found in place.
    """

    file: str
    start: int
    known: KnownHeader
    matched: int
    sampled: int

    @property
    def uuid(self) -> str:
        """The UUID of the volume."""
        return self.known.header.uuid


@dataclass(frozen=True, slots=True)
class LostPartition:
    """A guess where a volume lies: ``start`` and ``length`` in bytes; ``sure`` says whether the start was tested well.

    ``listed``: a partition table on the disk has just this partition, so that nothing is lost. ``opened``: whether the
    given key opens it, None when none was tried; ``data`` is what its data decrypt to. ``is_inside``: a
    partition of the table lies over it, so that no table can list both.
    """

    file: str
    start: int
    length: int
    uuid: str
    sure: bool
    listed: bool
    start_why: str
    length_why: str
    opened: bool | None = None
    data: str = ""
    is_inside: bool = False

    @property
    def is_whole_device(self) -> bool:
        """Whether it begins with the device: then it lies in no partition, and nothing is lost."""
        return self.start == 0


@dataclass(frozen=True, slots=True)
class Scanned:
    """All of one scan. ``unreadable`` are ranges with their file; ``is_cut`` says that there was more than could be
    kept; ``unlooked`` counts places that look like a header and for which no time was left; ``bytes_read``, in which a
    second round does not count, and ``seconds`` tell the speed.
    """

    volumes: tuple[FoundVolume, ...]
    remains: tuple[Remains, ...] = ()
    partitions: tuple[LostPartition, ...] = ()
    unreadable: tuple[tuple[str, Range], ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    is_cut: bool = False
    unlooked: int = 0
    bytes_read: int = 0
    seconds: float = 0.0
    is_folder: bool = False
