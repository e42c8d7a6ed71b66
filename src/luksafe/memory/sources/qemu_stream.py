"""QEMU's migration stream: what ``migrate exec:…``, ``virsh save`` and the older ``virsh dump`` write.

Sections, big-endian (QEMU, docs/devel/migration): the RAM section comes first and holds one record for each page:
address and flags in 8 bytes, the RAM block's name when it changes, and the page, or one byte when all are the same.
So pages stand at odd places, and the state of the devices follows, which holds no RAM.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from pathlib import Path

from luksafe.errors import DamagedInput, Unsupported
from luksafe.memory.image import PAGE_BYTES, FileImage
from luksafe.memory.sources.cursor import Cursor
from luksafe.memory.sources.raw import open_raw
from luksafe.reader import Reader

MAGIC = b"QEVM"

_VERSION = 3
_START, _PART, _END, _SUBSECTION, _CONFIGURATION, _FOOTER = 0x01, 0x02, 0x03, 0x05, 0x07, 0x7E
_ZERO, _SIZES, _PAGE, _EOS, _SAME_BLOCK, _FLUSH = 0x02, 0x04, 0x08, 0x10, 0x20, 0x200
_KNOWN_FLAGS = _ZERO | _SIZES | _PAGE | _EOS | _SAME_BLOCK | _FLUSH
_HINT = "Dump it as an ELF core: virsh dump --memory-only, or dump-guest-memory in QEMU's monitor."


@dataclass(slots=True)
class PagedImage:
    """Pages that stand at any place in a file: the positions of each, and its address."""

    kind: str
    reader: FileImage
    positions: array[int]
    addresses: array[int]
    notes: tuple[str, ...] = ()

    @property
    def size_bytes(self) -> int:
        """The size of all pages."""
        return len(self.positions) * PAGE_BYTES

    @property
    def unreadable_bytes(self) -> int:
        """What the file did not give."""
        return self.reader.unreadable_bytes

    @unreadable_bytes.setter
    def unreadable_bytes(self, value: int) -> None:
        self.reader.unreadable_bytes = value

    def read_into(self, offset_bytes: int, buffer: memoryview) -> None:
        """Fill ``buffer``; pages that stand close together are read at once."""
        first, skip = divmod(offset_bytes, PAGE_BYTES)
        wanted = self.positions[first : -(-(offset_bytes + len(buffer)) // PAGE_BYTES)]
        if wanted and 0 < wanted[-1] - wanted[0] <= 2 * PAGE_BYTES * len(wanted):
            start = wanted[0]
            block = self.reader.read_at(start, wanted[-1] + PAGE_BYTES - start)
            pages = [block[at - start : at - start + PAGE_BYTES] for at in wanted]
        else:
            pages = [self.reader.read_at(at, PAGE_BYTES) for at in wanted]
        data = b"".join(page.ljust(PAGE_BYTES, b"\0") for page in pages)[skip : skip + len(buffer)]
        buffer[: len(data)] = data
        buffer[len(data) :] = bytes(len(buffer) - len(data))

    def address_of(self, offset_bytes: int) -> int:
        """The address in its block of RAM; for the first 2 or 3 GiB the physical address."""
        page, within = divmod(offset_bytes, PAGE_BYTES)
        return self.addresses[page] + within


def open_qemu_stream(path: Path, start: int = 0) -> PagedImage:
    """The pages in a migration stream that begins at ``start``. Raises ``DamagedInput``, ``Unsupported``."""
    reader = open_raw(path)
    positions, addresses, note = parse_pages(reader, start)
    return PagedImage("qemu-stream", reader, positions, addresses, (note,) if note else ())


def parse_pages(reader: Reader, start: int = 0) -> tuple[array[int], array[int], str]:
    """Position and address of every page that is not all one byte, and a note when the stream ends early."""
    cursor = Cursor(reader, start)
    if cursor.take(4) != MAGIC or cursor.number(4) != _VERSION:
        raise Unsupported("this is no QEMU migration stream of version 3", hint=_HINT)
    walk = _RamWalk(cursor)
    try:
        walk.run()
    except DamagedInput as error:
        if not walk.positions:
            raise
        return walk.positions, walk.addresses, f"{error}: what follows is left out"
    return walk.positions, walk.addresses, ""


class _RamWalk:
    """Walks the sections as far as they are those of RAM."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._ram_section = -1
        self.positions = array("Q")
        self.addresses = array("Q")

    def run(self) -> None:
        kind = self._cursor.number(1)
        if kind == _CONFIGURATION:
            kind = self._configuration()
        while kind in (_START, _PART, _END):
            section = self._cursor.number(4)
            if kind == _START:
                self._start(section)
            if section != self._ram_section:
                raise Unsupported(f"a section that is not RAM stands at {self._cursor.position:#x}", hint=_HINT)
            self._records()
            if kind == _END:
                return
            kind = self._cursor.number(1)
            if kind == _FOOTER:
                self._cursor.skip(4)
                kind = self._cursor.number(1)
        raise DamagedInput(f"no section begins at {self._cursor.position - 1:#x} of the QEMU stream", hint=_HINT)

    def _configuration(self) -> int:
        """Skip the name of the machine and what else is told of it; gives the kind of the section that follows."""
        cursor = self._cursor
        cursor.skip(cursor.number(4))
        while (kind := cursor.number(1)) == _SUBSECTION:
            name = cursor.name()
            cursor.skip(4)
            if name == "configuration/target-page-bits":
                cursor.skip(4)
            elif name == "configuration/capabilities":
                for _ in range(cursor.number(4)):
                    cursor.name()
            elif name == "configuration/uuid":
                cursor.skip(16)
            else:
                raise Unsupported(f"the QEMU stream begins with an unknown part, {name!r}", hint=_HINT)
        return kind

    def _start(self, section: int) -> None:
        name = self._cursor.name()
        if name != "ram":
            raise Unsupported(f"the QEMU stream begins with {name!r}, not with RAM", hint=_HINT)
        self._cursor.skip(8)
        self._ram_section = section

    def _records(self) -> None:
        """The records of one section, up to its end mark."""
        cursor = self._cursor
        while True:
            word = cursor.number(8)
            flags, address = word & 0xFFF, word & ~0xFFF
            if flags & ~_KNOWN_FLAGS:
                raise Unsupported(f"the QEMU stream is compressed or split (flags {flags:#x})", hint=_HINT)
            if flags & _EOS:
                return
            if flags & _SIZES:
                self._block_sizes(address)
            elif flags & (_PAGE | _ZERO):
                self._page(flags, address)
            elif not flags & _FLUSH:
                raise DamagedInput(f"no page begins at {cursor.position - 8:#x} of the QEMU stream", hint=_HINT)

    def _block_sizes(self, left: int) -> None:
        """The list of the blocks of RAM: names and sizes, until they make up the whole."""
        while left > 0:
            self._cursor.name()
            left -= max(1, self._cursor.number(8))

    def _page(self, flags: int, address: int) -> None:
        if not flags & _SAME_BLOCK:
            self._cursor.name()
        if flags & _ZERO:
            self._cursor.skip(1)
            return
        self.positions.append(self._cursor.position)
        self.addresses.append(address)
        self._cursor.skip(PAGE_BYTES)
