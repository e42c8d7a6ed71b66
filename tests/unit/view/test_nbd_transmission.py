from __future__ import annotations

import errno
import random
import struct
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.view.nbd_client import Client
from unit.view.readers import FaultyReader, noise

from luksafe.reader import BytesReader
from luksafe.view.nbd.export import Export
from luksafe.view.nbd.protocol import MAX_PAYLOAD_BYTES, ChunkType
from luksafe.view.nbd.transmission import PIECE_BYTES

READ, WRITE, DISC, FLUSH, STATUS = 0, 1, 2, 3, 7
FUA, DF, REQ_ONE = 1, 4, 8
SIZE = 3 * PIECE_BYTES + 100
DATA = noise(PIECE_BYTES) + bytes(PIECE_BYTES) + noise(PIECE_BYTES + 100, 2)
EXPORT = Export(BytesReader(DATA), "vol")


class MemoryDisk:
    """A writable export in memory that counts flushes."""

    def __init__(self, size_bytes: int) -> None:
        self.data = bytearray(size_bytes)
        self.size_bytes = size_bytes
        self.flushes = 0
        self.error: OSError | None = None

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        return bytes(self.data[offset_bytes : offset_bytes + length_bytes])

    def write_at(self, offset_bytes: int, data: bytes | memoryview) -> None:
        if self.error:
            raise self.error
        self.data[offset_bytes : offset_bytes + len(data)] = data

    def flush(self) -> None:
        if self.error:
            raise self.error
        self.flushes += 1


def assembled(client: Client, offset: int, length: int) -> bytes:
    client.request(READ, offset, length)
    data = bytearray(length)
    for chunk in client.chunks():
        if chunk.kind == ChunkType.OFFSET_DATA:
            at = int.from_bytes(chunk.data[:8]) - offset
            data[at : at + len(chunk.data) - 8] = chunk.data[8:]
        else:
            assert chunk.kind in (ChunkType.OFFSET_HOLE, ChunkType.NONE)
    return bytes(data)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, SIZE), st.integers(0, SIZE))
def test_structured_and_simple_reads_give_the_data(offset: int, length: int) -> None:
    length = min(length, SIZE - offset)
    with Client(EXPORT) as client:
        client.go()
        assert assembled(client, offset, length) == DATA[offset : offset + length]
    with Client(EXPORT) as client:
        client.go(structured=False, allocation=False)
        client.request(READ, offset, length)
        assert client.simple() == (0, 7)
        assert client.take(length) == DATA[offset : offset + length]


def test_zeros_are_sent_as_a_hole() -> None:
    with Client(EXPORT) as client:
        client.go().request(READ, PIECE_BYTES, PIECE_BYTES)
        (chunk,) = client.chunks()
        assert (chunk.kind, chunk.data) == (ChunkType.OFFSET_HOLE, struct.pack(">QI", PIECE_BYTES, PIECE_BYTES))


def test_unfragmented_reads() -> None:
    with Client(EXPORT) as client:
        client.go().request(READ, PIECE_BYTES, 65536, flags=DF)
        (chunk,) = client.chunks()
        assert (chunk.kind, chunk.data[8:]) == (ChunkType.OFFSET_DATA, bytes(65536))
        client.request(READ, 0, PIECE_BYTES + 1, flags=DF)
        (chunk,) = client.chunks()
        assert struct.unpack_from(">I", chunk.data)[0] == errno.EOVERFLOW


@pytest.mark.parametrize("flags", [0, REQ_ONE])
def test_block_status_reports_data(flags: int) -> None:
    with Client(EXPORT) as client:
        client.go().request(STATUS, 100, 5000, flags=flags)
        (chunk,) = client.chunks()
        assert (chunk.kind, chunk.data) == (ChunkType.BLOCK_STATUS, struct.pack(">III", 1, 5000, 0))


