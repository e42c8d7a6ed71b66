from __future__ import annotations

import struct

import pytest
from unit.view.nbd_client import Client, string

from luksafe.reader import BytesReader
from luksafe.view.nbd.export import Export
from luksafe.view.nbd.protocol import MAX_OPTION_BYTES, MAX_PAYLOAD_BYTES, Info, Option, Reply

EXPORT = Export(BytesReader(bytes(4096)), "vol", "a volume")
ALLOCATION = struct.pack(">I", 1) + string(b"base:allocation")
INFORMATION = struct.pack(">HHHHH", 4, Info.NAME, Info.DESCRIPTION, Info.BLOCK_SIZE, 99)


def test_greets_as_fixed_newstyle() -> None:
    with Client(EXPORT) as client:
        assert client.greet() == b"NBDMAGICIHAVEOPT\0\3"


def test_unknown_client_flags_end_the_connection() -> None:
    with Client(EXPORT) as client:
        client.greet(flags=8)
        assert client.is_hung_up()


def test_lists_the_export() -> None:
    with Client(EXPORT) as client:
        client.greet()
        assert client.ask(Option.LIST) == [(Reply.SERVER, string(b"vol") + b"a volume"), (Reply.ACK, b"")]
        assert client.ask(Option.LIST, b"x") == [(Reply.ERR_INVALID, b"")]


@pytest.mark.parametrize("name", [b"", b"vol"])
def test_tells_about_the_export_and_goes(name: bytes) -> None:
    with Client(EXPORT) as client:
        client.greet()
        replies = {
            int.from_bytes(data[:2]): data[2:]
            for kind, data in client.ask(Option.INFO, string(name) + INFORMATION)[:-1]
        }
        assert replies[Info.EXPORT] == struct.pack(">QH", 4096, 1 | 2 | 256)
        assert replies[Info.NAME] == b"vol"
        assert replies[Info.DESCRIPTION] == b"a volume"
        assert replies[Info.BLOCK_SIZE] == struct.pack(">III", 1, 4096, MAX_PAYLOAD_BYTES)
        assert len(client.ask(Option.GO, string(name) + bytes(2))) == 2
        client.request(0, 0, 10)
        assert client.simple() == (0, 7)


def test_unknown_export() -> None:
    with Client(EXPORT) as client:
        client.greet()
        assert client.ask(Option.GO, string(b"other") + bytes(2)) == [(Reply.ERR_UNKNOWN, b"")]
        assert client.ask(Option.GO, string(b"x" * 5000) + bytes(2)) == [(Reply.ERR_UNKNOWN, b"")]
        client.ask(Option.STRUCTURED_REPLY)
        assert client.ask(Option.LIST_META_CONTEXT, string(b"other") + bytes(4)) == [(Reply.ERR_UNKNOWN, b"")]
        client.option(Option.EXPORT_NAME, b"other")
        assert client.is_hung_up()


@pytest.mark.parametrize(("flags", "padding"), [(3, 0), (1, 124)])
def test_export_name_of_old_clients(flags: int, padding: int) -> None:
    with Client(EXPORT) as client:
        client.greet(flags)
        client.option(Option.EXPORT_NAME, b"vol")
        assert client.take(10 + padding) == struct.pack(">QH", 4096, 1 | 2 | 256) + bytes(padding)
        client.request(0, 0, 10)
        assert client.simple() == (0, 7)


def test_abort_is_acknowledged() -> None:
    with Client(EXPORT) as client:
        client.greet()
        assert client.ask(Option.ABORT) == [(Reply.ACK, b"")]
        assert client.is_hung_up()


@pytest.mark.parametrize("option", [4, 5, 11, 0, 0xFFFFFFFF])
def test_what_is_not_offered_is_refused_and_haggling_goes_on(option: int) -> None:
    with Client(EXPORT) as client:
        client.greet()
        assert client.ask(option, b"data") == [(Reply.ERR_UNSUP, b"")]
        assert client.ask(Option.LIST)[-1] == (Reply.ACK, b"")


