"""Folders that root trusts: those that no other user can fill with undo entries, settings or backups of his own."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from luksafe.errors import Refused

FLAG = "--allow-foreign-vault"


def require_own(*paths: Path, allowed: bool = False) -> None:
    """For root: raise Refused where one of the paths is there and belongs to another user."""
    if os.geteuid() != 0 or allowed:
        return
    for path in paths:
        with suppress(OSError):
            owner = path.stat().st_uid
            if owner != 0:
                raise Refused(
                    f"{path} belongs to user {owner}, who could make root believe or write what he likes",
                    code="foreign-folder",
                    hint=f"give it to root (chown -R root: {path}), choose another --vault, or add {FLAG}",
                )


def make_private_folder(path: Path) -> None:
    """Make a folder and what is missing above it, each for this user alone. Raises OSError."""
    for each in (*reversed(path.parents), path):
        if not each.is_dir():
            with suppress(FileExistsError):
                each.mkdir(mode=0o700)
    if not path.is_dir():
        path.mkdir(mode=0o700)  # says what is wrong
