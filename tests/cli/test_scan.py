"""``luksafe scan`` as a user types it."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from conftest import write_sparse
from generators.headers import UUID, VOLUME_KEY, luks1_image, luks2_image, with_binary

from luksafe.crypto.sectors import sector_cipher
from luksafe.errors import LuksafeError
from luksafe.ops.scan import scan as folder_scan
from luksafe.ops.scan import search_one, sweep
from luksafe.secret import SecretBytes

from .conftest import UNPRIVILEGED, World

MIB = 1 << 20
OTHER = "11111111-2222-3333-4444-555555555555"


def ciphertext(plain: bytes) -> bytes:
    """Data as the volume of ``generators.headers`` holds them."""
    with SecretBytes(VOLUME_KEY) as key:
        return bytes(sector_cipher("aes-xts-plain64", key, sector_size=512).encrypt(plain, 0))


def noise(size: int, seed: int = 5) -> bytes:
    return random.Random(seed).randbytes(size)


def disk(parts: dict[int, bytes], size: int) -> bytes:
    out = bytearray(size)
    for at, data in parts.items():
        out[at : at + len(data)] = data
    return bytes(out)


def test_lost_table_with_two_volumes(world: World) -> None:
    image = world.image(
        data=disk({MIB: luks2_image() + noise(2 * MIB), 5 * MIB: luks1_image(uuid=OTHER) + noise(MIB)}, 9 * MIB)
    )
    before = hashlib.sha256(image.read_bytes()).hexdigest()
    ran = world.run("scan", image, "--json")
    assert ran.status == 0
    assert [(h["offset"], h["uuid"], h["stale"]) for h in ran.json["headers"]] == [
        (MIB, UUID, False),
        (5 * MIB, OTHER, False),
    ]
    guesses = [(p["start"], p["length"], p["uuid"], p["sure"]) for p in ran.json["partitions"]]
    assert guesses == [(MIB, 4 * MIB, UUID, True), (5 * MIB, 4 * MIB, OTHER, True)]
    assert hashlib.sha256(image.read_bytes()).hexdigest() == before


def test_text_and_table_lines(world: World) -> None:
    image = world.image("a disk.img", disk({MIB: luks2_image() + noise(2 * MIB)}, 5 * MIB))
    shown = world.run("scan", image)
    assert UUID in shown.out
    assert "--table" in shown.out
    assert max(len(line) for line in shown.out.splitlines()[:-1]) < 100
    lines = world.run("scan", image, "--table").out.splitlines()
    assert f"losetup --find --show --read-only --offset {MIB} --sizelimit {4 * MIB} '{image}'" in lines
    assert any(line.startswith("# start=2048, size=8192") for line in lines)


def test_a_volume_at_byte_0_needs_no_partition_table(world: World) -> None:
    image = world.image("whole disk.img", luks2_image() + noise(2 * MIB))
    shown = world.run("scan", image).out
    assert "the whole device" in shown
    assert "partition" not in shown
    assert shown.splitlines()[-1] == f"next: luksafe diagnose '{image}'"
    table = world.run("scan", image, "--table").out
    assert f"luksafe diagnose '{image}'" in table.splitlines()
    assert "needs no partition table" in table
    assert "start=" not in table
    assert "losetup" not in table


def test_no_partition_table_is_proposed_over_a_volume(world: World) -> None:
    image = world.image(
        data=disk({0: luks2_image() + noise(MIB), 5 * MIB: luks1_image(uuid=OTHER) + noise(MIB)}, 9 * MIB)
    )
    table = world.run("scan", image, "--table").out
    assert f"--offset {5 * MIB} " in table
    assert "start=" not in table
    assert "a partition table would overwrite the volume" in table


def test_a_second_round_is_not_searched_twice(world: World) -> None:
    image = world.image(data=luks2_image() + bytes(MIB))  # only zeros: perhaps a copy, so its volume is looked for
    assert world.run("scan", image, "--json").json["bytes_read"] == image.stat().st_size


def test_a_file_without_permission_is_no_wrong_command_line(world: World) -> None:
    image = world.image()
    image.chmod(0)
    ran, other = (world.process(verb, image, prefix=UNPRIVILEGED) for verb in ("scan", "show"))
    assert (ran.status, ran.err) == (other.status, other.err)
    assert ran.status == 1
    assert f"no permission to read {image}" in ran.err


def test_nothing_found_is_a_negative_verdict(world: World) -> None:
    ran = world.run("scan", world.image(data=noise(2 * MIB)), "--json")
    assert ran.status == 10
    assert ran.json["headers"] == ran.json["partitions"] == []
    assert world.run("scan", world.folder / "nowhere").status == 15


def test_key_tests_the_guess(world: World) -> None:
    text = b"all that is written here makes sense. " * 30000
    plain = text[: MIB // 512 * 512]
    image = world.image(data=disk({MIB: luks2_image() + ciphertext(plain)}, 4 * MIB))
    (good,) = world.run("scan", image, "--json", "--key-file", world.key_file).json["partitions"]
    assert (good["opened"], good["sure"]) == (True, True)
    wrong = world.folder / "wrong"
    wrong.write_text("no such passphrase")
    (bad,) = world.run("scan", image, "--json", "--key-file", wrong).json["partitions"]
    assert bad["opened"] is False
    volume_key = world.folder / "vk"
    volume_key.write_bytes(VOLUME_KEY)
    (known,) = world.run("scan", image, "--json", "--volume-key-file", volume_key).json["partitions"]
    assert known["opened"] is True
    volume_key.write_bytes(VOLUME_KEY[::-1])
    assert world.run("scan", image, "--json", "--volume-key-file", volume_key).json["partitions"][0]["opened"] is False
    moved = world.image(data=disk({MIB: luks2_image(), 2 * MIB + 512: ciphertext(plain)}, 4 * MIB))
    (shifted,) = world.run("scan", moved, "--json", "--key-file", world.key_file).json["partitions"]
    assert (shifted["opened"], shifted["sure"]) == (True, False)


def test_older_state_in_free_space_is_stale(world: World) -> None:
    newer = with_binary(luks2_image(), seqid=9)
    image = world.image(data=disk({MIB: newer + noise(2 * MIB), 6 * MIB: luks2_image()}, 8 * MIB))
    found = world.run("scan", image, "--json").json
    assert [(h["offset"], h["stale"], h["kind"]) for h in found["headers"]] == [
        (MIB, False, "volume"),
        (6 * MIB, True, "backup"),
    ]
    assert "sequence id" in found["headers"][1]["why"]
    assert [p["start"] for p in found["partitions"]] == [MIB]


def test_vault_finds_the_volume_whose_header_is_gone(world: World) -> None:
    whole = world.image("whole.img", luks2_image() + noise(MIB))
    assert world.run("backup", whole).status in (0, 3)
    wiped = bytearray(whole.read_bytes())
    wiped[: 40 << 10] = bytes(40 << 10)  # both header copies and the beginning of the keyslot
    image = world.image("wiped.img", disk({3 * MIB: bytes(wiped)}, 7 * MIB))
    found = world.run("scan", image, "--json")
    assert found.status == 0
    assert found.json["headers"] == []
    (guess,) = found.json["partitions"]
    assert (guess["start"], guess["length"], guess["uuid"], guess["sure"]) == (3 * MIB, 4 * MIB, UUID, True)
    assert "backup" in guess["why"]
    opened = world.run("scan", image, "--json", "--key-file", world.key_file).json["partitions"][0]
    assert opened["opened"] is True


def test_vault_tells_generations(world: World) -> None:
    world.run("backup", world.image("now.img", with_binary(luks2_image(), seqid=12) + noise(MIB)))
    image = world.image("old.img", luks2_image() + noise(MIB))
    (header,) = world.run("scan", image, "--json").json["headers"]
    assert header["stale"]
    assert "the vault has a later state" in header["why"]
    (same,) = world.run("scan", world.folder / "now.img", "--json").json["headers"]
    assert len(same["backups"]) == 1


def test_folder_with_backups_of_all_kinds(world: World) -> None:
    folder = world.folder / "files"
    (folder / "deep/er").mkdir(parents=True)
    (folder / "raw.img").write_bytes(luks2_image())
    (folder / "deep/er/mine.hdr.gz").write_bytes(gzip.compress(luks1_image(uuid=OTHER)))
    (folder / "text.txt.gz").write_bytes(gzip.compress(b"no header" * 1000))
    (folder / "notes.txt").write_text("LUKS" * 1000)
    (folder / "outside").symlink_to(world.image("outside.img"))
    os.mkfifo(folder / "pipe")
    ran = world.run("scan", folder, "--json")
    assert ran.status == 0
    found = {Path(h["file"]).name: (h["uuid"], h["kind"], h["packed"]) for h in ran.json["headers"]}
    assert found == {"raw.img": (UUID, "backup", False), "mine.hdr.gz": (OTHER, "backup", True)}
    assert world.run("scan", folder).status == 0
    assert world.run("scan", folder, "--resume", "state").status == 2


def test_packed_backup_in_free_space_and_bomb(world: World) -> None:
    bomb = gzip.compress(luks2_image() + bytes(200 * MIB), 9)
    image = world.image(data=disk({MIB: gzip.compress(luks2_image()), 3 * MIB: bomb}, 5 * MIB))
    headers = world.run("scan", image, "--json").json["headers"]
    assert [(h["offset"], h["uuid"], h["packed"], h["usable"]) for h in headers] == [
        (MIB, UUID, True, True),
        (3 * MIB, UUID, True, True),
    ]


def test_cut_gzip_member_is_survived(world: World) -> None:
    packed = gzip.compress(luks2_image())
    image = world.image(data=disk({0: packed[: len(packed) // 2]}, MIB))
    (header,) = world.run("scan", image, "--json").json["headers"]
    assert header["uuid"] == UUID


def test_resume_after_an_interruption(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    image = world.image(data=disk({MIB: luks2_image() + noise(MIB), 20 * MIB: luks1_image(uuid=OTHER)}, 24 * MIB))
    whole = world.run("scan", image, "--json").json
    state = world.folder / "state.json"
    real, calls = os.preadv, 0

    def interrupted(fd: int, buffers: Sequence[memoryview], offset: int) -> int:
        nonlocal calls
        calls += 1
        if calls > 10:
            raise KeyboardInterrupt
        return real(fd, buffers, offset)

    monkeypatch.setattr(os, "preadv", interrupted)
    assert world.run("scan", image, "--resume", state).status == 130
    monkeypatch.undo()
    saved = json.loads(state.read_text())
    assert saved["done_bytes"] == 10 * sweep.PIECE_BYTES
    resumed = world.run("scan", image, "--resume", state, "--json").json
    assert resumed["headers"] == whole["headers"]
    assert resumed["partitions"] == whole["partitions"]
    assert world.run("scan", image, "--resume", state, "--json").json["headers"] == whole["headers"]
    assert world.run("scan", world.image("other.img"), "--resume", state).status == 2


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[1]", '{"format": 2}', "[" * 100000, '{"format":1,"target":"x","size_bytes":1,"done_bytes":2}'],
)
def test_state_of_something_else(world: World, text: str) -> None:
    state = world.folder / "state"
    state.write_text(text)
    assert world.run("scan", world.image(), "--resume", state).status == 12
    assert state.read_text() == text


def test_state_that_cannot_be_written(world: World) -> None:
    assert world.run("scan", world.image(), "--resume", world.folder / "no" / "folder").status == 1
    assert world.run("scan", world.image(), "--resume", world.folder).status == 1


def test_bad_sectors_are_passed_over_and_listed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    image = world.image(data=disk({MIB: luks2_image() + noise(2 * MIB)}, 5 * MIB))
    bad = range(2 * MIB + 8192, 2 * MIB + 16384)
    real = os.preadv

    def failing(fd: int, buffers: Sequence[memoryview], offset: int) -> int:
        if any(max(offset, bad.start) < min(offset + len(b), bad.stop) for b in buffers):
            raise OSError(5, "Input/output error")
        return real(fd, buffers, offset)

    monkeypatch.setattr(os, "preadv", failing)
    ran = world.run("scan", image, "--json")
    assert ran.status == 3
    assert ran.json["unreadable"] == [{"file": str(image), "offset": bad.start, "length": 8192}]
    assert [h["offset"] for h in ran.json["headers"]] == [MIB]
    assert "could not be read" in ran.err


def test_partition_table_says_which_is_alive(world: World) -> None:
    if shutil.which("sfdisk") is None:
        pytest.skip("needs sfdisk")
    image = world.folder / "disk.img"
    write_sparse(
        image, disk({0: luks2_image(uuid=OTHER, header_size=0x10000), 4 * MIB: luks2_image() + noise(MIB)}, 16 * MIB)
    )
    lines = "label: gpt\nstart=8192, size=8192\n"
    subprocess.run(["sfdisk", "-q", image], input=lines, text=True, check=True, capture_output=True)
    found = world.run("scan", image, "--json").json
    states = {h["uuid"]: (h["stale"], h.get("only")) for h in found["headers"]}
    assert states == {OTHER: (True, "secondary"), UUID: (False, None)}
    (guess,) = found["partitions"]
    assert (guess["start"], guess["length"], guess["listed"]) == (4 * MIB, 4 * MIB, True)
    assert world.run("scan", image, "--table").out == "\n" or "losetup" not in world.run("scan", image, "--table").out


def test_gpt_over_a_whole_disk_leaves_json_that_is_joined(world: World) -> None:
    if shutil.which("sfdisk") is None:
        pytest.skip("needs sfdisk")
    image = world.image(data=disk({0: luks2_image() + noise(MIB)}, 16 * MIB))
    subprocess.run(["sfdisk", "-q", image], input="label: gpt\n", text=True, check=True, capture_output=True)
    (header,) = world.run("scan", image, "--json", "--key-file", world.key_file).json["headers"]
    assert (header["offset"], header["uuid"], header["stale"], header["usable"]) == (0, UUID, False, True)
    assert [c["state"] for c in header["copies"]] == ["damaged", "fragment"]


def test_backup_inside_a_filesystem(world: World) -> None:
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("needs mkfs.ext4")
    tree = world.folder / "tree"
    tree.mkdir()
    (tree / "header.bak").write_bytes(luks2_image(uuid=OTHER))
    image = world.folder / "fs.img"
    command = ["mkfs.ext4", "-q", "-b", "4096", "-d", tree, image, "16M"]
    subprocess.run(command, check=True, capture_output=True)
    found = world.run("scan", image, "--json").json
    assert [(h["uuid"], h["kind"]) for h in found["headers"]] == [(OTHER, "backup")]
    assert found["partitions"] == []


def test_block_device(world: World, loop_device: Callable[..., str]) -> None:
    image = world.image(data=disk({MIB: luks2_image() + noise(MIB)}, 4 * MIB))
    device = loop_device(image, "--read-only")
    ran = world.run("scan", device, "--table")
    assert ran.status == 0
    assert f"dmsetup create --readonly luksafe-lost1 --table '0 6144 linear {device} 2048'" in ran.out


def test_words_for_every_kind_of_find(world: World) -> None:
    folder = world.folder / "files"
    folder.mkdir()
    (folder / "a.img").write_bytes(with_binary(luks2_image(), seqid=9))
    (folder / "b.img").write_bytes(luks2_image() + noise(MIB))
    (folder / "c.gz").write_bytes(gzip.compress(luks1_image(uuid=OTHER)))
    broken = bytearray(luks2_image(uuid=OTHER))
    broken[4100] ^= 1
    broken[16384 + 4100] ^= 1
    (folder / "d.img").write_bytes(broken)
    shown = world.run("scan", folder).out
    for words in ("stale", "copy of a header", "packed backup", "damaged", "an older state of the header"):
        assert words in shown
    assert f"next: luksafe show {folder / 'a.img'}" in shown
    whole = world.image("e.img", luks2_image() + noise(MIB))
    world.run("backup", whole)
    seen = world.run("scan", whole).out
    assert "in the vault: " in seen
    assert "second copy at byte 16384" in seen
    gone = bytearray(whole.read_bytes())
    gone[:36864] = bytes(36864)
    assert "the header itself is gone" in re.sub(r"\s+", " ", world.run("scan", world.image("f.img", bytes(gone))).out)
    assert "no LUKS header anywhere" in world.run("scan", world.image("g.img", bytes(4096))).out


def test_more_than_can_be_kept_is_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_one, "MOST_FINDS", 2)
    image = world.image(data=luks1_image() + luks1_image() + luks1_image())
    ran = world.run("scan", image, "--json")
    assert ran.status == 3
    assert ran.json["cut"]
    assert "more than can be kept" in ran.err


def test_files_that_cannot_be_searched_are_listed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = world.folder / "files"
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}.img").write_bytes(luks1_image())
    real = folder_scan.open_storage

    def failing(path: Path, flags: int) -> object:
        if path.name != "4.img":
            raise LuksafeError(f"no permission to read {path}")
        return real(path, flags)

    monkeypatch.setattr(folder_scan, "open_storage", failing)
    ran = world.run("scan", folder, "--json")
    assert ran.status == 3
    assert len(ran.json["skipped"]) == 4
    assert "1 more files were not searched" in ran.err