@pytest.mark.parametrize(
    ("option", "data"),
    [
        (Option.GO, b""),
        (Option.GO, b"\0\0"),
        (Option.GO, struct.pack(">I", 100) + b"vol"),
        (Option.GO, string(b"vol") + b"\0\5"),
        (Option.INFO, string(b"vol") + bytes(2) + b"extra"),
        (Option.STRUCTURED_REPLY, b"x"),
        (Option.LIST_META_CONTEXT, string(b"vol") + struct.pack(">I", 0xFFFFFFFF)),
        (Option.SET_META_CONTEXT, string(b"vol") + struct.pack(">II", 1, 0xFFFFFFFF)),
        (Option.SET_META_CONTEXT, string(b"vol") + ALLOCATION + b"x"),
    ],
)
def test_malformed_options_are_invalid(option: int, data: bytes) -> None:
    with Client(EXPORT) as client:
        client.greet()
        if option != Option.STRUCTURED_REPLY:
            client.ask(Option.STRUCTURED_REPLY)
        assert client.ask(option, data) == [(Reply.ERR_INVALID, b"")]


def test_meta_contexts() -> None:
    with Client(EXPORT) as client:
        client.greet()
        query = string(b"vol")
        assert client.ask(Option.SET_META_CONTEXT, query + ALLOCATION) == [(Reply.ERR_INVALID, b"")]
        client.ask(Option.STRUCTURED_REPLY)
        listed = (Reply.META_CONTEXT, bytes(4) + b"base:allocation")
        chosen = (Reply.META_CONTEXT, struct.pack(">I", 1) + b"base:allocation")
        done = (Reply.ACK, b"")
        wildcard = struct.pack(">I", 1) + string(b"base:")
        foreign = struct.pack(">I", 1) + string(b"qemu:dirty-bitmap:x")
        assert client.ask(Option.LIST_META_CONTEXT, query + bytes(4)) == [listed, done]
        assert client.ask(Option.LIST_META_CONTEXT, query + wildcard) == [listed, done]
        assert client.ask(Option.LIST_META_CONTEXT, query + foreign) == [done]
        assert client.ask(Option.SET_META_CONTEXT, query + bytes(4)) == [done]
        assert client.ask(Option.SET_META_CONTEXT, query + wildcard) == [done]
        assert client.ask(Option.SET_META_CONTEXT, query + ALLOCATION) == [chosen, done]


@pytest.mark.parametrize(
    ("asked_for", "gone_to", "error"), [(b"vol", b"vol", None), (b"vol", b"", 22), (None, b"vol", 22)]
)
def test_block_status_only_for_the_export_it_was_agreed_on(
    asked_for: bytes | None, gone_to: bytes, error: int | None
) -> None:
    with Client(EXPORT) as client:
        client.greet()
        client.ask(Option.STRUCTURED_REPLY)
        if asked_for is not None:
            client.ask(Option.SET_META_CONTEXT, string(asked_for) + ALLOCATION)
        client.ask(Option.GO, string(gone_to) + bytes(2))
        client.request(7, 0, 4096)
        (chunk,) = client.chunks()
        if error is None:
            assert chunk.data == struct.pack(">III", 1, 4096, 0)
        else:
            assert struct.unpack_from(">I", chunk.data)[0] == error


def test_long_options_are_skipped_or_end_the_connection() -> None:
    with Client(EXPORT) as client:
        client.greet()
        assert client.ask(Option.LIST, bytes(MAX_OPTION_BYTES + 1)) == [(Reply.ERR_TOO_BIG, b"")]
        assert client.ask(Option.LIST)[-1] == (Reply.ACK, b"")
        client.option(Option.LIST, length=MAX_PAYLOAD_BYTES + 1)
        assert client.is_hung_up()


@pytest.mark.parametrize("nonsense", [b"IHAVEOPX" + bytes(8), b"GET / HTTP/1.0\r\n\r\n"])
def test_wrong_magic_ends_the_connection(nonsense: bytes) -> None:
    with Client(EXPORT) as client:
        client.greet()
        client.socket.sendall(nonsense)
        assert client.is_hung_up()


def test_endless_haggling_ends() -> None:
    with Client(EXPORT) as client:
        client.greet()
        with pytest.raises((EOFError, OSError)):
            for _ in range(1000):
                client.ask(Option.LIST)
