"""The JSON inside a packet: written, read, and refused where it is wrong."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import escrow_samples as samples
import pytest

from luksafe.errors import DamagedInput, Unsupported, UsageError
from luksafe.escrow.contents import Contents, Secret, clean, format_time, packet_id, parse_time
from luksafe.escrow.json_members import Members, parse_object
from luksafe.escrow.parameters import VolumeParameters
from luksafe.luks.model import Config, Digest, Header, Segment
from luksafe.secret import SecretBytes


def document() -> dict:
    return json.loads(json.dumps(samples.contents().to_json()))


def test_round_trip() -> None:
    assert Contents.from_json(document()) == samples.contents()
    assert samples.contents().kinds == ["passphrase", "volume-key"]


def test_a_person_can_read_it() -> None:
    secrets = document()["secrets"]
    assert secrets[0] == {"kind": "volume-key", "hex": samples.KEY.hex(), "digest": 0}
    assert secrets[1]["text"] == samples.PASSPHRASE
    assert bytes.fromhex(secrets[1]["hex"]).decode() == samples.PASSPHRASE


@pytest.mark.parametrize("value", [b"\xff", b"a\nb", b"\x00"])
def test_unprintable_passphrases_are_hex_only(value: bytes) -> None:
    assert Secret("passphrase", SecretBytes(value)).to_json() == {"kind": "passphrase", "hex": value.hex()}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("id",), "0123"),
        (("id",), 7),
        (("luksafe_packet",), True),
        (("secrets",), []),
        (("secrets",), {}),
        (("secrets",), [7]),
        (("secrets", 0, "kind"), "pin"),
        (("secrets", 0, "hex"), "zz"),
        (("secrets", 0, "digest"), -1),
        (("secrets", 1, "text"), "other words"),
        (("secrets", 1, "keyslot"), "1"),
        (("device",), {"a": []}),
        (("device",), 1),
        (("made", "when"), "yesterday"),
        (("made",), {}),
        (("canary", "iv_number"), 3),
        (("canary", "ciphertext_sha256"), "x"),
        (("canary",), "yes"),
        (("volume",), None),
        (("volume", "format"), "plain"),
        (("volume", "key_bits"), 10**30),
        (("volume", "segments", "0", "offset"), "many"),
        (("volume", "segments", "0", "offset"), "-5"),
        (("volume", "segments", "0"), []),
        (("volume", "segments", "x"), {}),
        (("volume", "segments", "0", "flags"), 7),
        (("volume", "digests", "0", "segments"), 1),
        (("header_gz",), "?"),
    ],
    ids=str,
)
def test_wrong_members_are_named(path: tuple, value: object) -> None:
    wrong = document()
    at = wrong
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = value
    with pytest.raises(DamagedInput):
        Contents.from_json(wrong)


@pytest.mark.parametrize("name", ["id", "secrets", "volume", "made", "luksafe_packet"])
def test_missing_members_are_named(name: str) -> None:
    wrong = document()
    del wrong[name]
    with pytest.raises(DamagedInput):
        Contents.from_json(wrong)


def test_a_packet_of_the_future_is_unsupported() -> None:
    with pytest.raises(Unsupported, match="format 2"):
        Contents.from_json(document() | {"luksafe_packet": 2})


def test_names_that_are_no_utf8_can_be_written() -> None:
    contents = samples.contents(host="caf\udce9", device={"path": "/dev/\udcff"})
    assert contents.to_json()["host"] == "caf?"
    assert clean([{"\udcff": "\udcff"}]) == [{"?": "?"}]


def test_times() -> None:
    east = timezone(timedelta(hours=2))
    assert format_time(datetime(2026, 11, 2, 12, 0, 0, 999, tzinfo=east)) == "2026-11-02T10:00:00Z"
    assert parse_time("2026-11-02T10:00:00Z") == samples.WHEN
    with pytest.raises(UsageError):
        format_time(datetime(2026, 11, 2))


def test_packet_ids() -> None:
    assert packet_id("0123456789abcdef") == "0123456789abcdef"
    for wrong in ("", "0123456789ABCDEF", "0123456789abcdef0"):
        with pytest.raises(DamagedInput):
            packet_id(wrong)


def test_members() -> None:
    members = Members({"a": "x", "f": True, "n": 3}, "thing")
    assert members.flag("f", False) is True
    assert members.flag("g", False) is False
    for call in (lambda: members.flag("a", True), lambda: members.base64("a"), lambda: members.integer("n", most=2)):
        with pytest.raises(DamagedInput, match="thing: member"):
            call()
    with pytest.raises(DamagedInput, match="is missing"):
        members.text("absent")


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b"\xff", b"[" * 100_000, b'{"a":1e999}' * 2])
def test_parse_object_is_total(data: bytes) -> None:
    with pytest.raises(DamagedInput):
        parse_object(data, "test")


def test_parameters_of_a_header() -> None:
    volume = samples.volume()
    header = Header(
        format="luks2",
        uuid=samples.UUID,
        label="root",
        subsystem="",
        seqid=3,
        header_size=16384,
        checksum_algorithm="sha256",
        keyslots={},
        segments={0: Segment(0, "crypt", 16777216, None, 0, "aes-xts-plain64")},
        digests={0: Digest(0, "pbkdf2", (0, 1), (0,), "sha256", 216647, bytes(32), bytes(range(32)))},
        tokens={},
        config=Config(12288, 16744448),
        document={"segments": volume.segments, "digests": volume.digests, "config": volume.config, "keyslots": {}},
    )
    assert VolumeParameters.from_header(header, 64) == volume


def test_notes_of_reencryption_are_no_data() -> None:
    volume = samples.volume()
    segments = {"0": volume.segments["0"] | {"flags": ["backup-previous"]}, "1": volume.segments["0"]}
    segments["2"] = {"type": "linear", "offset": "0", "size": "512"}
    found = VolumeParameters("luks2", "", "", "", 0, 512, segments, volume.digests)
    assert found.segment is segments["1"]
    assert found.digest_id == ""
    assert found.hash == ""
    assert VolumeParameters("luks2", "", "", "", 0, 512).cipher == ""
    segments["3"] = volume.segments["0"] | {"flags": ["backup-final"]}
    assert found.segment is segments["3"]  # what will remain has the volume key
