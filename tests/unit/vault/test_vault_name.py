from __future__ import annotations

import pytest

from luksafe.vault.name import (
    Kind,
    Name,
    base_id,
    image_id,
    is_id,
    is_leftover,
    is_uuid,
    is_volume,
    parse_name,
    stray_id,
    volume_folder,
)

UUID = "6c1f8a52-3a0e-4f43-9c56-0b9f5f1f2a11"
ID = "0123456789abcdef0123456789abcdef"
TAG = "00112233aabbccdd"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (f"{UUID}/{ID}.hdr.gz", Name(UUID, ID, Kind.IMAGE)),
        (f"{UUID}/{ID}.json", Name(UUID, ID, Kind.RECORD)),
        (f"no-uuid/{ID}.json", Name("no-uuid", ID, Kind.RECORD)),
        (f"{UUID}/{ID}.forgotten.json", Name(UUID, ID, Kind.TOMBSTONE)),
        (f"{UUID}/{ID}.proof-{TAG}.json", Name(UUID, ID, Kind.PROOF, TAG)),
        (f"{UUID}/{ID}.seen-{TAG}.json", Name(UUID, ID, Kind.SIGHTING, TAG)),
        (f"{UUID}/{ID}-2.hdr.gz", Name(UUID, f"{ID}-2", Kind.IMAGE)),
        (f"{UUID}/{ID}-999.json", Name(UUID, f"{ID}-999", Kind.RECORD)),
    ],
)
def test_a_name_reads_and_spells_the_same(text: str, name: Name) -> None:
    assert parse_name(text) == name
    assert str(name) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        ID,
        f"{ID}.json",
        f"/{UUID}/{ID}.json",
        f"../{ID}.json",
        f"{UUID}/../{ID}.json",
        f"{UUID}/{ID}.json/",
        f"{UUID}/{ID}.json\n",
        f"{UUID}/{ID}.hdr",
        f"{UUID}/{ID[:-1]}.json",
        f"{UUID}/{ID.upper()}.json",
        f"{UUID.upper()}/{ID}.json",
        f"{UUID}/{ID}-0.json",
        f"{UUID}/{ID}-1.json",
        f"{UUID}/{ID}-1000.json",
        f"{UUID}/{ID}-02.json",
        f"{UUID}/{ID}.proof-1.json",
        f"{UUID}/{ID}.proof-{TAG}.forgotten.json",
        f"{UUID}/.new-0123456789abcdef-{ID}.json",
        f"{UUID}/{ID}.json.damaged-{TAG}",
        f"undo/{ID}.json",
        f"{UUID}/{ID}\u0660.json",
    ],
)
def test_anything_else_is_no_name(text: str) -> None:
    assert parse_name(text) is None


@pytest.mark.parametrize(
    ("text", "owner"),
    [
        (f"{UUID}/.new-0123456789abcdef-{ID}.hdr.gz", ID),
        (f"{UUID}/{ID}-2.hdr.gz.damaged-{TAG}", f"{ID}-2"),
        (f"{UUID}/{ID}.packet-1.age", ID),
        (f"{UUID}/{ID}.hdr.gz", ""),
        (f"{UUID}/notes.txt", ""),
        (f"{UUID}/{ID}", ""),
    ],
)
def test_strays_belong_to_a_backup(text: str, owner: str) -> None:
    assert stray_id(text) == owner


def test_ids_are_the_beginning_of_the_sum_and_a_generation() -> None:
    sha256 = ID + "f" * 32
    assert image_id(sha256) == ID
    assert image_id(sha256, 2) == f"{ID}-2"
    assert base_id(image_id(sha256, 17)) == ID
    assert is_id(f"{ID}-17")
    assert not is_id(ID[:31])


def test_volumes_without_a_usual_uuid_share_a_folder() -> None:
    assert volume_folder(UUID.upper()) == UUID
    assert volume_folder("") == volume_folder("../../etc") == "no-uuid"
    assert is_volume("no-uuid")
    assert is_volume(UUID)
    assert not is_volume("undo")
    assert is_uuid(UUID.upper())
    assert not is_uuid(UUID + "\n")


def test_events_are_named_by_their_file() -> None:
    assert Name(UUID, ID, Kind.RECORD).event == ID
    assert Name(UUID, ID, Kind.SIGHTING, TAG).event == f"{ID}.seen-{TAG}"


def test_leftovers_are_told_by_their_beginning() -> None:
    assert is_leftover(f".new-0123456789abcdef-{ID}.json")
    assert not is_leftover(f"{ID}.json")
