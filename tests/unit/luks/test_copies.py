"""Both copies of a LUKS2 header: read, judged, compared."""

from __future__ import annotations

import pytest
from generators.headers import UUID, luks2_image, with_binary, with_document, with_json_area

from luksafe.errors import DamagedInput
from luksafe.luks.finding import Severity
from luksafe.luks.inspection import inspect
from luksafe.luks.luks2.binary_header import HEADER_SIZES
from luksafe.luks.luks2.writer import copy_from_other
from luksafe.reader import BytesReader


def look(image: bytes):
    return inspect(BytesReader(image))


def test_a_healthy_header_has_two_good_copies_and_no_finding():
    seen = look(luks2_image())
    assert [c.state for c in seen.copies] == ["ok", "ok"]
    assert seen.all_findings == ()
    assert not seen.is_refused
    assert seen.require_header().uuid == UUID


@pytest.mark.parametrize("size", HEADER_SIZES)
def test_every_legal_header_size_is_read_and_its_secondary_found_alone(size):
    image = luks2_image(header_size=size, data_offset=12 << 20)
    assert look(image).require_header().header_size == size
    alone = look(bytes(4096) + image[4096:])
    assert alone.require_header().header_size == size
    assert [(c.copy, c.state, c.offset) for c in alone.copies] == [("primary", "missing", 0), ("secondary", "ok", size)]


@pytest.mark.parametrize(
    ("start", "state", "why"),
    [(0, "missing", "no LUKS2 magic"), (100, "damaged", "checksum"), (4200, "damaged", "checksum")],
)
def test_damage_of_the_primary_leaves_the_secondary_in_force(start, state, why):
    image = bytearray(luks2_image())
    image[start : start + 64] = bytes(64) if start else bytes(4096)[:64]
    if start == 0:
        image[:4096] = bytes(4096)
    else:
        image[start : start + 64] = b"\xa5" * 64
    seen = look(bytes(image))
    assert seen.copies[0].state == state
    assert why in seen.copies[0].why
    assert not seen.is_refused
    assert {f.severity for f in seen.findings} == {Severity.WARNING}


def test_a_wiped_magic_is_told_from_a_header_that_is_gone():
    image = bytearray(luks2_image())
    image[:6] = image[16384:16390] = bytes(6)
    seen = look(bytes(image))
    assert [c.state for c in seen.copies] == ["damaged", "damaged"]
    assert all("magic is gone" in c.why for c in seen.copies)
    with pytest.raises(DamagedInput, match="magic is gone") as error:
        seen.require_header()
    assert {f.code for f in error.value.findings} >= {"header-magic", "copy-damaged"}


def test_nothing_at_all_is_not_luks():
    seen = look(bytes(1 << 16))
    assert seen.format == "none"
    with pytest.raises(DamagedInput) as error:
        seen.require_header()
    assert error.value.code == "not-luks"


def test_a_tiny_file_is_not_luks():
    assert look(b"LUKS").format == "none"
    assert look(b"").format == "none"


@pytest.mark.parametrize("newer", [0, 1])
def test_the_copy_with_the_greater_sequence_id_is_in_force(newer):
    image = with_document(luks2_image(), lambda d: d["config"].update(flags=["allow-discards"]), (newer,))
    seen = look(with_binary(image, (newer,), seqid=9))
    assert seen.require_header().config.flags == ("allow-discards",)
    assert [f.code for f in seen.findings] == ["copies-seqid-differ"]


def test_equal_sequence_ids_with_other_content_are_told_and_the_first_counts():
    image = with_document(luks2_image(), lambda d: d["config"].update(flags=["allow-discards"]), (1,))
    seen = look(image)
    assert seen.require_header().config.flags == ()
    assert [f.code for f in seen.findings] == ["copies-content-differ"]


