"""The second phase of an NBD connection: requests and replies (doc/proto.md, "Transmission")."""

from __future__ import annotations

import errno
import select
import socket
import struct
import threading
import time
from contextlib import suppress

from luksafe.view.nbd.export import Export
from luksafe.view.nbd.handshake import Session
from luksafe.view.nbd.protocol import (
    ALLOCATION_CONTEXT_ID,
    MAX_PAYLOAD_BYTES,
    REQUEST,
    ChunkType,
    Command,
    CommandFlag,
    ProtocolError,
    Request,
    chunk_header,
    error_chunk,
    error_number,
    simple_reply,
)
from luksafe.view.nbd.wire import Buffer, discard, receive, send

PIECE_BYTES = 1 << 20  # how much one thread keeps in memory, whatever the client asks for
IDLE_SECONDS = 3600.0  # a mounted filesystem may want nothing for a while
STALL_SECONDS = 60.0  # within a message: nobody who means well takes longer
ZEROS = bytes(PIECE_BYTES)
FLAGS = {  # the flags that each command may carry
    Command.READ: CommandFlag.DF,
    Command.WRITE: CommandFlag.FUA,
    Command.FLUSH: CommandFlag(0),
    Command.BLOCK_STATUS: CommandFlag.REQ_ONE,
}


