"""The table of verbs: where each lives and what it is for. ``--help`` prints it without importing any of them."""

from __future__ import annotations

from typing import NamedTuple


class Verb(NamedTuple):
    """One verb. ``module`` holds a click command named ``command``."""

    name: str
    section: str
    module: str
    help: str


VERBS = (Verb("show", "keep", "luksafe.cli.show", "Every parameter of a header; --map draws it."),)

SECTIONS = {"keep": "Keep", "recover": "Recover", "escrow": "Escrow"}