@pytest.mark.parametrize(
    ("command", "offset", "length", "flags", "error"),
    [
        (READ, SIZE, 1, 0, errno.EINVAL),
        (READ, 0, SIZE + 1, 0, errno.EINVAL),
        (READ, (1 << 64) - 1, 2, 0, errno.EINVAL),
        (READ, 0, 1, FUA, errno.EINVAL),
        (READ, 0, 1, 1 << 15, errno.EINVAL),
        (STATUS, 0, 0, 0, errno.EINVAL),
        (STATUS, SIZE, 1, 0, errno.EINVAL),
        (STATUS, 0, 1, DF, errno.EINVAL),
    ],
)
def test_impossible_requests_get_an_error_chunk(command: int, offset: int, length: int, flags: int, error: int) -> None:
    with Client(EXPORT) as client:
        client.go().request(command, offset, length, flags=flags)
        (chunk,) = client.chunks()
        assert chunk.kind == ChunkType.ERROR
        assert struct.unpack_from(">I", chunk.data)[0] == error
        assert assembled(client, 0, 10) == DATA[:10]


@pytest.mark.parametrize("command", [4, 5, 6, 8, 0xFFFF])
def test_unknown_commands_are_invalid(command: int) -> None:
    with Client(EXPORT) as client:
        client.go().request(command, 0, 10)
        assert client.simple() == (errno.EINVAL, 7)
        assert assembled(client, 0, 10) == DATA[:10]


def test_too_long_reads() -> None:
    big = Export(FaultyReader(b"", []))
    object.__setattr__(big.reader, "size_bytes", 1 << 40)
    with Client(big) as client:
        client.go().request(READ, 0, MAX_PAYLOAD_BYTES + 1)
        assert struct.unpack_from(">I", client.chunks()[0].data)[0] == errno.EOVERFLOW
    with Client(big) as client:
        client.go(structured=False, allocation=False).request(READ, 0, 0xFFFFFFFF)
        assert client.simple() == (errno.EINVAL, 7)


def test_read_errors_say_where() -> None:
    export = Export(FaultyReader(DATA, [(2 * PIECE_BYTES + 5, 2 * PIECE_BYTES + 6)]))
    with Client(export) as client:
        client.go().request(READ, 0, 3 * PIECE_BYTES)
        *good, bad = client.chunks()
        assert [chunk.kind for chunk in good] == [ChunkType.OFFSET_DATA, ChunkType.OFFSET_HOLE]
        assert bad.kind == ChunkType.ERROR_OFFSET
        assert struct.unpack_from(">I", bad.data)[0] == errno.EIO
        assert struct.unpack(">Q", bad.data[-8:])[0] == 2 * PIECE_BYTES
        assert assembled(client, 0, 10) == DATA[:10]


def test_read_errors_with_simple_replies() -> None:
    export = Export(FaultyReader(DATA, [(PIECE_BYTES, PIECE_BYTES + 1)]))
    with Client(export) as client:
        client.go(structured=False, allocation=False).request(READ, PIECE_BYTES, 10)
        assert client.simple() == (errno.EIO, 7)
        client.request(READ, 0, 2 * PIECE_BYTES)  # fails after the reply has begun: the server must hang up
        assert client.simple() == (0, 7)
        with pytest.raises(EOFError):
            client.take(2 * PIECE_BYTES)


def test_read_only_exports_refuse_writes_and_stay_in_step() -> None:
    with Client(EXPORT) as client:
        client.go().request(WRITE, 0, 100000)
        client.socket.sendall(bytes(100000))
        assert client.simple() == (errno.EPERM, 7)
        client.request(FLUSH, 0, 0)
        assert client.simple() == (0, 7)
        assert assembled(client, 0, 10) == DATA[:10]


def test_writes_and_flushes() -> None:
    disk = MemoryDisk(SIZE)
    with Client(Export(disk, writable=disk)) as client:
        client.go().request(WRITE, 50, 2 * PIECE_BYTES)
        client.socket.sendall(DATA[: 2 * PIECE_BYTES])
        assert client.simple() == (0, 7)
        assert disk.data[50 : 50 + 2 * PIECE_BYTES] == DATA[: 2 * PIECE_BYTES]
        assert disk.flushes == 0
        client.request(WRITE, 0, 3, flags=FUA)
        client.socket.sendall(b"abc")
        assert client.simple() == (0, 7)
        assert disk.flushes == 1
        client.request(FLUSH, 0, 0, flags=FUA)
        assert client.simple() == (0, 7)
        assert disk.flushes == 2
        client.request(WRITE, SIZE - 2, 3)
        client.socket.sendall(b"abc")
        assert client.simple() == (errno.ENOSPC, 7)
        assert assembled(client, 0, 3) == b"abc"
    assert disk.flushes == 3


