from __future__ import annotations

import hashlib
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pypdfium2
import pytest
import sheet_examples as examples

from luksafe.errors import Unsupported
from luksafe.paper import fonts
from luksafe.paper.layout import PageSize, lay_out
from luksafe.paper.line import Line
from luksafe.paper.pdf import render_pdf
from luksafe.paper.sheet import Procedure, SheetContent, SheetKind, Step
from luksafe.paper.text import lines_of, read_text
from luksafe.secret import SecretBytes

EXAMPLES = (examples.packet, examples.recovery_key, examples.share, examples.volume_key, examples.header)


def long_share() -> SheetContent:
    words = " ".join(random.Random(1).choices(examples.WORDS.split(), k=59))
    return SheetContent(SheetKind.SHARE, "A long share", SecretBytes(words.encode()))


def everything_long() -> SheetContent:
    """More of everything than fits on a line or page, and signs of other scripts."""
    steps = tuple(
        Step(f"Step {n}. " + "Do this with care. " * 9, ("echo " + "very-long-word" * 12, "true")) for n in range(20)
    )
    return SheetContent(
        kind=SheetKind.PACKET,
        title="Title " * 30,
        payload=examples.payload(700),
        subtitle=("Ärger, Ελλάδα, Привет, 漢字, \x07bell\n\tnew line",) * 3,
        opens=(("A label that is far too long for its column", "x" * 300),),
        parameters=tuple((f"Parameter {n}", f"value {n} " * 20) for n in range(60)),
        procedures=(Procedure("Heading", steps), Procedure("Nothing to do", ())),
        file_name="it's a file; rm -rf.bin",
    )


def texts(pdf: bytes) -> list[str]:
    document = pypdfium2.PdfDocument(pdf)
    found = [page.get_textpage().get_text_bounded().replace("\r\n", "\n") for page in document]
    document.close()
    return found


@pytest.mark.parametrize("size", PageSize)
@pytest.mark.parametrize("make", [*EXAMPLES, long_share, everything_long])
def test_nothing_runs_off_the_page(make: Callable[[], SheetContent], size: PageSize) -> None:
    fonts.register()
    for blocks in lay_out(make(), size):
        used = sum(block.height(size.width_points) for block in blocks)
        assert 0 < used <= size.height_points or len(blocks) == 1


@pytest.mark.parametrize("size", PageSize)
@pytest.mark.parametrize("make", [*EXAMPLES, long_share, everything_long])
def test_id_and_page_stand_on_every_page(make: Callable[[], SheetContent], size: PageSize) -> None:
    content = make()
    pages = texts(render_pdf(content, size))
    for number, text in enumerate(pages, 1):
        assert f"sheet {content.sheet_id}, page {number} of {len(pages)}" in text
        assert text.count(content.sheet_id) >= 2
    for field in ("Place", "Keeper", "Date"):
        assert field in pages[0]


@pytest.mark.parametrize("make", EXAMPLES)
def test_everything_is_on_the_sheet(make: Callable[[], SheetContent]) -> None:
    content = make()
    text = "\n".join(texts(render_pdf(content)))
    for wanted in [content.title, *content.subtitle]:
        assert wanted in text
    for label, value in content.opens + content.parameters:
        assert label in text
        assert value in text
    for procedure in content.procedures:
        for step in procedure.steps:
            assert all(command in text for command in step.commands)
    assert all(re.search(rf"\b{word}\b", text) for word in content.words)


@pytest.mark.parametrize("make", [examples.packet, examples.recovery_key, examples.header])
def test_the_typed_lines_can_be_copied_from_the_pdf(make: Callable[[], SheetContent]) -> None:
    content = make()
    text = "\n".join(texts(render_pdf(content)))
    rows = [row for row in text.splitlines() if re.match(r" *\d+ +[0-9A-Z]{4} ", row)]
    typed = read_text("\n".join(rows))
    assert not typed.wrong
    expected = lines_of(content.head, content.payload)
    assert [Line(number, data) for number, data in sorted(typed.lines.items())] == expected


def test_a_secret_stands_there_as_it_is_typed() -> None:
    text = "\n".join(texts(render_pdf(examples.recovery_key())))
    assert examples.RECOVERY_KEY in text.replace("\x02", "-")  # PDFium's sign for a dash at the end of a row
    verbatim = examples.volume_key().verbatim
    assert verbatim in re.sub(r"\s+", "", "\n".join(texts(render_pdf(examples.volume_key()))))


@pytest.mark.parametrize("secret", ["correct horse", "pässword", "tab\there"])
def test_a_passphrase_that_prints_badly_is_given_by_its_lines_only(secret: str) -> None:
    content = SheetContent(SheetKind.PASSPHRASE, "made up", SecretBytes(secret.encode()))
    text = "\n".join(texts(render_pdf(content)))
    assert "to be typed as it stands" not in text
    assert lines_of(content.head, content.payload)[1].printed.split()[3] in text


def test_a_long_share_has_its_codes_on_their_own_page() -> None:
    text = "\n".join(texts(render_pdf(long_share())))
    assert "Code 2 of 2" in text
    assert "59 words" in text


@pytest.mark.parametrize("make", EXAMPLES)
def test_two_runs_give_the_same_bytes(make: Callable[[], SheetContent]) -> None:
    assert render_pdf(make()) == render_pdf(make())


def test_another_process_gives_the_same_bytes() -> None:
    program = (
        "import hashlib, sheet_examples; from luksafe.paper.pdf import render_pdf;"
        "print(hashlib.sha256(render_pdf(sheet_examples.share())).hexdigest())"
    )
    tests = Path(examples.__file__).parent
    environment = os.environ | {
        "PYTHONPATH": f"{tests}:{tests.parent / 'src'}",
        "PYTHONHASHSEED": "77",
        "TZ": "Asia/Tokyo",
    }
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == hashlib.sha256(render_pdf(examples.share())).hexdigest()


def test_no_date_and_only_embedded_fonts() -> None:
    pdf = render_pdf(examples.share())
    assert set(re.findall(rb"/BaseFont /(\S+)", pdf)) == {
        b"AAAAAA+DejaVuSans",
        b"AAAAAA+DejaVuSans-Bold",
        b"AAAAAA+DejaVuSansMono",
        b"AAAAAA+DejaVuSansMono-Bold",
    }
    assert pdf.count(b"/FontFile2") == 4
    assert re.findall(rb"D:(\d{4})", pdf) in ([], [b"2000", b"2000"])


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "segno", None)
    with pytest.raises(Unsupported, match="segno") as raised:
        render_pdf(examples.share())
    assert "pip install" in raised.value.hint
    assert " segno" in raised.value.hint


def test_a_procedure_without_steps_is_its_heading() -> None:
    content = SheetContent(
        SheetKind.SHARE, "short", SecretBytes(b"one two"), procedures=(Procedure("Ask the other keeper", ()),)
    )
    assert "Ask the other keeper" in texts(render_pdf(content))[0]
