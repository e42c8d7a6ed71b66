"""Arguments that name a volume: the same spelling for every verb."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click


def target_argument(function: Callable[..., Any]) -> Callable[..., Any]:
    """TARGET: a device, an image, a header file (raw or ``.gz``), or a backup in the vault."""
    return click.argument("target")(function)


def header_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--header FILE``: a detached header, as in cryptsetup; also ``vault:ID``."""
    return click.option("--header", "header_file", help="Detached header: a file, or vault:ID.")(function)
