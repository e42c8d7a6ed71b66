"""What stands on every sheet of a kind agrees with what the steps on it ask for."""

from __future__ import annotations

import pypdfium2
import pytest
import sheet_examples as examples

from luksafe.paper.layout import PageSize
from luksafe.paper.pdf import render_pdf
from luksafe.paper.wording import NOTICES


def words_on(sheet: str) -> str:
    document = pypdfium2.PdfDocument(render_pdf(getattr(examples, sheet)(), PageSize.A4))
    try:
        return " ".join(" ".join(page.get_textpage().get_text_range().split()) for page in document)
    finally:
        document.close()


@pytest.mark.parametrize("sheet", ["share", "volume_key", "recovery_key"])
def test_every_sheet_says_what_luksafe_is(sheet: str) -> None:
    assert "Made with luksafe, a free program for Linux that keeps and mends what opens LUKS disks" in words_on(sheet)


def test_no_sheet_forbids_the_scan_that_it_asks_for() -> None:
    notices = " ".join(" ".join(notice) for notice in NOTICES.values())
    assert "Never send a picture" not in notices
    assert "never send a picture" not in notices
    assert "--share SCAN" in notices
