"""``luksafe diagnose`` as a user types it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from generators.headers import PASSPHRASE, UUID, VOLUME_KEY, luks1_image, luks2_image

if TYPE_CHECKING:
    from conftest import World


def damaged(world: World, offset: int, data: bytes, name: str = "disk.img") -> Path:
    path = world.image(name)
    with path.open("r+b") as out:
        out.seek(offset)
        out.write(data)
    return path


def test_healthy(world: World) -> None:
    ran = world.run("diagnose", world.image(), "--json")
    assert (ran.status, ran.json["verdict"]) == (0, "healthy")
    assert ran.json["keyslots"] == [
        {"slot": 0, "state": "intact", "sure": "likely", "why": ran.json["keyslots"][0]["why"]}
    ]
    assert ran.json["overwritten_by"] == []
    assert ran.json["next"][0].startswith("luksafe backup ")


def test_contract_members(world: World) -> None:
    path = damaged(world, 0, bytes(4096))
    ran = world.run("diagnose", path, "--json")
    assert (ran.status, ran.json["verdict"], ran.json["overwritten_by"]) == (10, "repairable", ["zeros"])
    assert ran.json["next"] == [f"luksafe repair {path}"]
    for finding in ran.json["findings"]:
        assert set(finding) == {"code", "severity", "where", "text", "offset", "length", "evidence"}
    assert any(f["code"] == "damaged-range" and f["offset"] == 0 for f in ran.json["findings"])


def test_without_vault_or_device_nothing_is_written(world: World) -> None:
    path = damaged(world, 0, bytes(6))
    before = hashlib.sha256(path.read_bytes()).digest(), path.stat().st_mtime_ns
    names = sorted(p.name for p in world.folder.iterdir())
    world.run("diagnose", path, "--map", "-v")
    assert (hashlib.sha256(path.read_bytes()).digest(), path.stat().st_mtime_ns) == before
    assert sorted(p.name for p in world.folder.iterdir()) == names


def test_key_accepted_rejected_and_mended(world: World) -> None:
    path = world.image()
    ran = world.run("diagnose", path, "--key-file", world.key_file, "--json")
    assert ran.json["keyslots"][0]["sure"] == "certain"
    world.key_file.write_bytes(PASSPHRASE.swapcase())
    ran = world.run("diagnose", path, "--key-file", world.key_file, "--json")
    assert (ran.status, ran.json["verdict"]) == (10, "needs-key")
    assert "most likely wrong" in next(f["text"] for f in ran.json["findings"] if f["code"] == "key-rejected")
    ran = world.run("diagnose", path, "--key-file", world.key_file, "--try-variants")
    assert ran.status == 0
    assert "caps lock" in ran.out
    assert "variants of the passphrase" in ran.err
    assert PASSPHRASE.decode() not in ran.out + ran.err


def test_wrong_passphrase_is_certain_with_a_proven_backup(world: World) -> None:
    path = world.image()
    assert world.run("backup", path).status in (0, 3)
    assert world.run("prove", UUID, "--key-file", world.key_file).status == 0
    world.key_file.write_bytes(b"wrong")
    ran = world.run("diagnose", path, "--key-file", world.key_file)
    assert "(certain)" in ran.out
    assert world.run("diagnose", path, "--json").json["keyslots"][0]["sure"] == "certain"


def test_a_backup_that_was_never_seen_to_open_makes_nothing_certain(world: World) -> None:
    """It may have been made after the damage."""
    path = damaged(world, 40_000, b"\x5a\xa5\x5a")
    assert world.run("backup", path).status in (0, 3)
    ran = world.run("diagnose", path, "--key-file", world.key_file)
    assert "most likely wrong" in ran.out
    assert "(certain)" not in ran.out
    (slot,) = world.run("diagnose", path, "--json").json["keyslots"]
    assert (slot["state"], slot["sure"]) == ("intact", "likely")
    assert "never seen to open" in slot["why"]


def test_zeros_in_a_keyslot_are_damage_though_a_backup_has_them_too(world: World) -> None:
    path = damaged(world, 40_960, bytes(512))
    assert world.run("backup", path, "--allow-damaged-keyslot").status in (0, 3)
    ran = world.run("diagnose", path, "--json")
    (slot,) = ran.json["keyslots"]
    assert (ran.json["verdict"], slot["state"], slot["sure"]) == ("needs-backup", "destroyed", "certain")


def test_of_two_unproven_backups_the_one_that_differs_is_heard(world: World) -> None:
    path = world.image()
    assert world.run("backup", path).status in (0, 3)
    damaged(world, 40_000, b"\x5a\xa5\x5a")
    assert world.run("backup", path, "--allow-damaged-keyslot").status in (0, 3)
    (slot,) = world.run("diagnose", path, "--json").json["keyslots"]
    assert (slot["state"], slot["sure"]) == ("destroyed", "likely")


def test_damaged_keyslot_is_told_from_a_wrong_passphrase(world: World) -> None:
    path = damaged(world, 32768 + 8192, bytes(512))
    ran = world.run("diagnose", path, "--key-file", world.key_file, "--json")
    assert ran.json["verdict"] == "needs-backup"
    assert [k["state"] for k in ran.json["keyslots"]] == ["destroyed"]
    assert "may well be the right one" in next(f["text"] for f in ran.json["findings"] if f["code"] == "key-rejected")


def test_a_few_changed_bytes_show_with_a_backup(world: World) -> None:
    path = world.image()
    world.run("backup", path)
    damaged_path = path
    data = bytearray(path.read_bytes())
    data[40_000] ^= 4
    damaged_path.write_bytes(data)
    ran = world.run("diagnose", path, "--json")
    assert ran.json["verdict"] == "needs-backup"
    (found,) = [f for f in ran.json["findings"] if f["code"] == "damaged-range"]
    assert (found["offset"], found["length"]) == (40_000, 1)
    assert any(line.startswith("luksafe restore ") for line in ran.json["next"])


def test_header_gone_but_known_by_its_key_material(world: World) -> None:
    path = world.image()
    world.run("backup", path)
    moved = world.image("moved.img", bytes(32768) + path.read_bytes()[32768:])
    ran = world.run("diagnose", moved, "--json")
    assert (ran.json["verdict"], ran.json["overwritten_by"]) == ("needs-backup", ["zeros"])
    assert [k["state"] for k in ran.json["keyslots"]] == ["intact"]


def test_volume_key(world: World) -> None:
    key = world.folder / "vk"
    key.write_bytes(VOLUME_KEY)
    ran = world.run("diagnose", world.image(), "--volume-key-file", key, "--json")
    assert any(f["code"] == "key-accepted" for f in ran.json["findings"])
    key.write_bytes(bytes(64))
    ran = world.run("diagnose", world.image("other.img"), "--volume-key-file", key, "--json")
    assert ran.json["verdict"] == "needs-key"


def test_detached_header_and_data(world: World) -> None:
    header = world.image("header.img", luks2_image())
    data = world.image("data.img", bytes(1 << 20))
    assert world.run("diagnose", header, "--data", data).status == 0
    assert world.run("diagnose", data, "--header", header).status == 0


def test_not_luks_and_usage(world: World) -> None:
    ran = world.run("diagnose", world.image("zeros", bytes(1 << 20)), "--json")
    assert (ran.status, ran.json["verdict"], ran.json["keyslots"]) == (10, "not-luks", [])
    shifted = world.image("shifted", bytes(1 << 20) + luks2_image())
    ran = world.run("diagnose", shifted, "--json")
    assert ran.json["verdict"] == "not-luks"
    assert f"--offset {1 << 20} " in ran.json["next"][0]
    assert world.run("diagnose", world.folder / "missing").status == 15
    assert world.run("diagnose", shifted, "--packet", "p").status == 2


def test_unsupported(world: World) -> None:
    data = bytearray(luks1_image())
    data[6:8] = b"\0\7"
    data[8:200] = bytes(192)
    assert world.run("diagnose", world.image("v7", bytes(data)), "--json").status in (10, 13)


def test_map_fits_and_needs_no_colour(world: World) -> None:
    path = damaged(world, 4096, bytes(8192))
    ran = world.run("diagnose", path, "--map")
    lines = ran.out[ran.out.index("  device,") :].splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert "\x1b" not in ran.out
    assert any("X" in line for line in lines)


def test_reports_are_whole_safe_and_never_overwrite(world: World) -> None:
    path = damaged(world, 0, b"<script>alert(1)</script>", "x<b>&'.img")
    html, svg = world.folder / "report.html", world.folder / "map.svg"
    world.run("diagnose", path, "--html", html, "--svg", svg)
    page = html.read_text()
    assert html.stat().st_mode & 0o777 == 0o600
    assert "<script" not in page
    assert "x<b>" not in page
    outside = re.findall(r"(?:src|href)\s*=|url\((?!#)|@import|https?://(?!www\.w3\.org/2000/svg)", page)
    assert outside == []
    assert "<title>" in svg.read_text()
    assert world.run("diagnose", path, "--html", html).status == 14


@pytest.mark.parametrize("make", [luks1_image, luks2_image])
def test_report_holds_no_salt_and_no_key_material(world: World, make: object) -> None:
    import base64

    from luksafe.luks.inspection import inspect
    from luksafe.reader import BytesReader

    data = make()  # type: ignore[operator]
    header = inspect(BytesReader(data)).require_header()
    html = world.folder / "report.html"
    ran = world.run("diagnose", world.image("i", data + bytes(1 << 20)), "--html", html, "--json")
    kdf = header.keyslots[0].kdf
    assert kdf is not None
    hidden = [kdf.salt, header.digests[0].digest, header.digests[0].salt]
    for text in (html.read_text(), ran.out):
        for secret in hidden:
            assert secret.hex() not in text
            assert base64.b64encode(secret).decode() not in text


def test_a_search_that_ran_out_of_time_is_no_verdict_that_nothing_helps(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both copies damaged in the same places: all combinations are tried, and here there is no time for any."""
    image = bytearray(luks2_image())
    for at in range(4096, 4096 + 11 * 70, 70):
        image[at : at + 3] = b"\1\2\3"
        image[16384 + at : 16384 + at + 3] = b"\4\5\6"
    path = world.image(data=bytes(image) + bytes(range(256)) * 4096)
    monkeypatch.setattr("luksafe.ops.diagnosis.facts.REPAIR_SECONDS", 0.0)
    ran = world.run("diagnose", path, "--json")
    assert ran.json["verdict"] == "needs-backup"
    assert "repair searches longer" in ran.json["summary"]
    assert f"luksafe repair {path} --dry-run" in ran.json["next"]


def test_no_backup_makes_a_device_longer_that_ends_before_its_data(world: World) -> None:
    path = world.image(data=luks2_image())
    assert world.run("backup", path).status in (0, 3)
    with path.open("r+b") as out:
        out.truncate(path.stat().st_size // 2)
    ran = world.run("diagnose", path, "--json")
    assert ran.json["verdict"] == "needs-backup"
    assert "find the rest" in ran.json["summary"]
    assert ran.json["next"] == ["lsblk", f"luksafe show {path}"]