def test_different_uuids_are_told():
    seen = look(with_binary(luks2_image(), (1,), uuid="00000000-0000-0000-0000-000000000000"))
    assert [f.code for f in seen.findings] == ["copies-uuid-differ"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"version": 3}, "header-version"),
        ({"hdr_offset": 4096}, "header-offset"),
        ({"hdr_size": 1 << 40}, "header-size"),
        ({"checksum_algorithm": "sha256"}, None),
    ],
)
def test_faults_of_the_binary_header_are_named(changes, code):
    image = with_binary(luks2_image(), (0,), **changes)
    codes = {f.code for f in look(image).copies[0].findings}
    assert codes == ({code} if code else set())


def test_an_unknown_checksum_algorithm_is_damage():
    image = bytearray(luks2_image())
    image[72:104] = b"md0".ljust(32, b"\0")
    assert "unknown checksum" in look(bytes(image)).copies[0].why


def test_version_3_in_both_copies_is_unsupported_and_refused():
    seen = look(with_binary(luks2_image(), version=3))
    assert seen.is_refused
    assert seen.findings[0].code == "unsupported-version"


def test_copies_in_each_others_place_are_noticed():
    image = luks2_image()
    seen = look(image[16384:32768] + image[:16384] + image[32768:])
    assert all("other copy" in c.why for c in seen.copies)


@pytest.mark.parametrize("start", HEADER_SIZES)
@pytest.mark.parametrize("size", HEADER_SIZES)
def test_the_header_of_a_partition_is_no_second_copy_of_the_disk(start, size):
    volume = luks2_image(header_size=size, data_offset=12 << 20)
    disk = bytes(start) + volume
    assert look(disk).format == "none"
    assert look(disk).header is None
    assert look(bytes(start + 4096) + volume[4096:]).format == "none"


def test_a_second_copy_says_where_another_volume_begins():
    seen = look(bytes(1 << 20) + luks2_image(header_size=1 << 20, data_offset=12 << 20))
    assert {c.state for c in seen.copies} == {"missing"}


def test_a_device_cut_within_the_keyslots_is_refused_but_read():
    seen = look(luks2_image()[:40000])
    assert seen.is_refused
    assert seen.header is not None
    assert [f.code for f in seen.findings] == ["device-too-small"]


def test_a_device_cut_within_a_copy():
    seen = look(luks2_image()[:6000])
    assert "ends after 6000" in seen.copies[0].why
    assert seen.copies[1].why == "the device ends before it"


def test_json_faults_make_a_copy_invalid_not_damaged():
    seen = look(with_json_area(luks2_image(), b"[".ljust(12288, b"\0"), (0,)))
    assert seen.copies[0].state == "invalid"
    assert seen.copies[1].state == "ok"


def test_unreadable_places_are_damage_like_any_other():
    class Failing(BytesReader):
        def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
            if offset_bytes < 16384:
                raise OSError(5, "Input/output error")
            return super().read_at(offset_bytes, length_bytes)

    seen = inspect(Failing(luks2_image()))
    assert [c.state for c in seen.copies] == ["unreadable", "ok"]


def test_an_unreadable_json_area():
    class Failing(BytesReader):
        def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
            if offset_bytes == 0 and length_bytes > 4096:
                raise OSError(5, "Input/output error")
            return super().read_at(offset_bytes, length_bytes)

    seen = inspect(Failing(luks2_image()))
    assert seen.copies[0].state == "unreadable"
    assert "in full" in seen.copies[0].why


@pytest.mark.parametrize("to", ["primary", "secondary"])
def test_a_copy_made_from_the_other_is_good_again(to):
    image = luks2_image()
    source = image[16384:32768] if to == "primary" else image[:16384]
    made = copy_from_other(source, to, bytes)
    whole = made + image[16384:] if to == "primary" else image[:16384] + made + image[32768:]
    assert look(whole).all_findings == ()


def test_a_volume_at_an_offset_is_read_relative_to_it():
    image = luks2_image()
    seen = inspect(BytesReader(bytes(512) + image), 512)
    assert seen.require_header().offset == 512
    assert seen.all_findings == ()
