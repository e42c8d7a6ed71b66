"""The HTML report in a window of 500 pixels, as Chromium lays it out: nothing is cut off at its right edge."""

from __future__ import annotations

import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest
from cli.conftest import World
from cli.test_rescue import volume

CHROMIUM = ("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run")
QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-pdf-header-footer")
WIDTH = 500


@pytest.fixture
def page(world: World) -> Path:
    """The report of a volume with a damage of many pieces."""
    disk = world.image(data=volume())
    world.run("backup", disk)
    with disk.open("r+b") as file:
        for start in range(0, 65536, 4096):
            file.seek(start)
            file.write(bytes(512))
    report = world.folder / "report.html"
    assert world.run("diagnose", disk, "--html", report).status == 10
    return report


def laid_out(report: Path) -> tuple[str, float]:
    """The text that Chromium shows in a column of that width, and how far to the right it goes, in pixels."""
    pdfium = pytest.importorskip("pypdfium2")
    narrow = report.with_name("narrow.html")
    # one endless page of paper as wide as the window
    style = f"<style>@page{{size:{WIDTH}px 20000px;margin:0}}</style></head>"
    narrow.write_text(report.read_text().replace("</head>", style))
    pdf = report.with_suffix(".pdf")
    profile = f"--user-data-dir={report.with_name('profile')}"
    subprocess.run(
        [*CHROMIUM, *QUIET, profile, f"--print-to-pdf={pdf}", narrow.as_uri()],
        check=True,
        capture_output=True,
        timeout=60,
    )
    document = pdfium.PdfDocument(pdf)
    texts, right = [], 0.0
    for sheet in document:
        text = sheet.get_textpage()
        texts.append(text.get_text_range())
        right = max(right, *(text.get_charbox(at)[2] for at in range(text.count_chars())))
    return " ".join(texts), right * 96 / 72


def letters(text: str) -> str:
    """Without what depends on where a line is broken: blanks, hyphens."""
    return re.sub(r"\W", "", text)


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_nothing_of_the_tables_is_cut_off(page: Path) -> None:
    shown, right = laid_out(page)
    assert right <= WIDTH
    squeezed = letters(shown)
    cells = re.findall(r"<td[^>]*>(.*?)</td>", page.read_text())
    assert len(cells) > 20
    assert [cell for cell in cells if letters(unescape(cell)) not in squeezed] == []


def test_a_cell_says_of_what_it_is(page: Path) -> None:
    """In a narrow window the heads of the columns are gone."""
    html = page.read_text()
    heads = re.findall(r"<table><thead><tr>(.*?)</tr></thead><tbody>(.*?)</tbody>", html)
    named = [(re.findall(r"<th>(.*?)</th>", head), body) for head, body in heads if head]
    assert [names[0] for names, _ in named] == ["part", "keyslot", "what", "severity"]
    for names, body in named:
        for row in re.findall(r"<tr>(.*?)</tr>", body):
            assert re.findall(r"<td data-name='(.*?)'", row) == names
