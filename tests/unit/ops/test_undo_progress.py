"""How far a write had come, told from the bytes alone."""

from __future__ import annotations

import pytest

from luksafe.ops.undo import _progress
from luksafe.vault.undo import Replacement

OLD, NEW = b"o" * 1500, b"n" * 1500
PARTS = [Replacement(0, OLD, NEW), Replacement(4096, OLD, NEW)]


@pytest.mark.parametrize(
    ("now", "progress"),
    [
        ([OLD, OLD], "old"),
        ([NEW, NEW], "new"),
        ([NEW, OLD], "between"),
        ([OLD, NEW], "between"),
        ([NEW[:512] + OLD[512:], OLD], "between"),
        ([NEW[:700] + OLD[700:], OLD], "between"),
        ([OLD[:512] + NEW[512:1024] + OLD[1024:], OLD], "between"),
        ([OLD[:700] + NEW[700:], OLD], "changed"),
        ([OLD[:1499] + b"x", OLD], "changed"),
        ([NEW, b"x" + NEW[1:]], "changed"),
    ],
)
def test_progress(now, progress):
    assert _progress(PARTS, now) == progress
