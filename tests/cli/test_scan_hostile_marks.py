"""Bytes made to look like thousands of headers: what they cost is bounded, and said."""

from __future__ import annotations

import pytest
from generators.headers import UUID, luks2_image

from luksafe.ops.scan import scan as disk_scan
from luksafe.ops.scan import search_one

from .conftest import World

MIB = 1 << 20
OTHER = "11111111-2222-3333-4444-555555555555"


def marks() -> bytes:
    """Whole sectors that claim to be headers of 4 MiB: each look reads and hashes as much."""
    head = bytearray(luks2_image(uuid=OTHER)[:512])
    head[8:16] = (4 << 20).to_bytes(8)
    return bytes(head) * 2048


def test_marks_cost_a_bounded_time_and_that_is_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (search_one, disk_scan):
        monkeypatch.setattr(module, "LOOK_SECONDS", 0.2)
    image = world.image("marks.img", marks() + luks2_image() + bytes(MIB))
    ran = world.run("scan", image, "--json")
    assert ran.status == 3
    assert ran.json["unlooked"] > 1000
    assert "no time was left" in ran.err
    assert (MIB, UUID) in [(h["offset"], h["uuid"]) for h in ran.json["headers"]]


def test_what_cannot_be_kept_leaves_room_for_whole_mebibytes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_one, "MOST_FINDS", 4)
    image = world.image("marks.img", marks()[: 64 * 512].ljust(MIB, b"\0") + luks2_image() + bytes(MIB))
    ran = world.run("scan", image, "--json")
    assert ran.json["cut"] is True
    assert (MIB, UUID) in [(h["offset"], h["uuid"]) for h in ran.json["headers"]]
