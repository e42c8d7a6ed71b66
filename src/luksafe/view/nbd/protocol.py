"""Numbers and messages of the NBD protocol (doc/proto.md of the NetworkBlockDevice project); all are big-endian."""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Self

INIT_MAGIC = b"NBDMAGIC"
OPTION_MAGIC = b"IHAVEOPT"
OPTION_REPLY_MAGIC = 0x0003E889045565A9
REQUEST_MAGIC = 0x25609513
SIMPLE_REPLY_MAGIC = 0x67446698
STRUCTURED_REPLY_MAGIC = 0x668E33EF

MAX_PAYLOAD_BYTES = 32 << 20
MAX_OPTION_BYTES = 64 << 10
MAX_NAME_BYTES = 4096
MAX_STATUS_EXTENTS = 1 << 16

OPTION_HEADER = struct.Struct(">8sII")
OPTION_REPLY = struct.Struct(">QIII")
REQUEST = struct.Struct(">IHHQQI")
SIMPLE_REPLY = struct.Struct(">IIQ")
CHUNK = struct.Struct(">IHHQI")


class HandshakeFlag(IntFlag):
    """Flags that server and client exchange first."""

    FIXED_NEWSTYLE = 1
    NO_ZEROES = 2


class Option(IntEnum):
    """What a client may ask for before the transmission phase."""

    EXPORT_NAME = 1
    ABORT = 2
    LIST = 3
    INFO = 6
    GO = 7
    STRUCTURED_REPLY = 8
    LIST_META_CONTEXT = 9
    SET_META_CONTEXT = 10


class Reply(IntEnum):
    """Answers to options."""

    ACK = 1
    SERVER = 2
    INFO = 3
    META_CONTEXT = 4
    ERR_UNSUP = (1 << 31) + 1
    ERR_INVALID = (1 << 31) + 3
    ERR_UNKNOWN = (1 << 31) + 6
    ERR_TOO_BIG = (1 << 31) + 9


class Info(IntEnum):
    """Kinds of information in the answer to ``INFO`` and ``GO``."""

    EXPORT = 0
    NAME = 1
    DESCRIPTION = 2
    BLOCK_SIZE = 3


class TransmissionFlag(IntFlag):
    """What an export can do."""

    HAS_FLAGS = 1
    READ_ONLY = 2
    SEND_FLUSH = 4
    SEND_FUA = 8
    SEND_DF = 128
    CAN_MULTI_CONN = 256


class Command(IntEnum):
    """Requests of the transmission phase."""

    READ = 0
    WRITE = 1
    DISC = 2
    FLUSH = 3
    BLOCK_STATUS = 7


class CommandFlag(IntFlag):
    """Flags of a request."""

    FUA = 1
    DF = 4
    REQ_ONE = 8


class ChunkType(IntEnum):
    """Kinds of structured reply chunks."""

    NONE = 0
    OFFSET_DATA = 1
    OFFSET_HOLE = 2
    BLOCK_STATUS = 5
    ERROR = (1 << 15) + 1
    ERROR_OFFSET = (1 << 15) + 2


CHUNK_DONE = 1
ALLOCATION_CONTEXT = "base:allocation"
ALLOCATION_CONTEXT_ID = 1
STATE_HOLE = 1
STATE_ZERO = 2
ERRORS = frozenset(
    {errno.EPERM, errno.EIO, errno.ENOMEM, errno.EINVAL, errno.ENOSPC, errno.EOVERFLOW, errno.ENOTSUP, errno.ESHUTDOWN}
)


class ProtocolError(Exception):
    """The client broke the protocol: the connection ends."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request; ``command`` may be a number that is no ``Command``."""

    flags: int
    command: int
    cookie: int
    offset_bytes: int
    length_bytes: int

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read the 28 bytes of a request. Raises ``ProtocolError`` for a wrong magic."""
        magic, flags, command, cookie, offset, length = REQUEST.unpack(data)
        if magic != REQUEST_MAGIC:
            raise ProtocolError("wrong request magic")
        return cls(flags, command, cookie, offset, length)

    @property
    def end_bytes(self) -> int:
        """The first byte after the range."""
        return self.offset_bytes + self.length_bytes


def option_reply(option: int, reply: Reply, data: bytes = b"") -> bytes:
    """An answer to an option."""
    return OPTION_REPLY.pack(OPTION_REPLY_MAGIC, option, reply, len(data)) + data


def simple_reply(cookie: int, error: int = 0) -> bytes:
    """A simple reply; the data of a read follow it."""
    return SIMPLE_REPLY.pack(SIMPLE_REPLY_MAGIC, error, cookie)


def chunk_header(cookie: int, kind: ChunkType, length_bytes: int, *, done: bool) -> bytes:
    """The header of a structured reply chunk."""
    return CHUNK.pack(STRUCTURED_REPLY_MAGIC, CHUNK_DONE if done else 0, kind, cookie, length_bytes)


def error_chunk(cookie: int, error: int, message: str = "", offset_bytes: int | None = None) -> bytes:
    """A last chunk that says what failed, and where if known."""
    text = message.encode()[:MAX_NAME_BYTES]
    body = struct.pack(">IH", error, len(text)) + text
    if offset_bytes is None:
        return chunk_header(cookie, ChunkType.ERROR, len(body), done=True) + body
    body += struct.pack(">Q", offset_bytes)
    return chunk_header(cookie, ChunkType.ERROR_OFFSET, len(body), done=True) + body


def error_number(error: OSError) -> int:
    """The NBD error for an ``OSError``: only a few numbers may be sent."""
    if error.errno in (errno.EDQUOT, errno.EFBIG):
        return errno.ENOSPC
    return error.errno if error.errno in ERRORS else errno.EIO
