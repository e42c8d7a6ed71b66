"""The wall round a parser: whatever bytes from outside make it raise becomes an error of ours that names the parser.

A parser is total by itself. The wall is for the day on which it is not: then a scan, a diagnosis or a restore goes on
with the rest, and the fault stays to be seen: it is logged with its traceback (``-v`` shows it, the tests fail by it).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from luksafe.errors import DamagedInput, LuksafeError

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger("luksafe.wall")
log.addHandler(logging.NullHandler())
log.propagate = False

WALLS: dict[str, str] = {}
"""Every parser with a wall: its name, and the function at its entry."""


class ParserStopped(DamagedInput):
    """A parser met what it does not foresee. ``parser`` is its name."""

    code = "parser-stopped"

    def __init__(self, parser: str, cause: BaseException) -> None:
        reason = str(cause).split("\n", 1)[0][:200]
        super().__init__(
            f"reading {parser} ended in an unforeseen {type(cause).__name__}" + (f": {reason}" if reason else ""),
            hint="this is a fault in luksafe: the same command with -v shows where; please report it",
        )
        self.parser = parser


def _is_stopped(error: BaseException, of_media: bool) -> bool:
    """Whether an error stops at the wall; a panic is how a library in Rust says that it has a fault."""
    if isinstance(error, OSError):
        return of_media
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def walled(
    parser: str, instead: Callable[..., Any] | None = None, *, of_media: bool = False
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator for the entry of a parser. ``parser`` completes "reading …".

    Errors of ours and of the medium (OSError, unless ``of_media``) pass, as does an interrupt. Anything else is raised
    as ParserStopped, or becomes what ``instead`` gives for that error and the arguments of the call.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        WALLS[parser] = f"{function.__module__}.{function.__qualname__}"

        @wraps(function)
        def behind(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except LuksafeError:
                raise
            except BaseException as error:
                if not _is_stopped(error, of_media):
                    raise
                stopped = ParserStopped(parser, error)
                log.error("%s", stopped, exc_info=error)
                if instead is None:
                    raise stopped from error
            return instead(stopped, *args, **kwargs)  # type: ignore[no-any-return]

        return behind

    return decorate
