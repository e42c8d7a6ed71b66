"""Whole messages over a socket that gives and takes them in parts."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from unit.view.readers import noise

from luksafe.view.nbd.protocol import ProtocolError
from luksafe.view.nbd.wire import discard, receive, send


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for end in (ours, theirs):
            end.settimeout(20)  # with one, neither sendmsg nor MSG_WAITALL waits for all of it
        yield ours, theirs


def test_a_message_larger_than_the_socket_takes_at_once(pair: tuple[socket.socket, socket.socket]) -> None:
    parts = [b"head", noise(3 << 20), b"", noise(1000, 2)]
    thread = threading.Thread(target=send, args=(pair[0], parts))
    thread.start()
    assert receive(pair[1], sum(map(len, parts))) == b"".join(parts)
    thread.join()


def test_a_message_that_comes_in_parts(pair: tuple[socket.socket, socket.socket]) -> None:
    def trickle() -> None:
        for part in (b"ab", b"cd", b"e"):
            pair[0].sendall(part)
            time.sleep(0.02)

    thread = threading.Thread(target=trickle)
    thread.start()
    assert receive(pair[1], 3) == b"abc"
    discard(pair[1], 1)
    assert receive(pair[1], 1) == b"e"
    thread.join()


def test_the_end_between_messages_and_within_one(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[0].sendall(b"abc")
    pair[0].shutdown(socket.SHUT_WR)
    assert receive(pair[1], 2) == b"ab"
    with pytest.raises(ProtocolError, match="middle"):
        receive(pair[1], 2)
    with pytest.raises(EOFError):
        receive(pair[1], 2)
