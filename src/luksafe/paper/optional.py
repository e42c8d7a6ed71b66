"""The libraries of the ``paper`` extra, loaded when they are used."""

from __future__ import annotations

import importlib
from typing import Any

from luksafe.errors import Unsupported
from luksafe.extras import install_hint


def load(module: str) -> Any:
    """The module of that name; raises Unsupported where the extra is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise Unsupported(
            f"paper sheets need the library {module.partition('.')[0]}, which is not installed",
            hint=install_hint("paper"),
        ) from error
