"""The files of a folder that a scan looks into: regular files only, links not followed, other filesystems too."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

MOST_FILES = 2_000_000
LEAST_BYTES = 512


def files_in(folder: Path, skipped: list[tuple[str, str]]) -> Iterator[Path]:
    """Every regular file below ``folder`` that is long enough for a header; what cannot be read is noted."""
    count = 0
    walk = os.walk(folder, onerror=lambda error: skipped.append((str(error.filename), error.strerror or str(error))))
    for where, folders, names in walk:
        folders.sort()
        for name in sorted(names):
            path = Path(where, name)
            try:
                facts = path.lstat()
            except OSError as error:
                skipped.append((str(path), error.strerror or str(error)))
                continue
            if not stat.S_ISREG(facts.st_mode) or facts.st_size < LEAST_BYTES:
                continue
            count += 1
            if count > MOST_FILES:
                skipped.append((str(path), f"more than {MOST_FILES} files; scan the folders below one by one"))
                return
            yield path
