"""Finding planted key schedules, whatever stands around them and wherever they stand."""

from __future__ import annotations

import os
import pickle
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.memory import planted

from luksafe.memory import pieces
from luksafe.memory.image import FileImage, RamRange
from luksafe.memory.pieces import PIECE_BYTES, SharedSearch
from luksafe.memory.scanner import CHUNK_BYTES, ScheduleScanner
from luksafe.memory.schedule import KEY_BITS, SBOX, SCHEDULE_BYTES, expand_key
from luksafe.memory.search import find_schedules

NOISE = random.Random(1).randbytes(3 * CHUNK_BYTES)
KEYS = {bits: random.Random(bits).randbytes(bits // 8) for bits in KEY_BITS}


class BytesImage:
    """Memory that is bytes: quick to fill again."""

    kind = "bytes"
    notes = ()

    def __init__(self, data: bytes | bytearray) -> None:
        self.data = data
        self.unreadable_bytes = 0

    @property
    def size_bytes(self) -> int:
        return len(self.data)

    def read_into(self, offset_bytes: int, buffer: memoryview) -> None:
        piece = self.data[offset_bytes : offset_bytes + len(buffer)]
        buffer[: len(piece)] = piece
        buffer[len(piece) :] = bytes(len(buffer) - len(piece))

    def address_of(self, offset_bytes: int) -> int:
        return 0x100000 + offset_bytes


@pytest.mark.parametrize("bits", KEY_BITS)
@pytest.mark.parametrize("background", ["noise", "zeros"])
def test_at_every_multiple_of_four_round_a_chunk_edge(bits: int, background: str) -> None:
    start = CHUNK_BYTES - 320
    image = BytesImage(bytearray(2 * CHUNK_BYTES))
    scanner = ScheduleScanner(image)
    schedule = expand_key(KEYS[bits])
    for at in range(start, CHUNK_BYTES + 132, 4):
        image.data[:] = NOISE[: len(image.data)] if background == "noise" else bytes(len(image.data))
        image.data[at : at + len(schedule)] = schedule
        assert list(scanner.scan(0, image.size_bytes)) == [(at, bits)], hex(at)


@pytest.mark.parametrize("bits", KEY_BITS)
def test_at_the_very_start_and_the_very_end(bits: int, tmp_path: Path) -> None:
    size = SCHEDULE_BYTES[bits]
    for length in (size, 2 * size, 2 * size + 2, CHUNK_BYTES + size, CHUNK_BYTES + 256 + size):
        memory = bytearray(NOISE[:length])
        places = {0, (length - size) // 4 * 4}
        planted.plant(memory, dict.fromkeys(places, KEYS[bits]))
        assert planted.found(planted.raw_image(tmp_path, memory)) == dict.fromkeys(places, KEYS[bits]), length


def test_a_schedule_that_the_image_cuts_off_is_none(tmp_path: Path) -> None:
    key = _key_whose_schedule_ends_in_zeros()
    assert expand_key(key)[-16:] == bytes(16)
    memory = planted.plant(bytearray(NOISE[:8192]), {4096: key})
    assert planted.found(planted.raw_image(tmp_path, memory)) == {4096: key}
    assert planted.found(planted.raw_image(tmp_path, memory[: 4096 + 172])) == {}


def _key_whose_schedule_ends_in_zeros() -> bytes:
    """The AES-128 expansion run backwards from a last round key of zeros."""
    words, constants = [0, 0, 0, 0], [0x36, 0x1B, 0x80, 0x40, 0x20, 0x10, 8, 4, 2, 1]
    for constant in constants:
        words[3], words[2], words[1] = words[3] ^ words[2], words[2] ^ words[1], words[1] ^ words[0]
        turned = words[3].to_bytes(4, "big")[1:] + words[3].to_bytes(4, "big")[:1]
        words[0] ^= int.from_bytes(bytes(SBOX[byte] for byte in turned), "big") ^ constant << 24
    return b"".join(word.to_bytes(4, "big") for word in words)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.integers(0, 190),
        st.sampled_from(KEY_BITS).flatmap(lambda bits: st.binary(min_size=bits // 8, max_size=bits // 8)),
        max_size=12,
    ),
    st.sampled_from(["noise", "zeros", "ones", "pointers", "small numbers"]),
    st.integers(0, 63),
)
def test_all_planted_keys_and_no_others(slots: dict[int, bytes], background: str, shift: int) -> None:
    memory = _background(background, 190 * 256 + 1024)
    keys = {slot * 256 + 4 * (shift if slot % 2 else 0): key for slot, key in slots.items()}
    places: dict[int, bytes] = {}
    for at, key in sorted(keys.items()):
        if not places or at >= max(places) + 240:
            places[at] = key
    image = BytesImage(planted.plant(memory, places))
    assert {hit.offset_bytes: hit.key.reveal() for hit in find_schedules(image)} == places


def _background(kind: str, size: int) -> bytearray:
    if kind == "noise":
        return bytearray(NOISE[:size])
    if kind == "zeros":
        return bytearray(size)
    if kind == "ones":
        return bytearray(b"\xff" * size)
    step = 0x40 if kind == "pointers" else 1
    base = 0xFFFF888000000000 if kind == "pointers" else 0
    return bytearray(b"".join((base + n * step).to_bytes(8, "little") for n in range(size // 8)))


def test_keys_of_zeros_and_of_one_repeated_byte() -> None:
    for bits in KEY_BITS:
        for byte in (0x00, 0x01, 0x55, 0xFF):
            key = bytes([byte]) * (bits // 8)
            for background in ("zeros", "ones", "noise"):
                image = BytesImage(planted.plant(_background(background, 4096), {1024: key}))
                assert [hit.key.reveal() for hit in find_schedules(image)] == [key], (bits, byte, background)


def test_only_the_key_lengths_asked_for() -> None:
    places = {1024 * n: KEYS[bits] for n, bits in enumerate(KEY_BITS)}
    image = BytesImage(planted.plant(bytearray(8192), places))
    for bits in KEY_BITS:
        assert [hit.key_bits for hit in find_schedules(image, key_bits=[bits])] == [bits]


def test_a_hit_says_where_it_is_and_hides_its_key() -> None:
    (hit,) = find_schedules(BytesImage(planted.plant(bytearray(4096), {512: KEYS[256]})))
    assert (hit.offset_bytes, hit.address, hit.key_bits) == (512, 0x100200, 256)
    assert KEYS[256].hex() not in repr(hit)


def test_progress_reaches_the_end() -> None:
    image = BytesImage(bytes(40 << 20))
    seen: list[tuple[int, int]] = []
    assert list(find_schedules(image, progress=lambda done, total: seen.append((done, total)))) == []
    assert seen == [(16 << 20, 40 << 20), (32 << 20, 40 << 20), (40 << 20, 40 << 20)]


@pytest.fixture
def large(tmp_path: Path) -> tuple[FileImage, dict[int, bytes]]:
    """80 MiB with keys on and near the borders of the pieces that processes take."""
    piece = PIECE_BYTES
    places = {
        n * piece + shift: random.Random(n * 10000 + shift).randbytes(16 + n % 3 * 8)
        for n in range(1, 5)
        for shift in (-1000, -100, 240, 5000)
    }
    path = tmp_path / "large"
    with path.open("wb") as out:
        out.truncate(5 * piece)
        for at, key in places.items():
            out.seek(at)
            out.write(expand_key(key))
    return FileImage("raw", path, (RamRange(0, 0, 5 * piece),)), places


def test_two_processes_find_the_same_as_one(large: tuple[FileImage, dict[int, bytes]]) -> None:
    image, places = large
    done: list[int] = []
    hits = list(find_schedules(image, processes=2, progress=lambda count, _total: done.append(count)))
    assert {hit.offset_bytes: hit.key.reveal() for hit in hits} == places
    assert len(hits) == len(places)
    assert done[-1] == image.size_bytes and len(done) == 5


def test_workers_are_started_when_a_search_is_long(
    large: tuple[FileImage, dict[int, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    if len(os.sched_getaffinity(0)) == 1:
        pytest.skip("one core: one process")
    image, places = large
    started: list[int] = []
    monkeypatch.setattr(SharedSearch, "start", lambda self, workers: started.append(workers))
    monkeypatch.setattr(pieces, "WORTH_SECONDS", 3600)
    assert len(list(find_schedules(image))) == len(places)
    assert started == [0]
    monkeypatch.setattr(pieces, "WORTH_SECONDS", 0)
    assert len(list(find_schedules(image))) == len(places)
    assert started == [0, 0, len(os.sched_getaffinity(0)) - 1]


def test_pieces_of_a_process_that_dies_are_searched_by_another(large: tuple[FileImage, dict[int, bytes]]) -> None:
    image, places = large
    shared = SharedSearch(image, KEY_BITS, None)
    try:
        shared.start(1)
        (link,) = shared._in_hand
        assert link.poll(30)
        shared._receive(link)
        assert len(shared._in_hand[link]) == 2
        shared._workers[0].kill()
        shared._workers[0].wait()
        assert dict(shared.run()).keys() == places.keys()
    finally:
        shared.close()


def test_pieces_of_a_process_that_is_slow_are_searched_by_this_one(large: tuple[FileImage, dict[int, bytes]]) -> None:
    image, places = large
    done: list[int] = []
    shared = SharedSearch(image, KEY_BITS, lambda count, _total: done.append(count))
    try:
        shared.start(1)
        (link,) = shared._in_hand
        assert link.poll(30)
        shared._workers[0].send_signal(signal.SIGSTOP)
        shared._receive(link)
        assert sorted(offset for offset, _ in shared.run()) == sorted(places)
    finally:
        shared.close()
    assert done[-1] == image.size_bytes and len(done) == 5


def test_what_two_searched_is_counted_and_reported_once(large: tuple[FileImage, dict[int, bytes]]) -> None:
    shared = SharedSearch(large[0], KEY_BITS, None)
    piece = shared._take()
    assert piece and shared._finish(piece, [(240, 128)]) == [(240, 128)]
    assert shared._finish(piece, [(240, 128)]) == [] and shared._done == piece[1] - piece[0]
    assert shared._finish(None, []) == []


def test_stopping_early_ends_the_workers(large: tuple[FileImage, dict[int, bytes]]) -> None:
    shared = SharedSearch(large[0], KEY_BITS, None)
    shared.start(1)
    next(shared.run())
    shared.close()
    assert shared._workers[0].returncode is not None


def test_a_worker_runs_nothing_of_the_script_that_uses_it(
    large: tuple[FileImage, dict[int, bytes]], tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "print('once')\n"
        "from pathlib import Path\n"
        "from luksafe.memory.detect import open_memory\n"
        "from luksafe.memory.search import find_schedules\n"
        f"print(len(list(find_schedules(open_memory(Path({str(large[0].path)!r})), processes=3))))\n"
    )
    (tmp_path / "numpy.py").write_text("raise SystemExit('a module of the current folder was imported')")
    done = subprocess.run([sys.executable, "-P", script], cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (f"once\n{len(large[1])}\n", "")


def test_memory_that_changes_meanwhile_gives_no_key() -> None:
    class Fleeting(BytesImage):
        def read_into(self, offset_bytes: int, buffer: memoryview) -> None:
            super().read_into(offset_bytes, buffer)
            self.data = bytes(len(self.data))

    assert list(find_schedules(Fleeting(planted.plant(bytearray(4096), {512: KEYS[128]})))) == []


def test_the_buffer_is_wiped() -> None:
    image = BytesImage(planted.plant(bytearray(4096), {512: KEYS[256]}))
    scanner = ScheduleScanner(image)
    assert list(scanner.scan(0, 4096)) == [(512, 256)]
    scanner.wipe()
    assert not any(scanner._buffer[:4096])


def test_an_image_travels_to_another_process_without_its_open_file(tmp_path: Path) -> None:
    image = planted.raw_image(tmp_path, NOISE[:8192])
    image.read_at(0, 1)
    copy = pickle.loads(pickle.dumps(image))
    assert copy._fd == -1
    assert copy.read_at(100, 50) == NOISE[100:150]
