"""Sheets as PDF: the same content gives the same bytes."""

from __future__ import annotations

import io
from typing import Any

from luksafe.paper import fonts
from luksafe.paper.figures import draw_fields
from luksafe.paper.layout import FOOTER_POINTS, HEADER_POINTS, MARGIN_POINTS, PageSize, lay_out
from luksafe.paper.optional import load
from luksafe.paper.prose import DARK, SOFT
from luksafe.paper.sheet import FORMAT, SheetContent
from luksafe.paper.wording import ABOUT_NOTE, TITLES


def render_pdf(content: SheetContent, size: PageSize = PageSize.A4) -> bytes:
    """The sheet as a PDF with a fixed date and no random identifier; raises Unsupported without the ``paper`` extra."""
    canvases: Any = load("reportlab.pdfgen.canvas")
    fonts.register()
    file = io.BytesIO()
    canvas = canvases.Canvas(
        file, pagesize=size.value, invariant=1, pageCompression=1, lang="en", initialFontName=fonts.SANS
    )
    canvas.setTitle(f"{TITLES[content.kind]}, sheet {content.sheet_id}")
    canvas.setAuthor("luksafe")
    canvas.setCreator("luksafe")
    pages = lay_out(content, size)
    for number, blocks in enumerate(pages, 1):
        _draw_frame(canvas, content, size, f"page {number} of {len(pages)}")
        top = size.value[1] - HEADER_POINTS
        for block in blocks:
            block.draw(canvas, MARGIN_POINTS, top, size.width_points)
            top -= block.height(size.width_points)
        if number == 1:
            draw_fields(canvas, MARGIN_POINTS, FOOTER_POINTS + 16, size.width_points)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def _draw_frame(canvas: Any, content: SheetContent, size: PageSize, page: str) -> None:
    """Header and footer: kind, sheet id, page."""
    left, right = MARGIN_POINTS, size.value[0] - MARGIN_POINTS
    base = size.value[1] - 40
    kind = TITLES[content.kind].upper()
    band = fonts.width_points(kind, fonts.BOLD, 9) + 16
    canvas.setFillGray(DARK)
    canvas.rect(left, base - 5, band, 17, stroke=0, fill=1)
    canvas.setFillGray(1)
    canvas.setFont(fonts.BOLD, 9)
    canvas.drawString(left + 8, base, kind)
    canvas.setFillGray(SOFT)
    canvas.setFont(fonts.SANS, 9)
    canvas.drawString(left + band + 9, base, "luksafe recovery sheet")
    canvas.setFillGray(DARK)
    canvas.setFont(fonts.MONO_BOLD, 16)
    canvas.drawRightString(right, base - 1, content.sheet_id)
    across = fonts.width_points(content.sheet_id, fonts.MONO_BOLD, 16)
    canvas.setFillGray(SOFT)
    canvas.setFont(fonts.SANS, 9)
    canvas.drawRightString(right - across - 7, base, "sheet")
    canvas.setFont(fonts.SANS, 8)
    canvas.drawString(left, FOOTER_POINTS - 20, f"{ABOUT_NOTE} {FORMAT}")
    canvas.setFillGray(DARK)
    canvas.setFont(fonts.BOLD, 8.5)
    canvas.drawRightString(right, FOOTER_POINTS - 20, f"sheet {content.sheet_id}, {page}")
