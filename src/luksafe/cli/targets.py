"""Arguments that name a volume: the same spelling for every verb."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from luksafe.errors import NotFound, StoreError


def target_argument(function: Callable[..., Any]) -> Callable[..., Any]:
    """TARGET: a device, an image, a header file (raw or ``.gz``), or a backup in the vault."""
    return click.argument("target")(function)


def header_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--header FILE``: a detached header, as in cryptsetup; also ``vault:ID``."""
    return click.option("--header", "header_file", help="Detached header: a file, or vault:ID.")(function)


@contextmanager
def hint_names(name: str) -> Iterator[None]:
    """Where the hint of what is not found inside is an ``ls`` that lacks its target, give it this one."""
    try:
        yield
    except NotFound as error:
        if error.hint.endswith(": luksafe ls"):
            error.hint += f" {shlex.quote(name)}"
        raise


@contextmanager
def retried_by_the_same_command() -> Iterator[None]:
    """Where a store failed before anything was kept, ``sync`` has nothing to bring: the command itself is repeated."""
    try:
        yield
    except StoreError as error:
        first = "make or mount the folder" if error.code == "store-away" else error.hint.partition(", then run ")[0]
        if error.hint.endswith("then run `luksafe sync`"):
            error.hint = f"{first}, then run the same command again"
        raise
