"""Long work in C that Ctrl-C ends at once, not minutes later when the library comes back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_LOOK_SECONDS = 0.1


def run_stoppable(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """What the function gives, or raises. In the main thread an interrupt leaves it behind; it ends with the process.

    The function must let go of Python's lock meanwhile, as every derivation here does.
    """
    if threading.current_thread() is not threading.main_thread():
        return function(*args, **kwargs)
    given: list[R] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            given.append(function(*args, **kwargs))
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, name="derivation", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_LOOK_SECONDS)
    if raised:
        raise raised[0]
    return given[0]
