"""What a record, a partition table or a fault in a parser could make a restore do: nothing beyond the header."""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path

import pytest
from cli.conftest import World
from generators.headers import UUID, luks2_image, with_binary, with_document

from luksafe.luks import compare, inspection
from luksafe.probe import recognise
from luksafe.vault.document import decode_document, encode_document
from luksafe.vault.image import pack

DATA = bytes(range(256)) * (4 << 12)
OTHER_UUID = UUID[:-1] + "c"


def backup_of(world: World, disk: Path) -> str:
    return str(world.run("backup", disk, "--json").json["backups"][0]["id"])


def codes(ran) -> list[str]:
    return [danger["code"] for danger in ran.json["plan"]["dangers"]]


def broken(*_: object, **__: object):
    raise RuntimeError("planted")


@pytest.mark.stops
def test_headers_that_cannot_be_compared_are_a_danger(world: World, monkeypatch) -> None:
    """The UUID, the key, the cipher might be another: what the comparison would have said is not known."""
    disk = world.image(data=luks2_image() + DATA)
    backup = backup_of(world, disk)
    disk.write_bytes(with_binary(luks2_image(), uuid=OTHER_UUID) + DATA)
    assert "other-uuid" in codes(world.run("restore", backup, disk, "--dry-run", "--json"))
    monkeypatch.setattr(compare, "_compare_tokens", broken)
    ran = world.run("restore", backup, disk, "--yes", "--json")
    assert (ran.status, "unread" in codes(ran)) == (14, True)
    assert world.run("restore", backup, disk, "--yes", "--allow-unread").status == 0


@pytest.mark.stops
def test_a_header_that_stops_the_parser_is_a_danger(world: World, monkeypatch) -> None:
    disk = world.image(data=luks2_image() + DATA)
    backup = backup_of(world, disk)
    in_reencryption = {"mandatory": ["online-reencrypt-v2"]}
    other = with_document(luks2_image(), lambda d: d["config"].update(requirements=in_reencryption))
    disk.write_bytes(with_binary(other, seqid=7) + DATA)
    whole = inspection._inspect_luks2

    def stops_at_that(reader, offset):
        return broken() if b"online-reencrypt" in reader.read_at(0, 16384) else whole(reader, offset)

    monkeypatch.setattr(inspection, "_inspect_luks2", stops_at_that)
    ran = world.run("restore", backup, disk, "--yes", "--json")
    assert (ran.status, "unread" in codes(ran)) == (14, True)


@pytest.mark.stops
def test_a_signature_that_stops_its_probe_is_a_danger(world: World, monkeypatch) -> None:
    disk = world.image(data=luks2_image() + DATA)
    backup = backup_of(world, disk)
    disk.write_bytes(bytes(4096) + luks2_image()[4096:] + DATA)
    assert codes(world.run("restore", backup, disk, "--dry-run", "--json")) == []
    monkeypatch.setattr(recognise, "PROBES", (broken, *recognise.PROBES))
    ran = world.run("restore", backup, disk, "--yes", "--json")
    assert (ran.status, codes(ran)) == (14, ["unread"])


def test_a_record_that_keeps_more_than_the_header_takes_no_data_along(world: World) -> None:
    """Its image goes on behind the header, over the data that are on the device now."""
    disk = world.image(data=luks2_image() + DATA)
    backup = backup_of(world, disk)
    image = luks2_image() + bytes(1 << 20)
    digest = hashlib.sha256(image).hexdigest()
    (record,) = world.vault.rglob(f"{backup}.json")
    members = decode_document(record.read_bytes())
    members.pop("sha256", None)
    forged = {"id": digest[:32], "image_sha256": digest, "image_size": len(image), "kept": [[0, len(image)]]}
    (record.parent / f"{digest[:32]}.json").write_bytes(encode_document(members | forged))
    (record.parent / f"{digest[:32]}.hdr.gz").write_bytes(pack(image))
    ran = world.run("restore", digest[:32], disk, "--yes", "--json")
    assert disk.read_bytes()[1 << 20 :] == DATA, ran
    assert ran.status == 0
    assert max(w["offset"] + w["length"] for p in ran.json["plan"]["phases"] for w in p["writes"]) <= 1 << 20


@pytest.mark.parametrize("lba", [2, 4096])
def test_entries_of_a_backup_gpt_are_taken_out_only_where_they_belong(world: World, lba: int) -> None:
    """Its checksums hold, and it says that its entries are where the header, or the data, are."""
    disk = world.image(data=luks2_image() + bytes(len(DATA)))
    backup = backup_of(world, disk)
    data = bytearray(luks2_image() + bytes(len(DATA)))
    data[:20480] = bytes(20480)
    data[-512:] = gpt_header(len(data) // 512, lba)
    data[4096 * 512 : 4096 * 512 + 2] = bytes(2)
    disk.write_bytes(data)
    done = world.run("restore", backup, disk, "--yes", "--json", "--remove-backup-gpt", "--over", "gpt")
    assert done.status == 0
    assert disk.read_bytes()[-512:] == bytes(512)
    written = [w for phase in done.json["plan"]["phases"] if phase["name"] == "backup GPT" for w in phase["writes"]]
    assert [(w["offset"], w["length"]) for w in written] == [(len(data) - 512, 512)]


def gpt_header(sectors: int, entries_lba: int) -> bytes:
    header = bytearray(512)
    header[:16] = b"EFI PART\0\0\1\0\x5c\0\0\0"
    for at, length, value in (
        (24, 8, sectors - 1),
        (32, 8, 1),
        (40, 8, 34),
        (48, 8, sectors - 34),
        (56, 8, 77),
        (72, 8, entries_lba),
        (80, 4, 128),
        (84, 4, 128),
        (88, 4, zlib.crc32(bytes(16384))),
    ):
        header[at : at + length] = value.to_bytes(length, "little")
    header[16:20] = zlib.crc32(bytes(header[:92])).to_bytes(4, "little")
    return bytes(header)
