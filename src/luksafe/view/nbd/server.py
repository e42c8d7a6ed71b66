"""Serving an export to several clients: a process that accepts, and worker processes that decrypt and answer."""

from __future__ import annotations

import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from luksafe.errors import LuksafeError
from luksafe.view.nbd.export import Export
from luksafe.view.nbd.handshake import Handshake
from luksafe.view.nbd.protocol import ProtocolError
from luksafe.view.nbd.transmission import IDLE_SECONDS, Transmission
from luksafe.view.process import Worker, count_workers, fork_worker

MAX_CONNECTIONS = 16  # of one worker; each takes up to 10 MiB
THREADS_PER_CONNECTION = 2
HANDSHAKE_SECONDS = 30
REPLACEABLE_SECONDS = 60  # idle for so long, a client gives way when all places are taken


class ClientService:
    """Serves connections in threads of this process, until ``close``."""

    def __init__(
        self, export: Export, threads_per_connection: int = THREADS_PER_CONNECTION, idle_seconds: float = IDLE_SECONDS
    ) -> None:
        self._idle_seconds = idle_seconds
        self._transmissions: dict[socket.socket, Transmission] = {}
        self._export = export
        self._threads = threads_per_connection
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._lock = threading.Lock()

    def add(self, connection: socket.socket) -> None:
        """Serve a client in the background; one too many takes the place of an idle one, or is turned away."""
        with self._lock:
            if len(self._connections) >= MAX_CONNECTIONS and not self._make_room():
                connection.close()
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._connections[connection] = thread
        thread.start()

    def _make_room(self) -> bool:
        """Leave the client that has been idle longest, if that is long enough to take its place."""
        now = time.monotonic()
        idle = [(each.last_request, id(at), at) for at, each in self._transmissions.items()]
        if not idle or now - min(idle)[0] < REPLACEABLE_SECONDS:
            return False
        connection = min(idle)[2]
        del self._transmissions[connection], self._connections[connection]
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        return True

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.settimeout(HANDSHAKE_SECONDS)
            session = Handshake(connection, self._export).run()
            if session is not None:
                transmission = Transmission(connection, self._export, session, self._idle_seconds)
                with self._lock:
                    self._transmissions[connection] = transmission
                transmission.run(self._threads)
        except (ProtocolError, EOFError, OSError):
            pass  # the client is gone or hostile; the others go on
        finally:
            with self._lock:
                self._connections.pop(connection, None)
                self._transmissions.pop(connection, None)
            connection.close()

    def close(self) -> None:
        """Hang up on every client; what writes were answered is made durable."""
        with self._lock:
            open_connections = dict(self._connections)
        for connection in open_connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in open_connections.values():
            thread.join(timeout=5)
        if self._export.writable is not None:
            self._export.writable.flush()


def serve(
    export: Export,
    listener: socket.socket,
    *,
    workers: int | None = None,
    on_ready: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGINT or SIGTERM. An export with an overlay has one worker, whose threads share its state.

    Raises ``LuksafeError`` where a worker dies. Call it from the main thread.
    """
    count = 1 if export.writable is not None else workers or count_workers()
    channels: list[socket.socket] = []
    children: list[Worker] = []
    try:
        with _StopSignals() as stop:
            for _ in range(count):
                ours, theirs = socket.socketpair()
                keep_closed = [*channels, ours, listener]
                children.append(fork_worker(lambda: _work(export, theirs, keep_closed)))  # noqa: B023  # forks at once
                theirs.close()
                channels.append(ours)
            on_ready()
            _hand_out(listener, channels, children, stop)
    finally:
        for channel in channels:  # the end of its channel tells a worker to finish
            channel.close()
        for child in children:
            child.join()


def _work(export: Export, channel: socket.socket, keep_closed: list[socket.socket]) -> None:
    """A worker: take connections from the channel until it closes."""
    for other in keep_closed:
        other.close()
    service = ClientService(export)
    while True:
        _, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
        if not descriptors:
            break
        service.add(socket.socket(fileno=descriptors[0]))
    service.close()


def _hand_out(
    listener: socket.socket, channels: list[socket.socket], children: list[Worker], stop: socket.socket
) -> None:
    """Accept clients and give them to the workers in turn."""
    listener.setblocking(False)
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        selector.register(stop, selectors.EVENT_READ)
        for child in children:
            selector.register(child.pidfd, selectors.EVENT_READ)
        turn = 0
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if stop in ready:
                return
            if not ready <= {listener, stop}:
                raise LuksafeError("a worker process died", hint="start it again; dmesg tells whether memory ran out")
            with suppress(BlockingIOError, ConnectionAbortedError):
                connection, _ = listener.accept()
                with connection:
                    connection.setblocking(True)
                    socket.send_fds(channels[turn], [b"+"], [connection.fileno()])
                turn = (turn + 1) % len(channels)


class _StopSignals:
    """Turns SIGINT and SIGTERM into bytes on a socket while it is entered."""

    def __enter__(self) -> socket.socket:
        self._receiver, self._sender = socket.socketpair()
        self._sender.setblocking(False)
        self._wakeup = signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)
        self._handlers = {number: signal.signal(number, _ignore) for number in (signal.SIGINT, signal.SIGTERM)}
        return self._receiver

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._receiver.close()
        self._sender.close()


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """A handler that leaves the news to the wake-up socket."""
