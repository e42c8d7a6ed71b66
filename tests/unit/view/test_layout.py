from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luksafe.errors import DamagedInput, Unsupported
from luksafe.luks.model import Segment
from luksafe.view.layout import BEYOND_THE_END, HOT_ZONE, lay_out

MIB = 1 << 20


def crypt(number: int, offset: int, size: int | None, sector_size: int = 512, **more: object) -> Segment:
    return Segment(number, "crypt", offset, size, encryption="aes-xts-plain64", sector_size=sector_size, **more)  # type: ignore[arg-type]


def test_a_dynamic_segment_reaches_to_the_end_in_whole_sectors() -> None:
    layout = lay_out([crypt(0, MIB, None, 4096)], 3 * MIB + 4095)
    assert layout.size_bytes == 2 * MIB
    assert not layout.findings


def test_a_fixed_segment_leaves_the_rest_of_a_larger_device_alone() -> None:
    layout = lay_out([crypt(0, MIB, MIB)], 10 * MIB)
    assert layout.size_bytes == MIB
    assert not layout.findings


def test_a_smaller_device_cuts_the_end_and_says_how_much() -> None:
    layout = lay_out([crypt(0, MIB, 4 * MIB, 4096)], 3 * MIB + 100)
    assert layout.size_bytes == 2 * MIB
    (finding,) = layout.findings
    assert (finding.code, finding.length) == ("device-too-small", 2 * MIB)


def test_a_device_that_ends_before_the_data() -> None:
    layout = lay_out([crypt(0, 16 * MIB, None)], MIB)
    assert layout.size_bytes == 0
    assert [finding.code for finding in layout.findings] == ["segment-beyond-device"]


def test_segments_follow_one_another_wherever_they_stand() -> None:
    segments = [crypt(0, 5 * MIB, MIB, iv_tweak=7), Segment(1, "linear", MIB, 2 * MIB), crypt(2, 8 * MIB, None, 4096)]
    layout = lay_out(segments, 10 * MIB)
    assert [(e.start_bytes, e.size_bytes, e.device_offset_bytes) for e in layout.extents] == [
        (0, MIB, 5 * MIB),
        (MIB, 2 * MIB, MIB),
        (3 * MIB, 2 * MIB, 8 * MIB),
    ]
    assert layout.extents[0].first_sector_512 == 7
    assert layout.size_bytes == 5 * MIB


def test_a_missing_segment_in_the_middle_keeps_the_others_in_place() -> None:
    layout = lay_out([crypt(0, 0, MIB), crypt(1, 20 * MIB, MIB), crypt(2, MIB, MIB)], 4 * MIB)
    assert [(e.start_bytes, e.lost) for e in layout.extents] == [(0, ""), (MIB, BEYOND_THE_END), (2 * MIB, "")]


def test_the_hot_zone_is_lost_and_explained() -> None:
    layout = lay_out(
        [crypt(0, 0, MIB), crypt(1, MIB, MIB, flags=("in-reencryption",)), crypt(2, 2 * MIB, None)], 4 * MIB
    )
    assert [e.lost for e in layout.extents] == ["", HOT_ZONE, ""]
    assert [finding.code for finding in layout.findings] == ["hot-zone"]


@pytest.mark.parametrize(
    "segment",
    [
        Segment(0, "hw-opal", 0, None),
        Segment(0, "crypt", 0, None, encryption="aes-xts-plain64", integrity={"type": "hmac(sha256)"}),
    ],
)
def test_what_nothing_here_reads_is_named(segment: Segment) -> None:
    with pytest.raises(Unsupported) as caught:
        lay_out([segment], MIB)
    assert "cryptsetup" in caught.value.hint


@pytest.mark.parametrize(
    "segment",
    [
        crypt(0, 0, MIB, 513),
        crypt(0, 0, MIB, 8192),
        crypt(0, 1, MIB),
        crypt(0, -512, MIB),
        crypt(0, 0, 512, 4096),
        crypt(0, 0, -512),
        crypt(0, 0, 1 << 64),
    ],
)
def test_impossible_sizes_are_damage(segment: Segment) -> None:
    with pytest.raises(DamagedInput):
        lay_out([segment], MIB)


SIZES = st.integers(-1, 1 << 64) | st.sampled_from([0, 512, 4096, MIB, 3 * MIB])
SEGMENTS = st.builds(
    Segment,
    st.integers(0, 9),
    st.sampled_from(["crypt", "linear", "other"]),
    SIZES,
    st.none() | SIZES,
    st.integers(0, 1 << 64),
    st.just("aes-xts-plain64"),
    st.sampled_from([512, 4096, 0, 3]),
)


@given(st.lists(SEGMENTS, max_size=5), st.integers(0, 20 * MIB))
def test_any_segments_are_laid_out_without_gaps_or_refused(segments: list[Segment], device_size: int) -> None:
    try:
        layout = lay_out(segments, device_size)
    except (DamagedInput, Unsupported):
        return
    at = 0
    for extent in layout.extents:
        assert extent.start_bytes == at
        assert extent.size_bytes > 0
        assert extent.lost or extent.device_offset_bytes + extent.size_bytes <= device_size
        at = extent.end_bytes
    assert at == layout.size_bytes < 1 << 64
