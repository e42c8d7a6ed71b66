"""A folder seen through FUSE, in which chosen paths give an input/output error, as on a dying stick.

``faults`` is a file with one relative path a line: these, and all below them, fail whatever is done to them.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SERVER = Path(__file__).with_name("failing_folder_server.py")


@contextmanager
def failing_folder(backing: Path, mount_point: Path, faults: Path) -> Iterator[None]:
    """Mount it, or skip where this may not be done."""
    mount_point.mkdir(exist_ok=True)
    server = subprocess.Popen([sys.executable, SERVER, backing, mount_point, faults], stderr=subprocess.PIPE)
    try:
        for _ in range(200):
            if mount_point.is_mount() or server.poll() is not None:
                break
            time.sleep(0.05)
        if not mount_point.is_mount():
            server.kill()
            pytest.skip(f"cannot mount here: {server.communicate()[1].decode(errors='replace')[-300:]}")
        yield
    finally:
        subprocess.run(["fusermount3", "-u", "-z", mount_point], capture_output=True)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(10)
        server.kill()
        server.wait()
        if server.stderr:
            server.stderr.close()
