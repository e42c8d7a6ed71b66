"""Bounded, cached reading of the volume that a probe looks at."""

from __future__ import annotations

from luksafe.reader import Reader

PAGE_BYTES = 16384
PAGES_KEPT = 64
LONGEST_READ_BYTES = 4 << 20


class MismatchError(Exception):
    """The bytes are not those of the structure looked for. Stays inside this package."""


class Volume:
    """What begins at ``offset_bytes`` of a Reader, read through a small cache: many probes look at the same bytes."""

    def __init__(self, reader: Reader, offset_bytes: int = 0) -> None:
        self._reader = reader
        self._pages: dict[int, bytes] = {}
        self.offset_bytes = offset_bytes
        self.size_bytes = max(0, reader.size_bytes - offset_bytes)

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Exactly these bytes of the volume; :class:`MismatchError` where it is too small or cannot be read."""
        end = offset_bytes + length_bytes
        if not 0 <= offset_bytes <= end <= self.size_bytes or length_bytes > LONGEST_READ_BYTES:
            raise MismatchError(f"no {length_bytes} bytes at {offset_bytes}")
        first, last = offset_bytes // PAGE_BYTES, max(offset_bytes, end - 1) // PAGE_BYTES
        data = b"".join(self._page(number) for number in range(first, last + 1))
        data = data[offset_bytes - first * PAGE_BYTES :][:length_bytes]
        if len(data) < length_bytes:
            raise MismatchError(f"unreadable at {offset_bytes}")
        return data

    def _page(self, number: int) -> bytes:
        page = self._pages.get(number)
        if page is None:
            if len(self._pages) >= PAGES_KEPT:
                self._pages.pop(next(iter(self._pages)))
            page = self._pages[number] = self._load(number)
        return page

    def _load(self, number: int) -> bytes:
        try:
            return self._reader.read_at(self.offset_bytes + number * PAGE_BYTES, PAGE_BYTES)
        except OSError as error:
            raise MismatchError(f"unreadable: {error}") from error
