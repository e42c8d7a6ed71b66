from __future__ import annotations

import random

import pytest
import sheet_examples as examples

from luksafe.errors import DamagedInput, LuksafeError, Unsupported
from luksafe.paper import alphabet
from luksafe.paper.parts import Part
from luksafe.paper.qr import CODES_PER_PAGE, MAX_VERSION, codes_of, read_part, write_part
from luksafe.paper.sheet import MAX_PAYLOAD_BYTES, Head, SheetKind

CONTENT = examples.packet()
CODES = codes_of(CONTENT.head, CONTENT.payload)
TEXT = CODES[1].text


@pytest.mark.parametrize(
    ("size", "level", "count"),
    [
        (1, "H", 1),
        (71, "H", 1),
        (360, "H", 1),
        (361, "H", 2),
        (2048, "H", 6),
        (2160, "H", 6),
        (2161, "Q", 5),
        (4000, "M", 6),
    ],
)
def test_the_strongest_level_that_fits_on_a_page(size: int, level: str, count: int) -> None:
    payload = examples.payload(size)
    codes = codes_of(Head.of(SheetKind.PACKET, payload), payload)
    assert {code.level for code in codes} == {level}
    assert len(codes) == count <= CODES_PER_PAGE
    assert all(len(code.modules) <= 4 * MAX_VERSION + 17 for code in codes)


def test_the_largest_payload() -> None:
    payload = examples.payload(MAX_PAYLOAD_BYTES)
    head = Head.of(SheetKind.HEADER, payload)
    codes = codes_of(head, payload)
    assert b"".join(code.part.data for code in codes) == payload.reveal()
    assert [code.part.index for code in codes] == list(range(1, codes[0].part.count + 1))


@pytest.mark.parametrize("spell", [str, str.lower, lambda text: f" {text[:40]}\r\n{text[40:]}\n"])
def test_the_text_of_a_code_is_read_back(spell: object) -> None:
    for code in CODES:
        assert read_part(spell(code.text)) == code.part  # type: ignore[operator]


def test_a_code_shows_sheet_and_sequence() -> None:
    assert TEXT.startswith(f"LUKSAFE1/{CONTENT.sheet_id.replace('-', '')}/2/6/")
    assert set(TEXT) <= set("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:")


@pytest.mark.parametrize("text", ["", "https://example.org/", "WIFI:S:net;;", "LUKSAFE", "LUKSAFEX/1", "\0\xff"])
def test_codes_of_others_are_none(text: str) -> None:
    assert read_part(text) is None


def test_a_later_format_is_unsupported() -> None:
    with pytest.raises(Unsupported, match="format 2"):
        read_part(TEXT.replace("LUKSAFE1", "LUKSAFE2"))


def test_every_changed_character_is_noticed() -> None:
    for place in range(len("LUKSAFE1/"), len(TEXT)):
        other = "Q" if TEXT[place] != "Q" else "P"
        with pytest.raises(LuksafeError):
            read_part(TEXT[:place] + other + TEXT[place + 1 :])


def test_every_cut_is_noticed() -> None:
    for end in range(len("LUKSAFE1/"), len(TEXT)):
        with pytest.raises(DamagedInput):
            read_part(TEXT[:end])


def forged(part: Part, **fields: object) -> str:
    values = {name: getattr(part, name) for name in ("head", "index", "count", "data")} | fields
    return write_part(Part(**values))  # type: ignore[arg-type]


@pytest.mark.parametrize("fields", [{"index": 0}, {"index": 7}, {"count": 0}, {"index": 1}, {"data": bytes(40)}])
def test_a_code_that_contradicts_itself_is_refused(fields: dict[str, object]) -> None:
    last = CODES[-1].part
    with pytest.raises(DamagedInput):
        read_part(forged(last, **fields))


def test_more_codes_than_lines_are_refused() -> None:
    head = Head.of(SheetKind.PACKET, examples.payload(20))
    with pytest.raises(DamagedInput, match="cut off"):
        read_part(write_part(Part(head, 3, 3, b"")))
    with pytest.raises(DamagedInput, match="contradicts"):
        read_part(write_part(Part(head, 3, 3, bytes(20))))


def test_the_id_belongs_to_the_head() -> None:
    with pytest.raises(DamagedInput, match="contradicts"):
        read_part(TEXT.replace(CONTENT.sheet_id.replace("-", ""), "00000000"))


def test_a_head_of_a_later_kind_is_unsupported() -> None:
    line = b"\x01\x77" + CONTENT.head.line[2:]
    head, data = alphabet.encode(line), alphabet.encode(CODES[1].part.data)
    check = alphabet.check(alphabet.pair(2) + alphabet.pair(6) + alphabet.values(head + data))
    with pytest.raises(Unsupported, match="kind"):
        read_part("/".join([*TEXT.split("/")[:4], head, data, check]))


def test_rubbish_after_the_prefix_is_refused() -> None:
    source = random.Random(3)
    for _ in range(300):
        junk = "".join(source.choices("0123456789ABCDEF/QPZ \n", k=source.randrange(120)))
        with pytest.raises(DamagedInput):
            read_part("LUKSAFE1/" + junk)
    with pytest.raises(DamagedInput):
        read_part("LUKSAFE1/" + "Q" * 1_000_000)
