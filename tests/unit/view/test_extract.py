from __future__ import annotations

import hashlib
import os
import resource
import signal
import stat
import subprocess
import threading
import time
from pathlib import Path

import pytest
from unit.view.readers import FaultyReader, noise
from unit.view.volumes import encrypt_xts

from luksafe.errors import DamagedInput, LuksafeError, NotFound, Refused, StoreError
from luksafe.luks.model import Segment
from luksafe.secret import SecretBytes
from luksafe.view.extract import extract_to_file, extract_to_stream
from luksafe.view.mapfile import Block, Mapfile, Status, format_mapfile, parse_mapfile
from luksafe.view.process import fork_worker
from luksafe.view.stream import DecryptedReader

MIB = 1 << 20
KEY = noise(64, 5)
PLAIN = noise(MIB + 5000 * 512) + bytes(2 * MIB) + noise(3 * 512, 2)
CIPHERTEXT = encrypt_xts(KEY, PLAIN)
BAD = [(10 * 512, 11 * 512), (3000 * 512, 3004 * 512)]
SHA256 = hashlib.sha256(PLAIN).hexdigest()


def volume(bad: list[tuple[int, int]] | None = None, key: bytes = KEY) -> DecryptedReader:
    device = FaultyReader(CIPHERTEXT, bad or [])
    return DecryptedReader(device, [Segment(0, "crypt", 0, None, 0, "aes-xts-plain64")], {0: SecretBytes(key)})


def with_zeros(bad: list[tuple[int, int]]) -> bytes:
    data = bytearray(PLAIN)
    for start, end in bad:
        data[start:end] = bytes(end - start)
    return bytes(data)


def test_a_new_file_is_whole_private_and_sparse(tmp_path: Path) -> None:
    out = tmp_path / "out"
    seen: list[int] = []
    result = extract_to_file(volume(), out, verify=True, on_progress=seen.append)
    assert out.read_bytes() == PLAIN
    assert result.sha256 == SHA256
    assert not result.bad
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert out.stat().st_blocks * 512 <= len(PLAIN) - MIB
    assert seen[-1] == len(PLAIN)
    assert list(tmp_path.iterdir()) == [out]


