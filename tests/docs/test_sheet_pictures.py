"""The pictures of sheets in the documentation are those of today's sheets."""

from __future__ import annotations

from pathlib import Path

from generators.sheet_pictures import pictures
from PIL import Image, ImageChops

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
BLOCK_PIXELS, SHADES = 16, 16
"""How far a block may be apart on average, of 255: another version of the renderer may smooth letters otherwise."""


def test_every_picture_is_current() -> None:
    drawn = dict(pictures())
    assert {path.name for path in IMAGES.glob("sheet-*.png")} == set(drawn)
    for name, picture in drawn.items():
        with Image.open(IMAGES / name) as shown:
            assert shown.size == picture.size, name
            blocks = [each.convert("L").reduce(BLOCK_PIXELS) for each in (shown, picture)]
        assert ImageChops.difference(*blocks).getextrema()[1] < SHADES, (
            f"{name}: run tests/generators/sheet_pictures.py"
        )


def test_every_picture_is_in_a_page() -> None:
    pages = "".join(path.read_text("utf-8") for path in IMAGES.parent.rglob("*.md"))
    assert [path.name for path in IMAGES.glob("sheet-*.png") if f"images/{path.name}" not in pages] == []
