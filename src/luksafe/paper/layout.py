"""From the content of a sheet to pages of blocks."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from luksafe.paper import alphabet, fonts
from luksafe.paper.figures import (
    CAPTION_POINTS,
    CODES_IN_ROW,
    FIELDS_POINTS,
    LINES_IN_BLOCK,
    CodeRow,
    LineHeader,
    TypedLines,
    Verbatim,
    WordsAndCode,
    code_side,
)
from luksafe.paper.prose import HEADING_POINTS, SOFT, Block, Command, Fact, Heading, Notice, NumberedStep, Text
from luksafe.paper.qr import CODES_PER_PAGE, Code, codes_of
from luksafe.paper.sheet import Procedure, SheetContent, Step
from luksafe.paper.text import lines_of
from luksafe.paper.wording import CODES_NOTE, DASHES_NOTE, LINES_NOTE, NOTICES, OTHER_WAYS_NOTE, ROWS_NOTE

MARGIN_POINTS = 48.0
HEADER_POINTS = 62.0
FOOTER_POINTS = 44.0
NOTE_POINTS = 20.0


class PageSize(Enum):
    """The paper; the value is width and height in points."""

    A4 = (595.28, 841.89)
    LETTER = (612.0, 792.0)

    @property
    def width_points(self) -> float:
        """Room for blocks between the margins."""
        return self.value[0] - 2 * MARGIN_POINTS

    @property
    def height_points(self) -> float:
        """Room for blocks between header and footer."""
        return self.value[1] - HEADER_POINTS - FOOTER_POINTS


@dataclass(frozen=True, slots=True)
class Section:
    """Blocks that start on a new page where ``new_page`` says so."""

    blocks: tuple[Block, ...]
    new_page: bool = False


def lay_out(content: SheetContent, size: PageSize) -> list[list[Block]]:
    """The blocks of each page; the first page leaves room for the blank fields at its foot."""
    pages: list[list[Block]] = [[]]
    room = size.height_points - FIELDS_POINTS
    for section in _sections(content, size):
        if section.new_page and pages[-1]:
            pages.append([])
            room = size.height_points
        for group in _kept_together(section.blocks):
            height = sum(block.height(size.width_points) for block in group)
            if height > room and pages[-1]:
                pages.append([])
                room = size.height_points
                if isinstance(group[0], TypedLines):
                    group = [LineHeader(), *group]
                    height = sum(block.height(size.width_points) for block in group)
            pages[-1] += group
            room -= height
    return pages


def _kept_together(blocks: tuple[Block, ...]) -> Iterator[list[Block]]:
    group: list[Block] = []
    for block in blocks:
        group.append(block)
        if not block.keep_with_next:
            yield group
            group = []
    if group:
        yield group


def _sections(content: SheetContent, size: PageSize) -> list[Section]:
    codes = codes_of(content.head, content.payload)
    is_short = len(codes) == 1
    front = _opening(content)
    if content.words:
        front.append(Heading(f"The share: {len(content.words)} words"))
        front.append(WordsAndCode(content.words, codes[0] if is_short else None))
    elif content.verbatim:
        note = DASHES_NOTE if "-" in content.verbatim else ROWS_NOTE
        front += [Heading("The secret, to be typed as it stands"), Verbatim(content.verbatim)]
        front.append(Text(note, size=8.5, gray=SOFT))
    if content.parameters:
        front += [Heading("Parameters"), *(Fact(label, text) for label, text in content.parameters)]
    for procedure in content.procedures[:1]:
        front += _procedure(procedure)
    if content.procedures[1:]:
        front.append(Text(OTHER_WAYS_NOTE, size=8.5, gray=SOFT))
    sections = [Section(tuple(front))]
    if not (content.words and is_short):
        sections.append(Section(tuple(_codes(codes, size)), new_page=not is_short))
    if not content.words:
        sections.append(Section(tuple(_lines(content)), new_page=not is_short))
        sections.append(Section(tuple(_procedure(_by_hand(content)))))
    sections += [Section(tuple(_procedure(procedure))) for procedure in content.procedures[1:]]
    return sections


def _opening(content: SheetContent) -> list[Block]:
    blocks: list[Block] = [Text(content.title, size=19, font=fonts.BOLD, after=3, keep_with_next=True)]
    blocks += [Text(line, size=10.5, gray=SOFT, after=2) for line in content.subtitle]
    blocks += [Text("", size=3, after=2), Notice(*NOTICES[content.kind])]
    if content.opens:
        blocks += [Heading("What it opens"), *(Fact(label, text) for label, text in content.opens)]
    return blocks


def _procedure(procedure: Procedure) -> list[Block]:
    blocks: list[Block] = [Heading(procedure.heading)]
    for number, step in enumerate(procedure.steps, 1):
        blocks.append(NumberedStep(number, step.text, bool(step.commands)))
        last = len(step.commands) - 1
        blocks += [Command(command, place < last) for place, command in enumerate(step.commands)]
    return blocks


def _by_hand(content: SheetContent) -> Procedure:
    """How the codes or lines become a file again."""
    name, length = shlex.quote(content.stored_as), len(content.payload)
    decode = f"tr {alphabet.SYMBOLS} A-Z2-7 | base32 -d | head -c {length} > {name}"
    scanned = Step(
        "With any QR reader: the text of each code is one row of codes.txt, in the order of the codes.",
        (
            "zbarimg -q --raw scan*.png | sort -u -t/ -k3,3n > codes.txt",
            f"cut -d/ -f6 codes.txt | tr -d '\\n' | {decode}",
        ),
    )
    typed = Step(
        "Or from typing: all lines, as printed and with their numbers, into lines.txt.",
        (f"awk '/^ *[1-9]/{{print $2$3$4$5$6$7$8$9}}' lines.txt | tr -d '\\n' | tr a-z A-Z | {decode}",),
    )
    digest = hashlib.sha256(content.payload.view).hexdigest()
    proof = Step(f"This must print {digest}:", (f"sha256sum {name}",))
    return Procedure(f"Without luksafe: from this sheet to the file {name}", (scanned, typed, proof))


def _codes(codes: list[Code], size: PageSize) -> list[Block]:
    rows = CODES_PER_PAGE // CODES_IN_ROW
    most = (size.height_points - HEADING_POINTS - NOTE_POINTS) / rows - CAPTION_POINTS
    side = code_side(codes, size.width_points, most)
    heading = "The code" if len(codes) == 1 else f"The {len(codes)} codes"
    cuts = range(0, len(codes), CODES_IN_ROW)
    return [Heading(heading), _note(CODES_NOTE), *(CodeRow(tuple(codes[at : at + CODES_IN_ROW]), side) for at in cuts)]


def _note(text: str) -> Text:
    return Text(text, size=8.5, gray=SOFT, keep_with_next=True)


def _lines(content: SheetContent) -> list[Block]:
    lines = lines_of(content.head, content.payload)
    cuts = [lines[:1]] + [lines[at : at + LINES_IN_BLOCK] for at in range(1, len(lines), LINES_IN_BLOCK)]
    end = f"End of sheet {content.sheet_id}: line {len(lines) - 1} is the last, {len(content.payload)} bytes."
    return [
        Heading("The same as text, if a code cannot be read"),
        _note(LINES_NOTE),
        LineHeader(),
        *(TypedLines(tuple(cut)) for cut in cuts),
        Text(end, font=fonts.BOLD, size=9, before=4),
    ]
