"""Scans as they come: turned, blurred, stained, slanted, coarse, noisy."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pypdfium2
import pytest
import sheet_examples as examples
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from luksafe.errors import DamagedInput, NotFound, UsageError
from luksafe.paper.clarify import WAYS
from luksafe.paper.pdf import render_pdf
from luksafe.paper.picture import find_pictures
from luksafe.paper.qr import codes_of
from luksafe.paper.scan import Scan, _Gathering, read_scans
from luksafe.paper.sheet import SheetContent

CONTENT = examples.packet()
CODES_PAGE = 1


@cache
def page(number: int = CODES_PAGE, dpi: int = 150, seed: int = 1) -> Image.Image:
    document = pypdfium2.PdfDocument(render_pdf(examples.packet(seed=seed)))
    image = document[number].render(scale=dpi / 72).to_pil().convert("RGB")
    document.close()
    return image


def turned(image: Image.Image, degrees: float) -> Image.Image:
    return image.rotate(degrees, expand=True, fillcolor="white", resample=Image.Resampling.BICUBIC)


def blurred(image: Image.Image, radius: float) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(radius))


def noisy(image: Image.Image, share: float = 0.45) -> Image.Image:
    grain = Image.frombytes("L", image.size, random.Random(5).randbytes(image.width * image.height))
    return Image.blend(image.convert("L"), grain, share)


def stained(image: Image.Image, alpha: int, count: int, share: float, seed: int) -> Image.Image:
    """Brown blobs with darker rims, as of coffee."""
    source = random.Random(seed)
    over = Image.new("RGBA", image.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(over)
    for _ in range(count):
        x, y = source.randrange(image.width), source.randrange(image.height)
        side = share * image.width * source.uniform(0.5, 1)
        rim = (60, 30, 10, min(alpha + 60, 255))
        draw.ellipse((x, y, x + side, y + side * 0.8), fill=(90, 55, 20, alpha), outline=rim, width=int(side / 12))
    return Image.alpha_composite(image.convert("RGBA"), over).convert("RGB")


def slanted(image: Image.Image, by: float) -> Image.Image:
    """As seen by a camera from the side: x' = x + a·y, with a denominator that grows downwards."""
    width, height = image.size
    coefficients = (1, by * 0.4, -by * 0.2 * width, 0, 1 - by, 0, 0, -by / height)
    return image.transform(
        (width, height), Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BICUBIC, fillcolor="white"
    )


