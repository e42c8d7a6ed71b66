"""Read sheets back from scans and photographs: every code in every picture, gathered sheet by sheet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from luksafe.errors import DamagedInput, LuksafeError, UsageError
from luksafe.paper.clarify import WAYS
from luksafe.paper.optional import load
from luksafe.paper.parts import SheetParts, normal_id
from luksafe.paper.picture import Image, Picture, find_pictures
from luksafe.paper.qr import read_part


@dataclass(slots=True)
class Scan:
    """The sheets found, by sheet id, notes on what was left out and why, and the names of files without any code.

    A long sheet has pages without a code, so ``silent`` files matter only where something is missing.
    """

    sheets: dict[str, SheetParts] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)

    def only(self) -> SheetParts:
        """The one sheet; raises DamagedInput where there is none, UsageError where there are several."""
        if not self.sheets:
            raise DamagedInput(
                "no code of a luksafe sheet was found",
                hint="scan flat with 300 dpi, or photograph one code at a time, or type the lines of the sheet",
            )
        if len(self.sheets) > 1:
            raise UsageError(
                f"codes of {len(self.sheets)} sheets were found: {', '.join(self.sheets)}",
                hint="give one sheet id, or the scans of one sheet only",
            )
        return next(iter(self.sheets.values()))


def read_scans(paths: list[Path], sheet_id: str = "") -> Scan:
    """Read all codes in PDF files, pictures and folders; with ``sheet_id`` those of that sheet only.

    Files that gave nothing, and all files while a sheet is incomplete, are tried again in other ways.
    Raises as ``find_pictures``, Unsupported without the ``paper`` extra.
    """
    pictures, notes = find_pictures(paths)
    gathering = _Gathering(Scan(notes=notes), normal_id(sheet_id) if sheet_id else "")
    for way in WAYS:
        for picture in pictures:
            if gathering.is_wanted(picture):
                gathering.look(picture, way)
        gathering.first_look = False
    gathering.note_silent(pictures)
    return gathering.scan


def _codes_in(image: Image) -> Iterator[str]:
    zxing: Any = load("zxingcpp")
    for binarizer in (zxing.Binarizer.LocalAverage, zxing.Binarizer.GlobalHistogram):
        for code in zxing.read_barcodes(image, formats=zxing.BarcodeFormat.QRCode, binarizer=binarizer):
            yield code.text


@dataclass(slots=True)
class _Gathering:
    """A scan while it goes on: which files gave a code of ours, and which texts were seen."""

    scan: Scan
    sheet_id: str
    first_look: bool = True
    fruitful: set[Path] = field(default_factory=set)
    seen: set[str] = field(default_factory=set, repr=False)

    def is_wanted(self, picture: Picture) -> bool:
        """Whether it is worth while to look at this picture, now or in another way."""
        is_complete = all(parts.is_complete for parts in self.scan.sheets.values())
        return self.first_look or picture.file not in self.fruitful or not is_complete

    def look(self, picture: Picture, way: Callable[[Image], Image]) -> None:
        """Take all codes in a picture, looked at in one way; what cannot be taken is noted."""
        try:
            texts = [text for text in _codes_in(way(picture.open())) if text not in self.seen]
        except DamagedInput as error:
            self._note(str(error))
            return
        for text in texts:
            self.seen.add(text)
            try:
                self._take(text, picture)
            except LuksafeError as error:
                self._note(f"{picture.name}: {error}")

    def _take(self, text: str, picture: Picture) -> None:
        part = read_part(text)
        if part is None:
            return
        self.fruitful.add(picture.file)
        found = part.head.sheet_id
        if self.sheet_id in ("", found):
            self.scan.sheets.setdefault(found, SheetParts()).add_part(part)
        else:
            self._note(f"{picture.name}: code {part.index} of {part.count} is of sheet {found}: left out")

    def _note(self, note: str) -> None:
        if note not in self.scan.notes:
            self.scan.notes.append(note)

    def note_silent(self, pictures: list[Picture]) -> None:
        """Name the files without any code of ours."""
        silent = dict.fromkeys(picture.file for picture in pictures if picture.file not in self.fruitful)
        self.scan.silent += [file.name for file in silent]
