"""A process that searches pieces of an image for another one: started by ``pieces``, told by a socket."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from multiprocessing.connection import Connection

from luksafe.memory.scanner import ScheduleScanner
from luksafe.programs import environment


def start() -> tuple[Connection, subprocess.Popen[bytes]]:
    """Start a worker. The first thing to send it is the image and the key lengths; then it asks for pieces.

    (Not multiprocessing's own processes: those run the main script of whoever uses this library a second time.)
    """
    ours, theirs = socket.socketpair()
    path = os.pathsep.join(folder for folder in sys.path if folder)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", f"from luksafe.memory.worker import serve; serve({theirs.fileno()})"],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env=environment(PYTHONPATH=path),
        )
    return Connection(ours.detach()), process


def serve(fd: int) -> None:
    """Report what begins in each piece, and how many bytes could not be read, until the other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends us
    with Connection(fd) as link, contextlib.suppress(EOFError, OSError):
        image, key_bits = link.recv()
        scanner = ScheduleScanner(image, key_bits)
        link.send((None, [], 0))
        while True:
            piece = link.recv()
            before = image.unreadable_bytes
            found = list(scanner.scan(*piece))
            link.send((piece, found, image.unreadable_bytes - before))
