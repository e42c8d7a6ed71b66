"""Sockets to listen on: private unix sockets, or TCP that never leaves this machine."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from luksafe.errors import Busy, Refused, UsageError

BACKLOG = 16
MAX_UNIX_PATH_BYTES = 107


@contextmanager
def listen_unix(path: Path) -> Iterator[socket.socket]:
    """A unix socket that only its owner can connect to; removed on leaving. Raises ``Busy``, ``UsageError``."""
    if len(os.fsencode(path)) > MAX_UNIX_PATH_BYTES:
        raise UsageError(f"the socket path is too long: {path}", hint="choose one of at most 107 bytes")
    _remove_stale(path)
    with socket.socket(socket.AF_UNIX) as listener:
        previous = os.umask(0o177)
        try:
            listener.bind(os.fspath(path))
        except OSError as error:
            raise UsageError(f"cannot make the socket {path}: {error.strerror}", hint="choose another path") from None
        finally:
            os.umask(previous)
        try:
            listener.listen(BACKLOG)
            yield listener
        finally:
            with suppress(FileNotFoundError):
                path.unlink()


@contextmanager
def listen_tcp(host: str, port: int) -> Iterator[socket.socket]:
    """A TCP socket on a loopback address. Raises ``Refused`` for any other: NBD has no password."""
    address = "127.0.0.1" if host == "localhost" else host
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        raise UsageError(f"not an address: {host}", hint="use 127.0.0.1 or ::1") from None
    if not parsed.is_loopback:
        raise Refused(
            f"{host} can be reached from other machines, and NBD asks for no password",
            hint="use a unix socket or 127.0.0.1, and ssh -L to reach it from elsewhere",
        )
    family = socket.AF_INET6 if parsed.version == 6 else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address, port))
        except (OSError, OverflowError) as error:
            raise Busy(f"cannot listen on port {port}: {error}", hint="choose another port") from None
        listener.listen(BACKLOG)
        yield listener


def _remove_stale(path: Path) -> None:
    """Remove a socket whose server was killed; anything else is left, and binding to it then fails."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except OSError:
            return
    raise Busy(f"another server listens on {path}", hint="stop it, or choose another path")
