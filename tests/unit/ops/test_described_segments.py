"""What ``show --json`` says of segments."""

from __future__ import annotations

from luksafe.luks.model import Segment
from luksafe.ops.describe import _segment


def test_a_linear_segment_has_no_sector_size() -> None:
    assert "sector_size" not in _segment(Segment(0, "linear", 0, None))
    assert _segment(Segment(1, "crypt", 0, None, encryption="aes-xts-plain64", sector_size=4096))["sector_size"] == 4096
