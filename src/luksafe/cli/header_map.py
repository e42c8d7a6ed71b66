"""The header drawn to scale: one line of the whole, one line of the part in use, then every region with its bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from luksafe.cli.terminal import style
from luksafe.cli.text import human_size, table
from luksafe.luks.areas import Region

WIDTH = 76
_COLORS = {"binary-header": "cyan", "json": "blue", "keyslot": "green", "inactive-keyslot": "white", "unused": None}


def draw_map(regions: Sequence[Region], *, colored: bool) -> Iterable[str]:
    """Lines of the drawing, at most 80 columns, readable without colour. ``regions`` cover the area without gaps."""
    end = regions[-1].end
    used_end = max((r.end for r in regions if r.kind != "unused"), default=end)
    yield from _bar(regions, end, colored, f"whole header area, {human_size(end)}; one column is about ")
    if used_end < end // 2:
        yield ""
        yield from _bar(regions, used_end, colored, f"the part in use, {human_size(used_end)}; one column is about ")
    yield ""
    rows = [
        (_letter(r), r.name, f"{r.start}", f"{r.end}", human_size(r.size_bytes))
        for r in regions
        if r.kind != "unused" or r.size_bytes >= 4096
    ]
    yield from table(rows, ("", "region", "from byte", "to", "size"), indent=2)


def _bar(regions: Sequence[Region], end: int, colored: bool, title: str) -> Iterable[str]:
    yield f"  {title}{human_size(max(1, end // WIDTH))}"
    cells = [_owner(regions, column * end // WIDTH, (column + 1) * end // WIDTH) for column in range(WIDTH)]
    yield "  [" + "".join(_paint(region, colored) for region in cells) + "]"


def _owner(regions: Sequence[Region], start: int, end: int) -> Region:
    """The region that a column shows: the used one with most bytes there, so that small things are not lost."""
    inside = [(min(r.end, end) - max(r.start, start), r) for r in regions if r.start < end and r.end > start]
    used = [(size, r) for size, r in inside if r.kind not in ("unused", "inactive-keyslot")]
    return max(used or inside or [(0, regions[-1])], key=lambda item: item[0])[1]


def _letter(region: Region) -> str:
    if region.kind == "keyslot":
        # 32 keyslots: 0-9, then capitals that stand for nothing else
        return "0123456789ABCDEFGIKLMNOPQRSTUVWX"[(region.keyslot or 0) % 32]
    letter = {"binary-header": "H", "json": "J", "inactive-keyslot": "-", "unused": "."}[region.kind]
    return letter.lower() if region.copy == "secondary" else letter


def _paint(region: Region, colored: bool) -> str:
    color = _COLORS[region.kind]
    return style(_letter(region), fg=color, bold=True) if colored and color else _letter(region)
