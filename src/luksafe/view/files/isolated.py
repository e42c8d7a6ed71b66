"""Reading a possibly hostile filesystem in a process of its own, so that a crash or a flood there stays there."""

from __future__ import annotations

import os
import resource
import select
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from luksafe.errors import DamagedInput, LuksafeError, NotFound, Unsupported
from luksafe.view.files.node import Entry
from luksafe.view.process import fork_worker

MEMORY_BYTES = 256 << 20  # that the reader may take on top of what it starts with
SILENCE_SECONDS = 300
MAX_MESSAGE_BYTES = 8 << 20
MOUNT_INSTEAD = "let the kernel try: luksafe mount TARGET DIR, then mount -o ro,loop DIR/volume /mnt"

Path = tuple[bytes, ...]


class Found(msgspec.Struct, frozen=True, tag=True):
    """A node of the tree, by the parts of its path below what was asked for."""

    parts: Path
    entry: Entry


class Chunk(msgspec.Struct, frozen=True, tag=True):
    """Bytes of the file found last; what is not sent is zero."""

    offset_bytes: int
    data: bytes


class FileEnd(msgspec.Struct, frozen=True, tag=True):
    """The end of a file; ``bad_bytes`` of the disk could not be read for it and count as zeros."""

    bad_bytes: int
    failure: str = ""


class Note(msgspec.Struct, frozen=True, tag=True):
    """Something that could not be read."""

    parts: Path
    text: str


class Failure(msgspec.Struct, frozen=True, tag=True):
    """The reader gave up with an error of ours."""

    code: str
    text: str
    hint: str


Message = Found | Chunk | FileEnd | Note
_ERRORS: dict[str, type[LuksafeError]] = {kind.code: kind for kind in (DamagedInput, NotFound, Unsupported)}
_LENGTH = struct.Struct("=I")


def run_isolated(produce: Callable[[], Iterable[Message]]) -> Iterator[Message]:
    """What ``produce`` yields, from a child with bounded memory. Raises its errors, ``DamagedInput`` where it dies."""
    receiver, sender = os.pipe()
    try:
        worker = fork_worker(lambda: _produce(produce, receiver, sender))
    finally:
        os.close(sender)
    ended = False
    try:
        yield from _messages(receiver)
        ended = True
    finally:
        os.close(receiver)
        if not ended:
            worker.kill()
        status = worker.join()
    if status != 0:
        raise DamagedInput("the filesystem is damaged beyond what its reader can bear", hint=MOUNT_INSTEAD)


def _produce(produce: Callable[[], Iterable[Message]], receiver: int, sender: int) -> None:
    """The child's part."""
    os.close(receiver)
    limit = _data_bytes() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    with open(sender, "wb", buffering=1 << 20) as out:
        encode = msgspec.msgpack.Encoder().encode
        try:
            for message in produce():
                _write(out, encode(message))
        except LuksafeError as error:
            _write(out, encode(Failure(error.code, str(error), error.hint)))
        except BrokenPipeError:
            return
        except Exception as error:  # whatever a C library makes of damaged structures
            text = f"the filesystem cannot be read: {error or type(error).__name__}"
            _write(out, encode(Failure(DamagedInput.code, text, MOUNT_INSTEAD)))


def _write(out: Any, body: bytes) -> None:
    out.write(_LENGTH.pack(len(body)))
    out.write(body)


def _data_bytes() -> int:
    """How much private memory this process has now."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[5]) * resource.getpagesize()


def _messages(receiver: int) -> Iterator[Message]:
    decode = msgspec.msgpack.Decoder(Found | Chunk | FileEnd | Note | Failure).decode
    while header := _receive(receiver, _LENGTH.size):
        (length,) = _LENGTH.unpack(header)
        if length > MAX_MESSAGE_BYTES:
            raise DamagedInput("the reader of the filesystem went mad", hint=MOUNT_INSTEAD)
        body = _receive(receiver, length)
        if len(body) != length:
            return  # it died; its exit status tells
        message = decode(body)
        if isinstance(message, Failure):
            raise _ERRORS.get(message.code, LuksafeError)(message.text, hint=message.hint)
        yield message


def _receive(receiver: int, length: int) -> bytes:
    """Exactly so many bytes, or none at the end of the stream."""
    data = bytearray()
    while len(data) < length:
        if not select.select([receiver], [], [], SILENCE_SECONDS)[0]:
            raise DamagedInput(
                f"the reader of the filesystem has said nothing for {SILENCE_SECONDS} seconds", hint=MOUNT_INSTEAD
            )
        part = os.read(receiver, min(length - len(data), 1 << 20))
        if not part:
            return b""
        data += part
    return bytes(data)
