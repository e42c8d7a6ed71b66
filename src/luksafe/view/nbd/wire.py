"""Exact sends and receives on a stream socket."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from luksafe.view.nbd.protocol import ProtocolError

Buffer = bytes | bytearray | memoryview


def receive(connection: socket.socket, length_bytes: int) -> bytes:
    """Exactly ``length_bytes`` bytes. Raises ``EOFError`` at the end of the stream, ``ProtocolError`` for a part."""
    if length_bytes == 0:
        return b""
    data = connection.recv(length_bytes, socket.MSG_WAITALL)
    if len(data) == length_bytes:
        return data
    if not data:
        raise EOFError
    parts = bytearray(data)
    while len(parts) < length_bytes:  # a signal or a timeout may cut MSG_WAITALL short
        more = connection.recv(length_bytes - len(parts), socket.MSG_WAITALL)
        if not more:
            raise ProtocolError("the client hung up in the middle of a message")
        parts += more
    return bytes(parts)


def discard(connection: socket.socket, length_bytes: int) -> None:
    """Read and forget ``length_bytes`` bytes."""
    while length_bytes > 0:
        length_bytes -= len(receive(connection, min(length_bytes, 1 << 20)))


def send(connection: socket.socket, parts: Sequence[Buffer]) -> None:
    """Send all of ``parts`` without joining them."""
    sent = connection.sendmsg(parts)
    if sent == sum(len(part) for part in parts):
        return
    for part in parts:
        view = memoryview(part)
        if sent < len(view):
            connection.sendall(view[sent:])
        sent = max(0, sent - len(view))
