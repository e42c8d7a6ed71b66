"""Scans and photographs as gray pictures: PDF pages, PNG, JPEG, TIFF and WebP files, folders of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luksafe.errors import DamagedInput, NotFound, UsageError
from luksafe.paper.optional import load

MAX_FILE_BYTES = 256 << 20
MAX_PICTURES = 500
MAX_PIXELS = 100_000_000
PDF_DPI = 200
FORMATS = ("PNG", "JPEG", "TIFF", "WEBP")
MAGICS = (b"%PDF-", b"\x89PNG", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"RIFF")

Image = Any  # PIL.Image.Image: the library is loaded only when a picture is read


@dataclass(frozen=True, slots=True)
class Picture:
    """One page or photograph, opened anew by each call of ``open`` (gray); ``file`` is where it comes from."""

    name: str
    file: Path
    open: Callable[[], Image]


def is_scan(path: Path) -> bool:
    """Whether a path is a folder, or a file that begins as a PDF or a picture does."""
    if path.is_dir():
        return True
    try:
        with path.open("rb") as file:
            return file.read(8).startswith(MAGICS)
    except OSError:
        return False


def find_pictures(paths: list[Path]) -> tuple[list[Picture], list[str]]:
    """The pictures in files and folders, in order of name, and notes on files in folders that are none.

    Raises NotFound, UsageError for too many, DamagedInput for a named file that is no picture.
    """
    pictures: list[Picture] = []
    notes: list[str] = []
    for path in paths:
        if not path.is_dir():
            pictures += _pictures_in(path)
            continue
        for entry in sorted(path.iterdir()):
            try:
                pictures += _pictures_in(entry) if entry.is_file() else []
            except DamagedInput as error:
                notes.append(str(error))
    if len(pictures) > MAX_PICTURES:
        raise UsageError(f"{len(pictures)} pictures at once, at most {MAX_PICTURES} are read", hint="read fewer files")
    return pictures, notes


def _pictures_in(path: Path) -> list[Picture]:
    try:
        with path.open("rb") as file:
            size, begin = path.stat().st_size, file.read(1024)
    except OSError as error:
        raise NotFound(f"{path}: {error.strerror}", hint="give scans as PDF, PNG or JPEG files, or a folder") from error
    if size > MAX_FILE_BYTES:
        raise DamagedInput(f"{path}: {size} bytes are too much for a scan", hint="scan with 300 dpi")
    if b"%PDF-" not in begin:
        _open_image(path)
        return [Picture(path.name, path, lambda: _open_image(path))]
    count = _with_pdf(path, len)
    return [Picture(f"{path.name} page {page + 1}", path, _page_opener(path, page)) for page in range(count)]


def _open_image(path: Path) -> Image:
    pil: Any = load("PIL.Image")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of size, EXIF …; the size is checked here
            with pil.open(path, formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise ValueError(f"{image.width} x {image.height} pixels are too many")
                return _gray(image)
    except Exception as error:  # the decoders raise many kinds for broken files
        hint = "save it as PNG, JPEG or PDF, with at most 600 dpi"
        raise DamagedInput(f"{path}: not a picture that can be read ({error})", hint=hint) from error


def _gray(image: Image) -> Image:
    """256 grays; what is transparent is white, as paper is."""
    pil: Any = load("PIL.Image")
    if image.mode.startswith("I"):  # 16 bits, which convert() would cut off and not scale
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if "A" not in image.getbands() and "transparency" not in image.info:
        return image.convert("L")
    return pil.alpha_composite(pil.new("RGBA", image.size, "white"), image.convert("RGBA")).convert("L")


def _page_opener(path: Path, page: int) -> Callable[[], Image]:
    def draw(document: Any) -> Image:
        width, height = document[page].get_size()
        most = (MAX_PIXELS / max(width * height, 1)) ** 0.5
        return document[page].render(scale=min(PDF_DPI / 72, most), grayscale=True).to_pil().convert("L")

    return lambda: _with_pdf(path, draw)


def _with_pdf(path: Path, use: Callable[[Any], Any]) -> Any:
    pdfium: Any = load("pypdfium2")
    try:
        document = pdfium.PdfDocument(path)
        try:
            return use(document)
        finally:
            document.close()
    except (pdfium.PdfiumError, OSError, ValueError, MemoryError) as error:
        raise DamagedInput(
            f"{path}: the PDF cannot be read ({error})", hint="scan it again, as PNG or JPEG if that helps"
        ) from error
