"""The first phase of an NBD connection: which export, which features (doc/proto.md, "Newstyle negotiation")."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

from luksafe.view.nbd.export import Export
from luksafe.view.nbd.protocol import (
    ALLOCATION_CONTEXT,
    ALLOCATION_CONTEXT_ID,
    INIT_MAGIC,
    MAX_NAME_BYTES,
    MAX_OPTION_BYTES,
    MAX_PAYLOAD_BYTES,
    OPTION_HEADER,
    OPTION_MAGIC,
    HandshakeFlag,
    Info,
    Option,
    ProtocolError,
    Reply,
    option_reply,
)
from luksafe.view.nbd.wire import discard, receive, send

MAX_OPTIONS = 100  # clients send about five
PREFERRED_BLOCK_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Session:
    """What was agreed on: structured replies, and whether block status may be asked for."""

    structured: bool = False
    allocation: bool = False


class Malformed(Exception):
    """The data of an option cannot be read."""


class _Fields:
    """Takes numbers and names off the data of an option."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def take(self, length: int) -> bytes:
        if length > len(self._data):
            raise Malformed
        head, self._data = self._data[:length], self._data[length:]
        return head

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size))

    def string(self) -> bytes:
        return self.take(self.number(4))

    def finish(self) -> None:
        if self._data:
            raise Malformed


class Handshake:
    """Negotiates on one connection."""

    def __init__(self, connection: socket.socket, export: Export) -> None:
        self._connection = connection
        self._export = export
        self._structured = False
        self._context_for: bytes | None = None  # the export name that block status was agreed on for
        self._no_zeroes = False

    def run(self) -> Session | None:
        """What was agreed on; None where the client leaves. Raises ``ProtocolError``, ``EOFError``, ``OSError``."""
        flags = HandshakeFlag.FIXED_NEWSTYLE | HandshakeFlag.NO_ZEROES
        send(self._connection, [INIT_MAGIC + OPTION_MAGIC + struct.pack(">H", flags)])
        answer = int.from_bytes(receive(self._connection, 4))
        if answer & ~int(flags):
            raise ProtocolError("the client sets unknown handshake flags")
        self._no_zeroes = bool(answer & HandshakeFlag.NO_ZEROES)
        for _ in range(MAX_OPTIONS):
            magic, option, length = OPTION_HEADER.unpack(receive(self._connection, OPTION_HEADER.size))
            if magic != OPTION_MAGIC:
                raise ProtocolError("wrong option magic")
            if option == Option.ABORT:
                self._reply(option, Reply.ACK)
                return None
            session = self._answer(option, self._receive_data(option, length))
            if session is not None:
                return session
        raise ProtocolError("the client haggles without end")

    def _receive_data(self, option: int, length: int) -> bytes | None:
        """The data of an option; None where it is too long to be honest but short enough to be skipped."""
        if length <= MAX_OPTION_BYTES:
            return receive(self._connection, length)
        if length > MAX_PAYLOAD_BYTES or option == Option.EXPORT_NAME:
            raise ProtocolError("an option of absurd length")
        discard(self._connection, length)
        return None

    def _answer(self, option: int, data: bytes | None) -> Session | None:
        if data is None:
            self._reply(option, Reply.ERR_TOO_BIG)
            return None
        try:
            match option:
                case Option.EXPORT_NAME:
                    return self._choose_by_name(data)
                case Option.LIST:
                    self._list(_Fields(data))
                case Option.INFO | Option.GO:
                    return self._inform(option, _Fields(data))
                case Option.STRUCTURED_REPLY:
                    _Fields(data).finish()
                    self._structured = True
                    self._reply(option, Reply.ACK)
                case Option.LIST_META_CONTEXT | Option.SET_META_CONTEXT:
                    self._meta_context(option, _Fields(data))
                case _:
                    self._reply(option, Reply.ERR_UNSUP)
        except Malformed:
            self._reply(option, Reply.ERR_INVALID)
        return None

    def _reply(self, option: int, reply: Reply, data: bytes = b"") -> None:
        send(self._connection, [option_reply(option, reply, data)])

    def _session(self, name: bytes) -> Session:
        return Session(self._structured, self._structured and self._context_for == name)

    def _choose_by_name(self, name: bytes) -> Session:
        """``EXPORT_NAME`` knows no error reply: an unknown name ends the connection."""
        if not self._export.has_name(name):
            raise ProtocolError("the client asks for an unknown export")
        padding = b"" if self._no_zeroes else bytes(124)
        send(self._connection, [self._size_and_flags() + padding])
        return self._session(name)

    def _size_and_flags(self) -> bytes:
        flags = self._export.transmission_flags(structured=self._structured)
        return struct.pack(">QH", self._export.size_bytes, flags)

    def _list(self, fields: _Fields) -> None:
        fields.finish()
        name = self._export.name.encode()
        server = struct.pack(">I", len(name)) + name + self._export.description.encode()
        self._reply(Option.LIST, Reply.SERVER, server)
        self._reply(Option.LIST, Reply.ACK)

    def _inform(self, option: int, fields: _Fields) -> Session | None:
        name = fields.string()
        wanted = {fields.number(2) for _ in range(fields.number(2))}
        fields.finish()
        if len(name) > MAX_NAME_BYTES or not self._export.has_name(name):
            self._reply(option, Reply.ERR_UNKNOWN)
            return None
        for kind, data in self._information().items():
            if kind == Info.EXPORT or kind in wanted:
                self._reply(option, Reply.INFO, struct.pack(">H", kind) + data)
        self._reply(option, Reply.ACK)
        return self._session(name) if option == Option.GO else None

    def _information(self) -> dict[Info, bytes]:
        return {
            Info.EXPORT: self._size_and_flags(),
            Info.NAME: self._export.name.encode(),
            Info.DESCRIPTION: self._export.description.encode(),
            Info.BLOCK_SIZE: struct.pack(">III", 1, PREFERRED_BLOCK_BYTES, MAX_PAYLOAD_BYTES),
        }

    def _meta_context(self, option: int, fields: _Fields) -> None:
        if option == Option.SET_META_CONTEXT:
            self._context_for = None
        name = fields.string()
        queries = [fields.string() for _ in range(fields.number(4))]
        fields.finish()
        if not self._structured:
            raise Malformed
        if not self._export.has_name(name):
            self._reply(option, Reply.ERR_UNKNOWN)
            return
        listing = option == Option.LIST_META_CONTEXT
        matches = ALLOCATION_CONTEXT.encode() in queries or (listing and (not queries or b"base:" in queries))
        if matches:
            identifier = 0 if listing else ALLOCATION_CONTEXT_ID
            self._reply(option, Reply.META_CONTEXT, struct.pack(">I", identifier) + ALLOCATION_CONTEXT.encode())
            self._context_for = self._context_for if listing else name
        self._reply(option, Reply.ACK)
