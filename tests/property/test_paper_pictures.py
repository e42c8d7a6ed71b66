"""Broken files give our errors or notes, never others, whatever is broken in them."""

from __future__ import annotations

import contextlib
import io
import tempfile
from functools import cache
from pathlib import Path

import sheet_examples as examples
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from luksafe.errors import DamagedInput
from luksafe.paper.pdf import render_pdf
from luksafe.paper.picture import find_pictures
from luksafe.paper.scan import read_scans


@cache
def whole(kind: str) -> bytes:
    if kind == "PDF":
        return render_pdf(examples.share())
    file = io.BytesIO()
    Image.linear_gradient("L").resize((40, 30)).save(file, kind)
    return file.getvalue()


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(["PDF", "PNG", "JPEG", "TIFF", "WEBP"]),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
    st.floats(0.01, 1),
)
def test_broken_files(kind: str, changes: list[tuple[float, int]], kept: float) -> None:
    data = bytearray(whole(kind))
    for place, value in changes:
        data[int(place * len(data))] = value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan"
        path.write_bytes(data[: int(len(data) * kept)])
        with contextlib.suppress(DamagedInput):
            for picture in find_pictures([path])[0]:
                picture.open()


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from(["1", "L", "P", "RGBA", "CMYK", "I;16"]))
def test_tiny_pictures_of_any_kind(width: int, height: int, mode: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tiny"
        Image.new(mode, (width, height)).save(path, "TIFF" if mode == "CMYK" else "PNG")
        scan = read_scans([path])
        assert scan.sheets == {}
        assert (scan.notes, scan.silent) == ([], ["tiny"])
