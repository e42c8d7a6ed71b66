"""The libraries of an extra that are not here, and how they get in where luksafe was installed as it was."""

from __future__ import annotations

import re
import shlex
import sys
import sysconfig
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)[^;]*; *extra *== *['\"]([a-z0-9]+)['\"]")


def install_hint(extra: str) -> str:
    """The command that brings the libraries of an extra. It names them, not luksafe, which came from anywhere."""
    names = " ".join(_missing(extra))
    prefix = Path(sys.prefix)
    if (prefix / "pipx_metadata.json").exists():
        return f"pipx inject luksafe {names}"
    if (prefix / "uv-receipt.toml").exists():
        return f"uv tool install luksafe {' '.join(f'--with {name}' for name in names.split())}"
    if sys.prefix != sys.base_prefix:
        return f"{shlex.quote(str(prefix / 'bin' / 'python'))} -m pip install {names}"
    if is_managed_by_the_system():
        return f"from your distribution, the Python packages: {names}; or install luksafe with pipx"
    return f"{shlex.quote(sys.executable)} -m pip install {names}"


def is_managed_by_the_system() -> bool:
    """Whether pip refuses to install into this Python, as the distribution asks it to."""
    return (Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED").exists()


def _missing(extra: str) -> list[str]:
    """Those that are not installed; all where that cannot be told."""
    try:
        found = [_REQUIREMENT.match(line) for line in requires("luksafe") or ()]
    except PackageNotFoundError:  # run from its source
        return [f"luksafe[{extra}]"]
    names = [match[1] for match in found if match and match[2] == extra]
    return [name for name in names if not _is_installed(name)] or names or [f"luksafe[{extra}]"]


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True
