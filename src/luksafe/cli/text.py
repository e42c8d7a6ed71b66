"""Words and numbers for people: sizes, ages, tables that fit 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from luksafe.cli.terminal import shown, style, unstyle


def human_size(size_bytes: int) -> str:
    """``16.0 MiB``; exact below one KiB."""
    if size_bytes < 1024:
        return f"{size_bytes} B"
    units = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
    power = min((size_bytes.bit_length() - 1) // 10, len(units) - 1)
    value, unit = size_bytes / 1024**power, units[power]
    return f"{value:.0f} {unit}" if value == int(value) else f"{value:.1f} {unit}"


def human_age(then: datetime, now: datetime) -> str:
    """``3 days ago``."""
    seconds = max(0, int((now - then).total_seconds()))
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def age_of(timestamp: str, now: datetime) -> str:
    """The age of a stored timestamp; the text itself where it is none."""
    try:
        return human_age(datetime.fromisoformat(timestamp), now)
    except (ValueError, TypeError):
        return timestamp or "unknown"


def count(number: int, noun: str) -> str:
    """``1 keyslot``, ``2 keyslots``, ``no keyslots``."""
    if number == 1:
        return f"1 {noun}"
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number or 'no'} {plural}"


def table(rows: Sequence[Sequence[str]], head: Sequence[str] = (), indent: int = 0) -> Iterable[str]:
    """Lines of aligned columns, two spaces between; the head, if any, in capitals."""
    if not rows:
        return
    everything = [*([[h.upper() for h in head]] if head else []), *[[shown(cell) for cell in row] for row in rows]]
    widths = [max(len(unstyle(row[i])) for row in everything) for i in range(len(everything[0]))]
    for row in everything:
        cells = [cell + " " * (width - len(unstyle(cell))) for cell, width in zip(row, widths, strict=True)]
        yield (" " * indent + "  ".join(cells)).rstrip()


def good(text: str, *, colored: bool) -> str:
    """Green where there is colour."""
    return style(text, fg="green") if colored else text


def bad(text: str, *, colored: bool) -> str:
    """Red where there is colour."""
    return style(text, fg="red", bold=True) if colored else text


def dim(text: str, *, colored: bool) -> str:
    """Faint where there is colour."""
    return style(text, dim=True) if colored else text
