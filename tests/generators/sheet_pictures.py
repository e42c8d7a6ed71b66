"""Draws ``docs/images/sheet-*.png``: pages of throwaway sheets for the documentation."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pypdfium2
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import sheet_examples as examples  # noqa: E402

from luksafe.paper.layout import PageSize  # noqa: E402
from luksafe.paper.pdf import render_pdf  # noqa: E402

DPI = 96
PICTURES = {
    "packet": (examples.packet, PageSize.A4, (1, 2, 3)),
    "recovery-key": (examples.recovery_key, PageSize.A4, (1, 2)),
    "share": (examples.share, PageSize.LETTER, (1,)),
    "volume-key": (examples.volume_key, PageSize.LETTER, (1,)),
}


def pictures() -> Iterator[tuple[str, Image.Image]]:
    """The name and the picture of each page, in 16 shades of grey."""
    for name, (make, size, pages) in PICTURES.items():
        document = pypdfium2.PdfDocument(render_pdf(make(), size))
        for page in pages:
            picture = document[page - 1].render(scale=DPI / 72, grayscale=True).to_pil()
            yield f"sheet-{name}-{size.name.lower()}-{page}.png", picture.convert("L").quantize(16)
        document.close()


def main() -> None:
    folder = ROOT / "docs" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures():
        picture.save(folder / name, optimize=True)


if __name__ == "__main__":
    main()
