"""One option for each danger of a plan, the same for every verb that writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def damaged_keyslot_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """The flag ``allow_damaged`` of every verb that backs a header up."""
    text = "Keep a keyslot that a backup shows to be damaged."
    return click.option("--allow-damaged-keyslot", "allow_damaged", is_flag=True, help=text)(function)


def danger_options(flag_help: dict[str, str], over_help: str) -> Decorator:
    """Options for the flags of ``flag_help`` and ``--over NAME``; the function gets those given as ``accepted``."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, over: tuple[str, ...], **options: Any) -> Any:
            accepted = [flag for flag in flag_help if options.pop(flag.removeprefix("--").replace("-", "_"))]
            return function(*args, accepted=[*accepted, *(f"--over {name}" for name in over)], **options)

        run.__doc__, run.__name__ = function.__doc__, function.__name__
        run.__dict__.update(function.__dict__)
        for flag, text in reversed(flag_help.items()):
            run = click.option(flag, is_flag=True, help=text)(run)
        return click.option("--over", multiple=True, metavar="NAME", help=over_help)(run)

    return decorate
