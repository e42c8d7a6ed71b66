"""Headers where none belongs."""

from __future__ import annotations

from generators.headers import UUID, luks1_image, luks2_image

from luksafe.ops.diagnosis.traces import find_header_traces


def places(data: bytes) -> list[tuple[int, int, str]]:
    return [(t.offset, t.volume_offset, t.copy) for t in find_header_traces(data)]


def test_in_place() -> None:
    assert places(luks2_image()) == [(0, 0, "primary"), (16384, 0, "secondary")]
    assert places(luks1_image()) == [(0, 0, "primary")]


def test_shifted_forward_and_cut_off() -> None:
    assert places(bytes(3584) + luks2_image()) == [(3584, 3584, "primary"), (19968, 3584, "secondary")]
    assert places(luks2_image()[4096:]) == [(12288, -4096, "secondary")]


def test_what_is_no_header() -> None:
    assert places(b"LUKS\xba\xbe\0\3" + bytes(4096)) == []
    assert places(b"x" + luks2_image()) == []
    assert places(b"LUKS\xba\xbe") == []
    assert next(find_header_traces(luks2_image())).uuid == UUID
