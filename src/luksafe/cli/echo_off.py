"""The terminal does not show what is typed, from before slow work until the passphrase was asked for."""

from __future__ import annotations

import os
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress

ECHO_FIELD = 3


@contextmanager
def echo_off() -> Iterator[None]:
    """While it is entered, what is typed ahead is not shown; without a terminal of our own it does nothing."""
    fd = _own_terminal()
    if fd is None:
        yield
        return
    before = termios.tcgetattr(fd)
    try:
        termios.tcsetattr(fd, termios.TCSADRAIN, with_echo(before, on=False))
        yield
    finally:
        with suppress(termios.error):
            termios.tcsetattr(fd, termios.TCSADRAIN, before)
        os.close(fd)


@contextmanager
def echo_on(fd: int) -> Iterator[None]:
    """While an answer that is no secret is typed, it is shown; what was typed before the question is dropped."""
    try:
        before = termios.tcgetattr(fd)
    except termios.error:
        yield
        return
    if before[ECHO_FIELD] & termios.ECHO:
        yield
        return
    termios.tcsetattr(fd, termios.TCSAFLUSH, with_echo(before, on=True))
    try:
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


def with_echo(settings: list[int | list[bytes | int]], *, on: bool) -> list[int | list[bytes | int]]:
    """The settings of a terminal, with echo on or off."""
    flags = settings[ECHO_FIELD]
    assert isinstance(flags, int)
    changed = flags | termios.ECHO if on else flags & ~termios.ECHO
    return [*settings[:ECHO_FIELD], changed, *settings[ECHO_FIELD + 1 :]]


def _own_terminal() -> int | None:
    """The terminal, if we are its foreground: else the system would stop us for changing it."""
    try:
        fd = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if os.tcgetpgrp(fd) == os.getpgrp():
            return fd
    except OSError:
        pass
    os.close(fd)
    return None