def test_unreadable_sectors_are_zeros_and_mapped_exactly(tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = extract_to_file(volume(BAD), out, verify=True)
    assert out.read_bytes() == with_zeros(BAD)
    assert [(block.offset_bytes, block.end_bytes) for block in result.bad] == BAD
    assert list(parse_mapfile((tmp_path / "out.map").read_text())) == list(result.mapfile)
    assert result.sha256 == hashlib.sha256(with_zeros(BAD)).hexdigest()


def test_good_parts_are_read_before_bad_ones_are_tried_again(tmp_path: Path) -> None:
    reader = volume(BAD)
    extract_to_file(reader, tmp_path / "out", workers=1)
    device: FaultyReader = reader._ciphertext  # type: ignore[assignment]  # reads of the parent: only the salvage
    assert device.reads
    assert all(offset < 4 * MIB for offset, _ in device.reads)


def test_retry_fills_in_what_has_become_readable(tmp_path: Path) -> None:
    out = tmp_path / "out"
    extract_to_file(volume(BAD), out)
    again = extract_to_file(volume(BAD[:1]), out, resume=True)
    assert [(block.offset_bytes, block.end_bytes) for block in again.bad] == BAD  # bad ones are left alone
    again = extract_to_file(volume(BAD[:1]), out, resume=True, retry_bad=True)
    assert [(block.offset_bytes, block.end_bytes) for block in again.bad] == BAD[:1]
    assert out.read_bytes() == with_zeros(BAD[:1])
    extract_to_file(volume(), out, resume=True, retry_bad=True)
    assert out.read_bytes() == PLAIN
    assert not (tmp_path / "out.map").exists()


def test_a_named_mapfile_is_kept(tmp_path: Path) -> None:
    result = extract_to_file(volume(), tmp_path / "out", map_path=tmp_path / "map")
    assert list(parse_mapfile((tmp_path / "map").read_text())) == [Block(0, len(PLAIN), Status.FINISHED)]
    assert result.sha256 is None


class Interrupted(Exception):
    pass


def stop_at(limit: int) -> object:
    def check(done: int) -> None:
        if done >= limit:
            raise Interrupted

    return check


@pytest.mark.parametrize("limit", [1, MIB + 1, 3 * MIB])
def test_interrupted_work_goes_on_where_it_was(tmp_path: Path, limit: int) -> None:
    out = tmp_path / "out"
    with pytest.raises(Interrupted):
        extract_to_file(volume(BAD), out, on_progress=stop_at(limit))  # type: ignore[arg-type]
    saved = parse_mapfile((tmp_path / "out.map").read_text())
    assert saved.total_bytes(Status.UNTRIED) > 0
    for block in saved.blocks(Status.FINISHED):
        assert out.read_bytes()[block.offset_bytes : block.end_bytes] == PLAIN[block.offset_bytes : block.end_bytes]
    result = extract_to_file(volume(BAD), out, resume=True, verify=True)
    assert out.read_bytes() == with_zeros(BAD)
    assert [(block.offset_bytes, block.end_bytes) for block in result.bad] == BAD


def test_a_killed_extraction_resumes(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def slow() -> None:
        extract_to_file(volume(), out, on_progress=lambda _done: time.sleep(0.2))

    worker = fork_worker(slow)
    while not out.exists() or out.stat().st_blocks == 0:
        time.sleep(0.01)
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    extract_to_file(volume(), out, resume=True)
    assert out.read_bytes() == PLAIN


def test_resuming_clears_what_a_hole_should_be(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_bytes(b"x" * len(PLAIN))
    (tmp_path / "out.map").write_text(format_mapfile(Mapfile(len(PLAIN))))
    extract_to_file(volume(BAD), out, resume=True)
    assert out.read_bytes() == with_zeros(BAD)


def test_resuming_with_another_key_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(Interrupted):
        extract_to_file(volume(), out, on_progress=stop_at(2 * MIB))  # type: ignore[arg-type]
    before = out.read_bytes()
    with pytest.raises(Refused, match="another volume or key"):
        extract_to_file(volume(key=noise(64, 99)), out, resume=True)
    assert out.read_bytes() == before


def test_what_cannot_be_resumed_is_told(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(NotFound):
        extract_to_file(volume(), out, resume=True)
    (tmp_path / "out.map").write_text("nonsense")
    with pytest.raises(DamagedInput):
        extract_to_file(volume(), out, resume=True)
    (tmp_path / "out.map").write_text(format_mapfile(Mapfile(4096)))
    with pytest.raises(DamagedInput, match="belongs to something else"):
        extract_to_file(volume(), out, resume=True)
    (tmp_path / "out.map").write_text(format_mapfile(Mapfile(len(PLAIN))))
    with pytest.raises(NotFound):
        extract_to_file(volume(), out, resume=True)
    out.write_bytes(b"short")
    with pytest.raises(Refused, match="not the file that was begun"):
        extract_to_file(volume(), out, resume=True)
    assert out.read_bytes() == b"short"


def test_existing_files_are_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("mine")
    with pytest.raises(Refused, match="exists"):
        extract_to_file(volume(), out)
    assert out.read_text() == "mine"
    (tmp_path / "other.map").write_text("mine")
    with pytest.raises(Refused, match="exists"):
        extract_to_file(volume(), tmp_path / "other")
    assert not (tmp_path / "other").exists()
    with pytest.raises(StoreError):
        extract_to_file(volume(), tmp_path / "no" / "folder")


def test_a_full_disk_is_told_and_room_made_later_is_used(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root for a small filesystem")
    folder = tmp_path / "small"
    folder.mkdir()
    small = ["mount", "-t", "tmpfs", "-o", "size=2m", "small", folder]
    if subprocess.run(small, capture_output=True).returncode:
        pytest.skip("needs a tmpfs")
    out = folder / "out"
    try:
        with pytest.raises(StoreError, match="No space left") as caught:
            extract_to_file(volume(), out, map_path=tmp_path / "map")
        assert "--resume" in caught.value.hint
        with pytest.raises(StoreError, match="cannot save the mapfile"):
            extract_to_file(volume(), folder / "other")
        assert [path.name for path in folder.iterdir()] == ["out"]
        saved = parse_mapfile((tmp_path / "map").read_text())
        for block in saved.blocks(Status.FINISHED):
            assert out.read_bytes()[block.offset_bytes : block.end_bytes] == PLAIN[block.offset_bytes : block.end_bytes]
        assert 0 < saved.total_bytes(Status.FINISHED) < len(PLAIN)
        subprocess.run(["mount", "-o", "remount,size=16m", folder], check=True)
        extract_to_file(volume(), out, map_path=tmp_path / "map", resume=True)
        assert out.read_bytes() == PLAIN
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_filesystem_for_small_files_only(tmp_path: Path) -> None:
    _, hard = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, hard))
    try:
        with pytest.raises(StoreError, match="cannot hold a file of"):
            extract_to_file(volume(), tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_verify_finds_an_output_that_changed(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def spoil(done: int) -> None:
        if done == len(PLAIN):
            with out.open("r+b") as file:
                file.seek(MIB + 5)
                file.write(b"spoiled")

    with pytest.raises(LuksafeError, match="differs"):
        extract_to_file(volume(), out, verify=True, on_progress=spoil)


def test_a_lost_extent_is_mapped_without_being_read(tmp_path: Path) -> None:
    segments = [
        Segment(0, "crypt", 0, MIB, 0, "aes-xts-plain64"),
        Segment(1, "crypt", MIB, MIB, 2048, "aes-xts-plain64", flags=("in-reencryption",)),
        Segment(2, "crypt", 2 * MIB, MIB, 4096, "aes-xts-plain64"),
    ]
    key = SecretBytes(KEY)
    reader = DecryptedReader(FaultyReader(CIPHERTEXT, []), segments, {0: key, 1: key, 2: key})
    result = extract_to_file(reader, tmp_path / "out", verify=True)
    assert result.bad == [Block(MIB, MIB, Status.BAD)]
    assert (tmp_path / "out").read_bytes() == PLAIN[:MIB] + bytes(MIB) + PLAIN[2 * MIB : 3 * MIB]


def test_into_a_pipe(tmp_path: Path) -> None:
    receiver, sender = os.pipe()
    received = bytearray()

    def drain() -> None:
        while data := os.read(receiver, 1 << 16):
            received.extend(data)

    thread = threading.Thread(target=drain)
    thread.start()
    result = extract_to_stream(volume(BAD), sender, verify=True)
    os.close(sender)
    thread.join()
    os.close(receiver)
    assert received == with_zeros(BAD)
    assert result.sha256 == hashlib.sha256(received).hexdigest()
    assert [(block.offset_bytes, block.end_bytes) for block in result.bad] == BAD


def test_a_pipe_whose_reader_is_gone() -> None:
    receiver, sender = os.pipe()
    os.close(receiver)
    with pytest.raises(BrokenPipeError):
        extract_to_stream(volume(), sender)
    os.close(sender)


def test_a_full_device_is_told() -> None:
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(StoreError, match="No space"):
        extract_to_stream(volume(), full.fileno())


def test_an_empty_volume(tmp_path: Path) -> None:
    reader = DecryptedReader(
        FaultyReader(b"", []), [Segment(0, "crypt", 0, None, 0, "aes-xts-plain64")], {0: SecretBytes(KEY)}
    )
    result = extract_to_file(reader, tmp_path / "out", verify=True)
    assert (tmp_path / "out").read_bytes() == b""
    assert result.sha256 == hashlib.sha256(b"").hexdigest()
