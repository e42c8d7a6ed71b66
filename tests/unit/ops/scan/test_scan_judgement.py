"""What is made of finds: generations, fragments, guesses of partitions, commands that reach them."""

from __future__ import annotations

from dataclasses import replace

from generators.headers import UUID, luks1_image, luks2_image, with_binary, with_document

from luksafe.luks.found import FoundCopy, examine_mark
from luksafe.luks.model import Json
from luksafe.luks.search import Mark, MarkSearch
from luksafe.ops.scan.assemble import assemble
from luksafe.ops.scan.generations import judge_generations
from luksafe.ops.scan.model import FoundVolume, KnownHeader, LostPartition, Remains
from luksafe.ops.scan.partitions import guess_partitions
from luksafe.ops.scan.surroundings import Surroundings
from luksafe.ops.scan.table import reach_commands
from luksafe.reader import BytesReader

MIB = 1 << 20
OTHER = "11111111-2222-3333-4444-555555555555"


def copies(data: bytes) -> list[FoundCopy]:
    found = (examine_mark(BytesReader(data), mark) for mark in MarkSearch(bytearray(data)).marks(len(data)))
    return [copy for copy in found if copy]


def volumes(data: bytes) -> list[FoundVolume]:
    around = Surroundings(BytesReader(data))
    return [around.judge(volume) for volume in assemble("disk", copies(data))]


def other_digest(document: Json) -> None:
    document["digests"]["0"]["salt"] = "AAAA" + document["digests"]["0"]["salt"][4:]


def test_copies_of_two_formats_at_one_place_are_two_volumes() -> None:
    earlier = luks2_image(uuid=OTHER, header_size=0x10000)
    data = bytearray(luks2_image().ljust(2 * MIB, b"\0"))
    data[0x10000:0x20000] = earlier[0x10000:0x20000]
    found = assemble("disk", copies(bytes(data)))
    assert [(v.uuid, v.offset, v.only) for v in found] == [(UUID, 0, ""), (OTHER, 0, "secondary")]


def test_fragment_alone_is_told_by_its_digest() -> None:
    image = luks2_image()
    data = image + bytes(4096) + image[4096:8192] + bytes(MIB)
    fragment = judge_generations(volumes(data))[-1]
    assert (fragment.uuid, fragment.header, fragment.copies[0].state) == ("", None, "fragment")
    assert any(f"has the volume key of {UUID}" in why for why in fragment.why)


def test_same_uuid_with_another_key_is_said_and_not_decided() -> None:
    data = luks2_image() + bytes(MIB) + with_document(luks2_image(), other_digest) + bytes(MIB)
    found = judge_generations(volumes(data))
    assert [v.stale for v in found] == [False, False]
    assert all(any("another volume key" in why for why in v.why) for v in found)


def test_the_same_header_twice_without_data_is_not_decided() -> None:
    data = luks2_image() + bytes(MIB) + luks2_image() + bytes(MIB)
    found = judge_generations(volumes(data))
    assert [v.kind for v in found] == ["unknown", "unknown"]
    assert all("not decided" in " ".join(v.why) for v in found)


def test_luks1_has_no_order() -> None:
    data = luks1_image() + bytes(MIB) + luks1_image() + bytes(MIB)
    assert [v.stale for v in judge_generations(volumes(data))] == [False, False]


def test_older_state_at_a_newer_ones_place_is_kept_as_partition_when_it_alone_has_data() -> None:
    data = with_binary(luks2_image(), seqid=3) + bytes(4096) + bytes(range(256)) * 16
    older = replace(volumes(data.ljust(4 * MIB, b"\0"))[0], kind="volume")
    newer = replace(older, offset=3 * MIB, seqid=9, kind="backup")
    judged = judge_generations([older, newer])
    assert [v.stale for v in judged] == [True, False]
    around = Surroundings(BytesReader(bytes(4 * MIB)))
    assert [g.start for g in guess_partitions(judged, [], around, 4 * MIB)] == [0]


def test_fixed_segments_tell_the_length() -> None:
    def fixed(document: Json) -> None:
        document["segments"]["0"]["size"] = str(2 * MIB)

    data = with_document(luks2_image(), fixed) + bytes(5 * MIB)
    (guess,) = guess_partitions(volumes(data), [], Surroundings(BytesReader(data)), len(data))
    assert (guess.length, guess.length_why) == (3 * MIB, "as the header says")


def test_header_without_its_key_material_is_no_sure_guess() -> None:
    data = bytearray(luks2_image() + bytes(2 * MIB))
    data[32768:300000] = bytes(300000 - 32768)
    (found,) = volumes(bytes(data))
    assert found.keyslots == ((0, "destroyed"),)
    assert not found.is_usable
    (guess,) = guess_partitions([found], [], Surroundings(BytesReader(bytes(data))), len(data))
    assert not guess.sure


def test_remains_bound_the_volume_before_them() -> None:
    data = luks2_image() + bytes(7 * MIB)
    found = volumes(data)
    header = found[0].header
    assert header is not None
    known = KnownHeader("backup 12", header, BytesReader(data))
    remains = Remains("disk", 5 * MIB, known, 2, 16)
    first, second = guess_partitions(found, [remains], Surroundings(BytesReader(data)), len(data))
    assert (first.start, first.length) == (0, 5 * MIB)
    assert (second.start, second.length, second.sure) == (5 * MIB, 3 * MIB, False)


def test_detached_header_and_header_at_the_end_are_backups() -> None:
    assert volumes(luks2_image())[0].kind == "backup"

    def detached(document: Json) -> None:
        document["segments"]["0"]["offset"] = "0"

    assert volumes(with_document(luks2_image(), detached) + bytes(MIB))[0].kind == "backup"
    followed = luks2_image() + b"text that follows, and is no cipher text " * 60000
    assert volumes(followed.ljust(-(-len(followed) // 512) * 512, b"\0"))[0].kind == "backup"


def test_commands_for_devices_and_files() -> None:
    lost = LostPartition("/dev/sd x", MIB, 3 * MIB, UUID, True, False, "a", "b")
    listed = replace(lost, listed=True)
    lines = list(reach_commands([lost, listed, replace(lost, start=8 * MIB)], is_block_device=True))
    assert "dmsetup create --readonly luksafe-lost1 --table '0 6144 linear /dev/sd x 2048'" in lines
    assert "# start=16384, size=6144, type=CA7D7CCB-63ED-4C53-861C-1742536059CC" in lines
    assert sum("dmsetup" in line for line in lines) == 2
    assert list(reach_commands([listed], is_block_device=False)) == []


def test_marks_that_are_no_copies() -> None:
    assert examine_mark(BytesReader(bytes(4096)), Mark(0, "gzip")) is None