class Transmission:
    """Serves one connection with a few threads: one decrypts while another one sends.

    A client that is idle, or that stops in the middle of a message, is left after a while: places are few.
    """

    def __init__(
        self, connection: socket.socket, export: Export, session: Session, idle_seconds: float = IDLE_SECONDS
    ) -> None:
        self._idle_seconds = idle_seconds
        self.last_request = time.monotonic()
        """When the client asked for something last."""
        self._connection = connection
        self._export = export
        self._session = session
        self._receiving = threading.Lock()
        self._sending = threading.Lock()
        self._is_closing = False

    def run(self, threads: int) -> None:
        """Serve until the client leaves, breaks the protocol, or is idle for too long."""
        self._connection.settimeout(STALL_SECONDS)
        others = [threading.Thread(target=self._serve, daemon=True) for _ in range(threads - 1)]
        for thread in others:
            thread.start()
        self._serve()
        for thread in others:
            thread.join()

    def _serve(self) -> None:
        try:
            while self._serve_one():
                pass
        except (ProtocolError, EOFError, OSError):
            self._is_closing = True
            with suppress(OSError):  # wakes the other threads of this connection
                self._connection.shutdown(socket.SHUT_RDWR)

    def _serve_one(self) -> bool:
        with self._receiving:
            if self._is_closing:
                return False
            self._wait_for_request()
            request = Request.parse(receive(self._connection, REQUEST.size))
            self.last_request = time.monotonic()
            if request.command == Command.DISC:
                self._is_closing = True
                return False
            failure = self._check(request)
            if request.command == Command.WRITE:
                failure = self._receive_write(request, failure)
        if failure is not None:
            self._send_error(request, failure)
        elif request.command == Command.READ:
            self._read(request)
        elif request.command == Command.BLOCK_STATUS:
            self._status(request)
        else:
            self._finish_write(request)
        return True

    def _wait_for_request(self) -> None:
        """Until something comes. Raises ``TimeoutError`` for a client that has wanted nothing for so long."""
        poll = select.poll()
        poll.register(self._connection, select.POLLIN)
        if not poll.poll(self._idle_seconds * 1000):
            raise TimeoutError("the client is idle")

    def _check(self, request: Request) -> OSError | None:
        """Why the request cannot be done, as far as can be seen from it alone."""
        if request.command not in FLAGS:
            return OSError(errno.EINVAL, "unknown command")
        allowed = FLAGS[Command(request.command)]
        if self._export.writable is not None:
            allowed |= CommandFlag.FUA  # clients may set it on any command
        if not self._session.structured:
            allowed &= ~CommandFlag.DF
        if request.flags & ~int(allowed):
            return OSError(errno.EINVAL, "unknown command flag")
        if request.command == Command.WRITE and self._export.writable is None:
            return OSError(errno.EPERM, "this export is read-only")
        if request.command == Command.BLOCK_STATUS and not self._session.allocation:
            return OSError(errno.EINVAL, "no metadata context was chosen")
        if request.end_bytes > self._export.size_bytes and request.command != Command.FLUSH:
            kind = errno.ENOSPC if request.command == Command.WRITE else errno.EINVAL
            return OSError(kind, "beyond the end of the export")
        limit = PIECE_BYTES if request.flags & CommandFlag.DF else MAX_PAYLOAD_BYTES
        if request.command == Command.READ and request.length_bytes > limit:
            return OSError(errno.EOVERFLOW if self._session.structured else errno.EINVAL, "too much at once")
        return None

    def _send(self, *parts: Buffer) -> None:
        with self._sending:
            send(self._connection, parts)

    def _send_error(self, request: Request, error: OSError, offset_bytes: int | None = None) -> None:
        number = error_number(error)
        if self._session.structured and request.command in (Command.READ, Command.BLOCK_STATUS):
            self._send(error_chunk(request.cookie, number, error.strerror or "", offset_bytes))
        else:
            self._send(simple_reply(request.cookie, number))

    def _read(self, request: Request) -> None:
        if self._session.structured:
            self._read_structured(request)
            return
        try:
            data = self._export.reader.read_at(request.offset_bytes, min(request.length_bytes, PIECE_BYTES))
        except OSError as error:
            self._send_error(request, error)
            return
        with self._sending:  # a simple reply cannot be interleaved with others; a later error ends the connection
            send(self._connection, [simple_reply(request.cookie), data])
            for offset, length in _pieces(request)[1:]:
                send(self._connection, [self._export.reader.read_at(offset, length)])

    def _read_structured(self, request: Request) -> None:
        pieces = _pieces(request)
        for number, (offset, length) in enumerate(pieces, 1):
            try:
                data = self._export.reader.read_at(offset, length)
            except OSError as error:
                self._send_error(request, error, offset)
                return
            is_last = number == len(pieces)
            start = struct.pack(">Q", offset)
            if ZEROS.startswith(data) and not request.flags & CommandFlag.DF:
                head = chunk_header(request.cookie, ChunkType.OFFSET_HOLE, 12, done=is_last)
                self._send(head, start, struct.pack(">I", length))
            else:
                head = chunk_header(request.cookie, ChunkType.OFFSET_DATA, 8 + length, done=is_last)
                self._send(head, start, data)
        if not pieces:
            self._send(chunk_header(request.cookie, ChunkType.NONE, 0, done=True))

    def _status(self, request: Request) -> None:
        """Decrypted data are never known to be zero before they are read: all is reported as data."""
        if request.length_bytes == 0:
            self._send_error(request, OSError(errno.EINVAL, "no length"))
            return
        body = struct.pack(">III", ALLOCATION_CONTEXT_ID, request.length_bytes, 0)
        self._send(chunk_header(request.cookie, ChunkType.BLOCK_STATUS, len(body), done=True), body)

    def _receive_write(self, request: Request, failure: OSError | None) -> OSError | None:
        """Take the payload, which follows even a request that cannot be done, and write it piece by piece."""
        if request.length_bytes > MAX_PAYLOAD_BYTES:
            raise ProtocolError("a write of absurd length")
        writable = self._export.writable
        for offset, length in _pieces(request):
            if failure is not None or writable is None:
                discard(self._connection, request.end_bytes - offset)
                break
            data = receive(self._connection, length)
            try:
                writable.write_at(offset, data)
            except OSError as error:
                failure = error
                discard(self._connection, request.end_bytes - offset - length)
                break
        return failure

    def _finish_write(self, request: Request) -> None:
        """The reply to a write or flush, after what must be durable is."""
        try:
            if self._export.writable and (request.command == Command.FLUSH or request.flags & CommandFlag.FUA):
                self._export.writable.flush()
        except OSError as error:
            self._send_error(request, error)
            return
        self._send(simple_reply(request.cookie))


def _pieces(request: Request) -> list[tuple[int, int]]:
    """The range of a request cut into pieces: offset and length of each."""
    return [
        (offset, min(PIECE_BYTES, request.end_bytes - offset))
        for offset in range(request.offset_bytes, request.end_bytes, PIECE_BYTES)
    ]
