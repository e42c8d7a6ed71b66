"""A raw NBD client: sends what it is told, right or wrong, and reads what comes."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import Self

from luksafe.view.nbd.export import Export
from luksafe.view.nbd.protocol import CHUNK, OPTION_REPLY, REQUEST, REQUEST_MAGIC, Option
from luksafe.view.nbd.server import ClientService
from luksafe.view.nbd.transmission import IDLE_SECONDS


@dataclass
class Chunk:
    flags: int
    kind: int
    cookie: int
    data: bytes


class Client:
    """Connected to a service in this process by a socket pair."""

    def __init__(
        self, export: Export, idle_seconds: float = IDLE_SECONDS, service: ClientService | None = None
    ) -> None:
        self._export = export
        self.others: list[Client] = []
        self.service = service or ClientService(export, idle_seconds=idle_seconds)
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(10)
        self.service.add(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for client in (self, *self.others):
            client.socket.close()
        self.service.close()

    def another(self) -> Client:
        """One more client of the same service."""
        self.others.append(Client(self._export, service=self.service))
        return self.others[-1]

    def take(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            part = self.socket.recv(length - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def is_hung_up(self) -> bool:
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def greet(self, flags: int = 3) -> bytes:
        greeting = self.take(18)
        self.socket.sendall(struct.pack(">I", flags))
        return greeting

    def option(self, option: int, data: bytes = b"", length: int | None = None) -> None:
        length = len(data) if length is None else length
        self.socket.sendall(b"IHAVEOPT" + struct.pack(">II", option, length) + data)

    def option_replies(self) -> list[tuple[int, bytes]]:
        """All replies up to the last one: ACK or an error."""
        replies = []
        while True:
            magic, _, kind, length = OPTION_REPLY.unpack(self.take(OPTION_REPLY.size))
            assert magic == 0x3E889045565A9
            replies.append((kind, self.take(length)))
            if kind == 1 or kind >> 31:
                return replies

    def ask(self, option: int, data: bytes = b"") -> list[tuple[int, bytes]]:
        self.option(option, data)
        return self.option_replies()

    def go(self, *, structured: bool = True, allocation: bool = True, name: bytes = b"") -> Self:
        self.greet()
        if structured:
            self.ask(Option.STRUCTURED_REPLY)
        if allocation:
            self.ask(Option.SET_META_CONTEXT, string(name) + struct.pack(">I", 1) + string(b"base:allocation"))
        assert self.ask(Option.GO, string(name) + bytes(2))[-1][0] == 1
        return self

    def request(self, command: int, offset: int, length: int, *, flags: int = 0, cookie: int = 7) -> None:
        self.socket.sendall(REQUEST.pack(REQUEST_MAGIC, flags, command, cookie, offset, length))

    def simple(self) -> tuple[int, int]:
        """Error and cookie of a simple reply."""
        magic, error, cookie = struct.unpack(">IIQ", self.take(16))
        assert magic == 0x67446698
        return error, cookie

    def chunks(self) -> list[Chunk]:
        """All chunks of a structured reply."""
        found: list[Chunk] = []
        while not found or not found[-1].flags & 1:
            magic, flags, kind, cookie, length = CHUNK.unpack(self.take(CHUNK.size))
            assert magic == 0x668E33EF
            found.append(Chunk(flags, kind, cookie, self.take(length)))
        return found


def string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data
