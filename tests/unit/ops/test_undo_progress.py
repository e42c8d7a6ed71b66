"""How far an interrupted write had come, told from the bytes on the device."""

from __future__ import annotations

import pytest

from luksafe.ops.write.progress import progress_of
from luksafe.vault.undo import Replacement

OLD, NEW = bytes(range(256)) * 8, bytes(reversed(range(256))) * 8


def torn(*pieces: tuple[int, bytes]) -> bytes:
    """Up to each place the bytes of that side."""
    seen, start = b"", 0
    for end, side in pieces:
        seen, start = seen + side[start:end], end
    return seen


@pytest.mark.parametrize(
    ("offset", "seen", "progress"),
    [
        (0, OLD, "old"),
        (0, NEW, "new"),
        (0, torn((512, NEW), (2048, OLD)), "between"),
        (0, torn((296, NEW), (2048, OLD)), "between"),
        (0, torn((296, OLD), (2048, NEW)), "between"),
        (0, torn((700, NEW), (1024, OLD), (1536, NEW), (2048, OLD)), "between"),
        (212, torn((300, NEW), (512, OLD), (2048, NEW)), "between"),
        (0, torn((100, NEW), (200, OLD), (2048, NEW)), "changed"),
        (0, NEW[:600] + b"\xee\xee" + NEW[602:], "changed"),
    ],
)
def test_a_sector_cut_in_the_middle_is_an_interrupted_write_and_other_bytes_are_a_change(offset, seen, progress):
    assert progress_of([Replacement(offset, OLD, NEW)], [seen]).word == progress