def shaded(image: Image.Image) -> Image.Image:
    """Light from one side only."""
    light = Image.linear_gradient("L").resize(image.size).point(lambda value: 40 + value * 215 // 255)
    return Image.composite(image, Image.new("RGB", image.size), light)


def weak(image: Image.Image) -> Image.Image:
    return ImageEnhance.Contrast(image).enhance(0.2)


MISHAPS: dict[str, Callable[[], Image.Image]] = {
    "turned by 3 degrees, blurred, 150 dpi": lambda: blurred(turned(page(), 3), 1),
    "turned by 3 degrees, very blurred, 300 dpi": lambda: blurred(turned(page(dpi=300), 3), 2.5),
    "upside down": lambda: turned(page(), 183),
    "on its side": lambda: turned(page(), 92),
    "diagonal": lambda: turned(page(), 45),
    "150 dpi": page,
    "gray noise": lambda: noisy(page()),
    "slanted": lambda: slanted(page(dpi=200), 0.12),
    "slanted and turned": lambda: turned(slanted(page(dpi=200), 0.08), -4),
    "large light stains": lambda: stained(page(), 120, 8, 0.25, 1),
    "small black stains": lambda: stained(page(), 255, 8, 0.09, 3),
    "shadow": lambda: shaded(page()),
    "weak print": lambda: weak(page()),
    "all at once": lambda: noisy(shaded(blurred(turned(stained(page(dpi=200), 90, 6, 0.15, 4), 3), 1)), 0.25),
}


@pytest.mark.parametrize("mishap", MISHAPS)
def test_a_bad_scan_is_read(mishap: str, tmp_path: Path) -> None:
    image = MISHAPS[mishap]()
    image.save(tmp_path / "scan.jpg", quality=40)
    scan = read_scans([tmp_path / "scan.jpg"])
    assert scan.notes == []
    assert scan.only().payload().payload == CONTENT.payload


@pytest.mark.parametrize(
    "make", [examples.packet, examples.recovery_key, examples.share, examples.volume_key, examples.header]
)
def test_the_pdf_itself_is_read(make: Callable[[], SheetContent], tmp_path: Path) -> None:
    content = make()
    (tmp_path / "sheet.pdf").write_bytes(render_pdf(content))
    result = read_scans([tmp_path / "sheet.pdf"]).only().payload()
    assert result.payload == content.payload
    assert (result.kind, result.sheet_id) == (content.kind, content.sheet_id)


def test_a_folder_of_webcam_pictures(tmp_path: Path) -> None:
    """Six photographs of one code each, none of all, between files that are no pictures."""
    whole = page(dpi=200)
    width, height = whole.width // 2, int(whole.height * 0.3)
    for number in range(6):
        left, upper = number % 2 * width, int(whole.height * (0.11 + 0.27 * (number // 2)))
        part = whole.crop((left, upper, left + width, upper + height))
        blurred(turned(part, 7 * number), 1).save(tmp_path / f"webcam{9 - number}.jpg", quality=60)
    (tmp_path / "notes.txt").write_text("where the sheet was found")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    scan = read_scans([tmp_path])
    assert scan.only().payload().payload == CONTENT.payload
    assert len(scan.notes) == 2
    assert all("not a picture" in note for note in scan.notes)


def test_missing_codes_are_named(tmp_path: Path) -> None:
    image = page().copy()
    ImageDraw.Draw(image).rectangle((0, int(image.height * 0.4), image.width // 2, image.height), fill="white")
    image.save(tmp_path / "torn.png")
    parts = read_scans([tmp_path / "torn.png"]).only()
    assert parts.wanted() == "scan codes 3, 5 of 6 again, or type lines 37-54, 73-90"
    with pytest.raises(DamagedInput, match="incomplete"):
        parts.payload()


def test_several_images_complete_one_another(tmp_path: Path) -> None:
    image = page()
    image.crop((0, 0, image.width, image.height // 2)).save(tmp_path / "upper.png")
    image.crop((0, image.height // 3, image.width, image.height)).save(tmp_path / "lower.png")
    assert read_scans([tmp_path / "lower.png"]).only().missing_codes == [1, 2]
    scan = read_scans([tmp_path / "lower.png", tmp_path / "upper.png"])
    assert scan.only().payload().payload == CONTENT.payload


def test_pages_of_two_sheets_are_kept_apart(tmp_path: Path) -> None:
    page().save(tmp_path / "a.png")
    page(seed=2).save(tmp_path / "b.png")
    other = examples.packet(seed=2)
    scan = read_scans([tmp_path])
    assert {sheet_id: parts.payload().payload for sheet_id, parts in scan.sheets.items()} == {
        CONTENT.sheet_id: CONTENT.payload,
        other.sheet_id: other.payload,
    }
    with pytest.raises(UsageError, match="2 sheets"):
        scan.only()
    wanted = read_scans([tmp_path], CONTENT.sheet_id)
    assert wanted.only().payload().payload == CONTENT.payload
    assert len(wanted.notes) == 6
    assert all(f"is of sheet {other.sheet_id}: left out" in note for note in wanted.notes)


def draw_code(path: Path, text: str) -> None:
    import segno

    segno.make_qr(text).save(str(path), scale=4)


def test_codes_of_others_and_broken_ones_do_no_harm(tmp_path: Path) -> None:
    codes = codes_of(CONTENT.head, CONTENT.payload)
    draw_code(tmp_path / "a.png", "https://example.org/LUKSAFE1/")
    draw_code(tmp_path / "b.png", codes[0].text[:-8])
    draw_code(tmp_path / "c.png", codes[0].text.replace("LUKSAFE1", "LUKSAFE9"))
    scan = read_scans([tmp_path])
    assert scan.sheets == {}
    assert scan.notes == [
        "b.png: a code of a luksafe sheet is cut off or altered",
        "c.png: a code of sheet format 9",
    ]
    assert scan.silent == ["a.png", "b.png", "c.png"]
    with pytest.raises(DamagedInput, match="no code"):
        scan.only()


@pytest.mark.parametrize(
    "content",
    [b"", b"no picture", b"%PDF-1.7\nbroken", b"\x89PNG\r\n\x1a\nbroken", b"\xff\xd8\xff\xe0broken"],
    ids=["empty", "text", "PDF", "PNG", "JPEG"],
)
def test_what_is_no_picture_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(DamagedInput, match="file"):
        read_scans([tmp_path / "file"])


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="No such file"):
        read_scans([tmp_path / "absent.pdf"])


def test_too_many_pixels_are_refused(tmp_path: Path) -> None:
    Image.new("1", (12_000, 12_000)).save(tmp_path / "bomb.png")
    with pytest.raises(DamagedInput, match="too many"):
        read_scans([tmp_path / "bomb.png"])


def test_too_large_a_file_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "large.pdf").open("wb") as file:
        file.truncate(300 << 20)
    with pytest.raises(DamagedInput, match="too much"):
        read_scans([tmp_path / "large.pdf"])


def test_too_many_pictures_are_refused(tmp_path: Path) -> None:
    for number in range(501):
        Image.new("L", (1, 1)).save(tmp_path / f"{number}.png")
    with pytest.raises(UsageError, match="501 pictures"):
        read_scans([tmp_path])


def test_transparency_is_white(tmp_path: Path) -> None:
    ink = page().convert("L").point(lambda value: 255 - value)
    clear = Image.new("RGBA", ink.size, (0, 0, 0, 0))
    clear.paste((0, 0, 0, 255), mask=ink)
    clear.save(tmp_path / "clear.png")
    assert read_scans([tmp_path / "clear.png"]).only().payload().payload == CONTENT.payload


def test_sixteen_bits_of_gray(tmp_path: Path) -> None:
    page().convert("I").point(lambda value: value * 257).convert("I;16").save(tmp_path / "gray16.png")
    assert read_scans([tmp_path / "gray16.png"]).only().payload().payload == CONTENT.payload


def test_a_file_that_breaks_while_it_is_read_is_noted(tmp_path: Path) -> None:
    page().save(tmp_path / "scan.png")
    gathering = _Gathering(Scan(), "")
    (picture,), _ = find_pictures([tmp_path / "scan.png"])
    (tmp_path / "scan.png").write_bytes(b"")
    for _ in range(2):
        gathering.look(picture, WAYS[0])
    assert [note.partition("scan.png: ")[2][:17] for note in gathering.scan.notes] == ["not a picture tha"]