@pytest.mark.parametrize(
    ("raised", "sent"), [(errno.ENOSPC, errno.ENOSPC), (errno.EDQUOT, errno.ENOSPC), (errno.ENOENT, errno.EIO)]
)
def test_failed_writes_are_told(raised: int, sent: int) -> None:
    disk = MemoryDisk(SIZE)
    with Client(Export(disk, writable=disk)) as client:
        client.go()
        disk.error = OSError(raised, "no")
        client.request(WRITE, 0, 2 * PIECE_BYTES)
        client.socket.sendall(bytes(2 * PIECE_BYTES))
        assert client.simple() == (sent, 7)
        client.request(FLUSH, 0, 0)
        assert client.simple() == (sent, 7)
        disk.error = None


def test_absurd_writes_and_wrong_magic_end_the_connection() -> None:
    with Client(EXPORT) as client:
        client.go().request(WRITE, 0, MAX_PAYLOAD_BYTES + 1)
        assert client.is_hung_up()
    with Client(EXPORT) as client:
        client.go().socket.sendall(bytes(28))
        assert client.is_hung_up()


def test_disconnect_after_requests_in_flight() -> None:
    with Client(EXPORT) as client:
        client.go()
        for cookie in range(20):
            client.request(READ, cookie * 1000, 1000, cookie=cookie)
        client.request(DISC, 0, 0)
        answers = {}
        for _ in range(20):
            (chunk,) = client.chunks()
            answers[chunk.cookie] = chunk.data[8:]
        assert answers == {cookie: DATA[cookie * 1000 : cookie * 1000 + 1000] for cookie in range(20)}
        assert client.is_hung_up()


def test_eight_clients_at_once() -> None:
    failures = []

    def read_much(seed: int) -> None:
        picks = random.Random(seed)
        with Client(EXPORT) as client:
            client.go()
            for _ in range(50):
                offset = picks.randrange(SIZE)
                length = picks.randrange(min(200000, SIZE - offset))
                if assembled(client, offset, length) != DATA[offset : offset + length]:
                    failures.append((offset, length))

    threads = [threading.Thread(target=read_much, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_leave_the_service_alive(garbage: bytes, negotiated: bool) -> None:
    with Client(EXPORT) as client:
        if negotiated:
            client.go()
        else:
            client.greet()
        client.socket.sendall(garbage)
        client.socket.shutdown(1)
        with pytest.raises((EOFError, ConnectionError)):
            while True:
                client.take(1)


def test_idle_clients_and_half_messages_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("luksafe.view.nbd.transmission.STALL_SECONDS", 0.3)
    export = Export(MemoryDisk(4096))
    for sent in (b"", b"\x25\x60"):
        with Client(export, idle_seconds=0.3) as client:
            client.go()
            client.socket.sendall(sent)
            assert client.is_hung_up()


def test_a_busy_client_stays_however_short_the_patience() -> None:
    with Client(Export(MemoryDisk(4096)), idle_seconds=1) as client:
        client.go()
        for _ in range(8):
            assert assembled(client, 0, 512) == bytes(512)
            time.sleep(0.2)


def test_one_too_many_takes_the_place_of_the_idlest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("luksafe.view.nbd.server.MAX_CONNECTIONS", 2)
    with Client(Export(MemoryDisk(4096))) as first:
        first.go()
        second = first.another().go()
        assert assembled(second, 0, 512) == bytes(512)
        assert first.another().is_hung_up(), "nobody is idle yet"
        monkeypatch.setattr("luksafe.view.nbd.server.REPLACEABLE_SECONDS", 0)
        assert assembled(first, 0, 512) == bytes(512)
        late = first.another().go()
        assert second.is_hung_up()
        assert assembled(first, 0, 512) == assembled(late, 0, 512) == bytes(512)
