"""A diagnosis on the terminal: words, then, if asked for, the map. At most 80 columns, readable without colour."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from luksafe.cli.terminal import style
from luksafe.cli.text import bad, good, human_size, table
from luksafe.luks.finding import Finding, Severity
from luksafe.ops.diagnosis.model import Diagnosis, Part, State, Verdict
from luksafe.visible import visible

COLUMNS, WIDTH = 80, 76
MOST_FINDINGS = 12
MARKS = {State.INTACT: "=", State.SUSPECT: "?", State.DESTROYED: "X", State.INACTIVE: "-", State.UNKNOWN: " "}
COLORS = {State.INTACT: "green", State.SUSPECT: "yellow", State.DESTROYED: "red"}
LETTERS = {"binary-header": "H", "json": "J", "inactive-keyslot": "-", "unused": ".", "data": "D"}
KEYSLOT_LETTERS = "0123456789abcdefghijklmnopqrstuv"
LEGEND = (
    "above: H binary header, J JSON, 0-9 a-v keyslot, - free one, . unused, D data",
    "below: = intact, ? suspect, X destroyed, - inactive, blank: not judged",
)


def diagnosis_lines(diagnosis: Diagnosis, *, colored: bool, verbose: bool) -> Iterator[str]:
    """The report: what must be read first, the verdict, parts and keyslots, findings, what to do."""
    for line in diagnosis.first:
        yield from _wrapped("", line, mark="!! ", colored=colored)
    paint = good if diagnosis.verdict is Verdict.HEALTHY else bad
    yield f"{paint(diagnosis.headline.upper(), colored=colored)}  {diagnosis.target}"
    yield from _wrapped("  ", diagnosis.summary)
    if diagnosis.overwritten_by:
        what = "holds" if diagnosis.verdict is Verdict.NOT_LUKS else "overwritten by"
        yield from _wrapped("  ", f"{what}: {', '.join(diagnosis.overwritten_by)}")
    yield from _parts(diagnosis.parts, colored)
    yield from _findings(diagnosis.findings, colored, verbose)
    if diagnosis.next:
        yield "next:"
        yield from (f"  {line}" for line in diagnosis.next)
    for line in diagnosis.avoid:
        yield from _wrapped("not: ", line)


def _parts(parts: Sequence[Part], colored: bool) -> Iterator[str]:
    rows = []
    for part in parts:
        if part.state in (State.UNKNOWN, State.INACTIVE) and not part.damage:
            continue
        words = part.state.value
        if part.damage:
            lost = sum(d.length for d in part.damage)
            words += f" ({human_size(lost)} from byte {part.damage[0].offset})"
        rows.append((part.name, f"{part.start}-{part.end}", words))
    for line, row in zip(table(rows, indent=2), rows, strict=True):
        state = row[2].split(" ", 1)[0]
        yield style(line, fg=COLORS[State(state)]) if colored and state != "intact" else line


def _findings(findings: Sequence[Finding], colored: bool, verbose: bool) -> Iterator[str]:
    wanted = [f for f in findings if verbose or f.severity is not Severity.INFO]
    wanted.sort(key=lambda f: (f.severity is not Severity.ERROR, f.severity is not Severity.WARNING))
    for finding in wanted if verbose else wanted[:MOST_FINDINGS]:
        mark = "note" if finding.severity is Severity.INFO else finding.severity.value
        yield from _wrapped("- ", f": {finding.text}", mark=mark, colored=colored)
    if not verbose and len(wanted) > MOST_FINDINGS:
        yield f"- and {len(wanted) - MOST_FINDINGS} more findings (-v shows all)"


def _wrapped(head: str, text: str, *, mark: str = "", colored: bool = False) -> Iterable[str]:
    """Wrapped lines; ``mark`` stands between ``head`` and ``text``, and is what has a colour."""
    indent = " " * max(2, len(head))
    whole = visible(head + mark + text)
    lines = textwrap.wrap(whole, COLUMNS, subsequent_indent=indent, break_long_words=False) or [head]
    start = head + mark
    if mark and lines[0].startswith(start):
        lines[0] = head + bad(mark, colored=colored) + lines[0][len(start) :]
    return lines


def map_lines(diagnosis: Diagnosis, *, colored: bool) -> Iterator[str]:
    """The map: the whole, the part of the header that is in use, each with the state of every column beneath."""
    parts = [part for part in diagnosis.parts if part.end > part.start]
    if not parts:
        yield "no map: there is no LUKS volume to draw"
        return
    header = [part for part in parts if part.kind != "data"]
    end = max((part.end for part in header), default=0)
    used = max((part.end for part in header if part.kind not in ("unused", "inactive-keyslot")), default=end)
    for title, until in (("device", parts[-1].end), ("header area", end), ("part in use", used)):
        if until and (title == "device" or until < parts[-1].end or len(header) == len(parts)):
            yield from _bar(parts, until, title, colored)
    yield from LEGEND


def _bar(parts: Sequence[Part], end: int, title: str, colored: bool) -> Iterator[str]:
    yield f"  {title}, {human_size(end)}; one column is about {human_size(max(1, end // WIDTH))}"
    cells = [_shown(parts, column * end // WIDTH, (column + 1) * end // WIDTH) for column in range(WIDTH)]
    yield "  [" + "".join(_letter(part) for part, _ in cells) + "]"
    yield "  [" + "".join(_mark(state, colored) for _, state in cells) + "]"


def _shown(parts: Sequence[Part], start: int, end: int) -> tuple[Part | None, State]:
    """The part that a column shows (the used one with most bytes there), and the worst that is known of its bytes."""
    inside = [(min(p.end, end) - max(p.start, start), p) for p in parts if p.start < end and p.end > start]
    used = [(size, p) for size, p in inside if p.kind not in ("unused", "inactive-keyslot")]
    if not inside:
        return None, State.UNKNOWN
    if any(d.offset < end and d.end > start for _, p in inside for d in p.damage):
        broken = [(s, p) for s, p in inside if any(d.offset < end and d.end > start for d in p.damage)]
        return max(broken, key=lambda item: item[0])[1], State.DESTROYED
    part = max(used or inside, key=lambda item: item[0])[1]
    state = State.INTACT if part.state is State.DESTROYED and part.damage else part.state
    return part, state


def _letter(part: Part | None) -> str:
    if part is None:
        return " "
    if part.kind == "keyslot":
        return KEYSLOT_LETTERS[(part.keyslot or 0) % len(KEYSLOT_LETTERS)]
    return LETTERS.get(part.kind, ".")


def _mark(state: State, colored: bool) -> str:
    color = COLORS.get(state)
    return style(MARKS[state], fg=color) if colored and color else MARKS[state]
