"""What the sheet says about doing without luksafe, done with the tools that it names."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pypdfium2
import pytest
import sheet_examples as examples

from luksafe.paper.layout import PageSize, lay_out
from luksafe.paper.pdf import render_pdf
from luksafe.paper.prose import Command, NumberedStep
from luksafe.paper.qr import codes_of
from luksafe.paper.sheet import SheetContent
from luksafe.paper.text import lines_of

MAKERS = (examples.packet, examples.recovery_key, examples.volume_key, examples.header)


def needs(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


def printed_commands(content: SheetContent) -> dict[str, str]:
    """The commands of the section on doing without luksafe by their first word."""
    commands = [block.command for page in lay_out(content, PageSize.A4) for block in page if isinstance(block, Command)]
    by_hand = next(at for at, command in enumerate(commands) if command.startswith("zbarimg"))
    return {command.split()[0]: command for command in commands[by_hand : by_hand + 4]}


def proof(content: SheetContent) -> str:
    steps = [block.text for page in lay_out(content, PageSize.A4) for block in page if isinstance(block, NumberedStep)]
    return re.search(r"must print ([0-9a-f]{64}):", " ".join(steps))[1]  # type: ignore[index]


def shell(command: str, folder: Path) -> str:
    run = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=True)
    assert run.stderr == ""
    return run.stdout


def test_from_typed_lines(tmp_path: Path) -> None:
    needs("awk", "tr", "base32", "sha256sum")
    for make in MAKERS:
        content = make()
        rows = [line.printed for line in lines_of(content.head, content.payload)]
        typed = "\n".join([rows[0], *(row.lower() for row in rows[1:])]) + "\n"
        (tmp_path / "lines.txt").write_text(typed)
        commands = printed_commands(content)
        shell(commands["awk"], tmp_path)
        assert (tmp_path / content.stored_as).read_bytes() == content.payload.reveal()
        assert shell(commands["sha256sum"], tmp_path).split()[0] == proof(content)


@pytest.mark.parametrize("make", MAKERS)
def test_from_the_text_of_codes(make: Callable[[], SheetContent], tmp_path: Path) -> None:
    needs("cut", "tr", "base32")
    content = make()
    rows = [code.text for code in codes_of(content.head, content.payload)]
    (tmp_path / "codes.txt").write_text("\n".join(rows) + "\n")
    shell(printed_commands(content)["cut"], tmp_path)
    assert (tmp_path / content.stored_as).read_bytes() == content.payload.reveal()


def test_from_scans_with_another_qr_reader(tmp_path: Path) -> None:
    needs("zbarimg", "sort", "cut", "base32")
    content = examples.packet()
    document = pypdfium2.PdfDocument(render_pdf(content))
    for number in (1, 2):
        document[1].render(scale=200 / 72).to_pil().save(tmp_path / f"scan{number}.png")
    document.close()
    commands = printed_commands(content)
    subprocess.run(["sh", "-c", commands["zbarimg"]], cwd=tmp_path, stderr=subprocess.DEVNULL, check=True)
    shell(commands["cut"], tmp_path)
    assert (tmp_path / content.stored_as).read_bytes() == content.payload.reveal()


def test_poppler_draws_the_same_codes(tmp_path: Path) -> None:
    needs("pdftoppm")
    from luksafe.paper.scan import read_scans

    content = examples.packet()
    (tmp_path / "sheet.pdf").write_bytes(render_pdf(content, PageSize.LETTER))
    shell("pdftoppm -r 150 -png -f 2 -l 2 sheet.pdf page", tmp_path)
    assert read_scans(list(tmp_path.glob("page*.png"))).only().payload().payload == content.payload


def test_poppler_finds_all_fonts_embedded(tmp_path: Path) -> None:
    needs("pdffonts")
    (tmp_path / "sheet.pdf").write_bytes(render_pdf(examples.packet()))
    rows = shell("pdffonts sheet.pdf", tmp_path).splitlines()[2:]
    assert len(rows) == 4
    assert all(row.split()[-5:-2] == ["yes", "yes", "yes"] for row in rows)
