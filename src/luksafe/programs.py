"""Other programs: the one place that says which file a name means, and with what PATH they run.

Root takes none from a folder that a user's PATH happens to name: what is found there would run as root.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

ROOT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin"
_SYSTEM_PATH = "/usr/sbin:/sbin"


def search_path() -> str:
    """Where programs are looked for: for root a fixed list, else the user's absolute folders and the system's."""
    if os.geteuid() == 0:
        return ROOT_PATH
    own = [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if folder.startswith("/")]
    return os.pathsep.join([*own, _SYSTEM_PATH])


def find_program(name: str) -> str | None:
    """The absolute path of a program, None where it is not installed."""
    return shutil.which(name, path=search_path())


def environment(**more: str) -> dict[str, str]:
    """The environment that programs are started with."""
    return {**os.environ, "PATH": search_path(), **more}


@contextmanager
def fixed_path() -> Iterator[None]:
    """For a library that looks for programs by itself: PATH is ours meanwhile."""
    before = os.environ.get("PATH")
    os.environ["PATH"] = search_path()
    try:
        yield
    finally:
        if before is None:
            del os.environ["PATH"]
        else:
            os.environ["PATH"] = before
