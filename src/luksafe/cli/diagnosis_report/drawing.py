"""The picture: the volume to scale, the header area to scale, and how random its bytes are. One SVG element."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from luksafe.cli.diagnosis_report.escaped import escape
from luksafe.cli.diagnosis_report.palette import KIND_WORDS, STATES, cell_color, entropy_color
from luksafe.cli.text import human_size
from luksafe.ops.diagnosis.facts import Facts
from luksafe.ops.diagnosis.heat import HeatCell, heat_cells
from luksafe.ops.diagnosis.model import Diagnosis, Part, State

WIDTH, MARGIN = 960, 12
BAR_HEIGHT, ROW_HEIGHT = 34, 86
COLUMNS, CELL = 104, 9
MOST_CELLS = COLUMNS * 24
LEAST_PIXELS = 2.0
FONT = "font-family='system-ui,sans-serif'"


def draw(diagnosis: Diagnosis, facts: Facts) -> str:
    """The SVG text; every shape tells its byte range when pointed at."""
    parts = [part for part in diagnosis.parts if part.end > part.start]
    body: list[str] = []
    y = 8
    for title, end in _scales(parts):
        body += _bar(parts, end, title, y)
        y += ROW_HEIGHT
    body += _state_legend(y)
    y += 30
    used = _used_end(parts) or len(facts.start)
    whole = max((p.end for p in parts if p.kind != "data"), default=0) or len(facts.start)
    for title, end in _heat_scales(used, min(whole, len(facts.start))):
        cells = heat_cells(facts, end, MOST_CELLS)
        drawn, y = _heat(cells, title, y)
        body += drawn
    body += _heat_legend(y)
    height = y + 46
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' width='{WIDTH}' height='{height}'"
        f" role='img' aria-label='map of the volume'>{_PATTERN}<rect width='{WIDTH}' height='{height}' fill='#fff'/>"
        f"{''.join(body)}</svg>"
    )


_PATTERN = (
    "<defs><pattern id='hatch' width='6' height='6' patternUnits='userSpaceOnUse' patternTransform='rotate(45)'>"
    "<rect width='6' height='6' fill='#c0392b'/><rect width='2' height='6' fill='#fff'/></pattern></defs>"
)


def _used_end(parts: Sequence[Part]) -> int:
    return max((p.end for p in parts if p.kind in ("binary-header", "json", "keyslot")), default=0)


def _scales(parts: Sequence[Part]) -> Iterator[tuple[str, int]]:
    if not parts:
        return
    whole = max(part.end for part in parts)
    header = max((part.end for part in parts if part.kind != "data"), default=0)
    used = _used_end(parts)
    yield "The device", whole
    if 0 < header < whole:
        yield "The header area", header
    if 0 < used < header:
        yield "The part of it that is in use", used


def _heat_scales(used: int, end: int) -> Iterator[tuple[str, int]]:
    if 0 < used < end:
        yield "How random: the part in use", used
    if end:
        yield "How random: the whole header area", end


def _bar(parts: Sequence[Part], end: int, title: str, y: int) -> Iterator[str]:
    yield _text(MARGIN, y + 12, f"{title}: {human_size(end)} ({end} bytes)", 13, "600")
    scale = (WIDTH - 2 * MARGIN) / end
    top, last_label = y + 20, -100.0
    for part in parts:
        if part.start >= end:
            continue
        x, width = MARGIN + part.start * scale, max(LEAST_PIXELS, (min(part.end, end) - part.start) * scale)
        # a part with known damage is intact elsewhere
        state = State.INTACT if part.damage and part.state is State.DESTROYED else part.state
        label = f"{part.name}: {part.state.value}. Bytes {part.start} to {part.end}. {part.why}"
        yield _rect(x, top, width, BAR_HEIGHT, STATES[state], label, " stroke='#fff' stroke-width='0.6'")
        yield from _damage(part, end, scale, top)
        if width > 6.4 * len(part.name):
            yield _text(x + width / 2, top + BAR_HEIGHT / 2 + 4, part.name, 11, "400", _ink(state), "middle")
        elif part.keyslot is not None and part.state is not State.INACTIVE and x - last_label > 10:
            yield _text(x, top + BAR_HEIGHT + 11, str(part.keyslot), 10)
            last_label = x
    yield _text(MARGIN, top + BAR_HEIGHT + 24, "0", 10, "400", "#555")
    yield _text(WIDTH - MARGIN, top + BAR_HEIGHT + 24, str(end), 10, "400", "#555", "end")


def _ink(state: State) -> str:
    return "#fff" if state in (State.INTACT, State.DESTROYED) else "#222"


def _damage(part: Part, end: int, scale: float, top: int) -> Iterator[str]:
    for damage in part.damage:
        if damage.offset < end:
            x = MARGIN + damage.offset * scale
            width = max(LEAST_PIXELS, (min(damage.end, end) - damage.offset) * scale)
            label = f"{part.name}: bytes {damage.offset} to {damage.end} {damage.looks}. {damage.evidence}"
            yield _rect(x, top, width, BAR_HEIGHT, "url(#hatch)", label)


def _heat(cells: Sequence[HeatCell], title: str, y: int) -> tuple[list[str], int]:
    size = cells[0].length if cells else 0
    out = [_text(MARGIN, y + 12, f"{title}; one square is {human_size(size)}", 13, "600")]
    top, rows = y + 20, -(-len(cells) // COLUMNS)
    frame = f"x='{MARGIN - 1}' y='{top - 1}' width='{COLUMNS * CELL + 1.5}' height='{rows * CELL + 1.5}'"
    out.append(f"<rect {frame} fill='none' stroke='#c4cad1' stroke-width='1'/>")
    for number, run in _same(cells):
        first, count = number, len(run)
        while count:
            row, column = divmod(first, COLUMNS)
            width = min(count, COLUMNS - column)
            out.append(_heat_rect(run[:width], column, top + row * CELL))
            run, first, count = run[width:], first + width, count - width
    return out, top + rows * CELL + 12


def _same(cells: Sequence[HeatCell]) -> Iterator[tuple[int, Sequence[HeatCell]]]:
    """Runs of neighbours that would be drawn alike: so the file stays small."""
    first = 0
    for number in range(1, len(cells) + 1):
        if number == len(cells) or _look(cells[number]) != _look(cells[first]):
            yield first, cells[first:number]
            first = number


def _look(cell: HeatCell) -> tuple[str, bool]:
    # neighbours differ by chance: a quarter of a bit is below what one sector's entropy tells
    return cell_color(cell.kind, round(4 * cell.entropy) / 4), cell.mixed


def _heat_rect(cells: Sequence[HeatCell], column: int, y: int) -> str:
    first, last = cells[0], cells[-1]
    low, high = min(c.entropy for c in cells), max(c.entropy for c in cells)
    bits = f"{low:.2f}" if low == high else f"{low:.2f} to {high:.2f}"
    words = f"bytes {first.offset} to {last.offset + last.length}: {first.kind}, {bits} bits per byte"
    words += ", mixed" if first.mixed else ""
    color = _look(first)[0]
    return _rect(MARGIN + column * CELL, y, len(cells) * CELL - 0.5, CELL - 0.5, color, words)


def _state_legend(y: int) -> Iterator[str]:
    x = MARGIN
    for state, color in STATES.items():
        fill = "url(#hatch)" if state is State.DESTROYED else color
        yield _rect(x, y, 14, 14, fill, state.value)
        yield _text(x + 20, y + 12, state.value, 12)
        x += 34 + 8 * len(state.value)


def _heat_legend(y: int) -> Iterator[str]:
    x = MARGIN
    for step in range(81):
        yield f"<rect x='{x + step * 1.5}' y='{y}' width='1.6' height='12' fill='{entropy_color(step / 10)}'/>"
    yield _text(x + 128, y + 11, "random: 0 to 8 bits of entropy per byte", 11)
    x += 128 + 232
    for kind, words in KIND_WORDS.items():
        if kind != "random":
            extra = " stroke='#999' stroke-width='0.5'"
            yield _rect(x, y, 12, 12, cell_color(kind, 0), words, extra)
            yield _text(x + 17, y + 11, words.split(":")[0], 11)
            x += 28 + round(5.8 * len(words))


def _rect(x: float, y: float, width: float, height: float, fill: str, title: str, extra: str = "") -> str:
    box = f"x='{x:.2f}' y='{y:.2f}' width='{width:.2f}' height='{height:.2f}'"
    return f"<rect {box} fill='{fill}'{extra}><title>{escape(title)}</title></rect>"


def _text(
    x: float, y: float, text: str, size: int, weight: str = "400", fill: str = "#1d2733", anchor: str = "start"
) -> str:
    style = f"{FONT} font-size='{size}' font-weight='{weight}' fill='{fill}' text-anchor='{anchor}'"
    return f"<text x='{x:.1f}' y='{y:.1f}' {style} pointer-events='none'>{escape(text)}</text>"
