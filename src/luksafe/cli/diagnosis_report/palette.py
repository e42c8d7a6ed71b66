"""Colours of the report: told apart by people who see red and green alike, and each state has a pattern as well."""

from __future__ import annotations

from luksafe.ops.diagnosis.model import State

STATES = {
    State.INTACT: "#2a7f62",
    State.SUSPECT: "#e0a100",
    State.DESTROYED: "#c0392b",
    State.INACTIVE: "#b9c0c8",
    State.UNKNOWN: "#e4e7eb",
}
KINDS = {
    "zeros": "#f4f5f7",
    "ff": "#c9a7d8",
    "pattern": "#b07cc6",
    "text": "#f2b134",
    "structured": "#e2704a",
    "unreadable": "#000000",
    "changed": "#c0392b",
    "missing": "#000000",
}
KIND_WORDS = {
    "random": "random: key material, cipher text",
    "zeros": "zeros",
    "ff": "0xff",
    "pattern": "one pattern again and again",
    "text": "text",
    "structured": "binary structures",
    "unreadable": "cannot be read",
}
LIGHT, DARK = (219, 234, 247), (16, 61, 112)


def entropy_color(bits: float) -> str:
    """From light (0 bits per byte) to dark blue (8), the steep end stretched: random sectors lie above 7.3."""
    share = max(0.0, min(1.0, bits / 8)) ** 3
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(LIGHT, DARK, strict=True))


def cell_color(kind: str, bits: float) -> str:
    """The colour of a cell of the heat map: by what it looks like, random ones by their entropy."""
    return KINDS.get(kind) or entropy_color(bits)
