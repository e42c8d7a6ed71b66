"""The installed cryptsetup, for what is done to a live header: secrets go to it in anonymous memory, never as words."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import IO

from luksafe.device.signals import deferred_interrupts
from luksafe.errors import Busy, LuksafeError, NotFound, Unsupported
from luksafe.programs import environment, find_program
from luksafe.secret import SecretBytes

PATIENCE_SECONDS = 60
_MAX_WORDS = 2000
_NO_PERMISSION, _WRONG_DEVICE, _BUSY = 2, 4, 5


def run_cryptsetup(
    arguments: Sequence[str | SecretBytes], *, standard_input: bytes = b"", keep_open: Sequence[int] = ()
) -> str:
    """Run it to its end, without questions; gives what it printed. A secret argument becomes the name of a memory file.

    An interrupt waits until it has ended, for it may be writing a header. ``keep_open`` are descriptors that it is to
    hold meanwhile. Raises Unsupported when it is not installed, NotFound, Busy, LuksafeError with its own words.
    """
    program = find_program("cryptsetup")
    if program is None:
        raise Unsupported("this needs cryptsetup, which is not installed", hint="apt install cryptsetup-bin")
    with ExitStack() as stack:
        fds: list[int] = []
        words = [stack.enter_context(_as_word(argument, fds)) for argument in arguments]
        out, err = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(2))
        given = stack.enter_context(tempfile.TemporaryFile())
        given.write(standard_input)
        given.seek(0)
        with deferred_interrupts() as interrupts:
            child = subprocess.Popen(
                [program, "--batch-mode", *words],
                stdin=given,
                stdout=out,
                stderr=err,
                pass_fds=(*fds, *keep_open),
                env=environment(LC_ALL="C"),
                start_new_session=True,
            )
            status = _wait(child, interrupts)
        if status:
            raise _failure(status, str(words[0]), _text(err))
        return _text(out)


def _wait(child: subprocess.Popen[bytes], interrupts: list[int]) -> int:
    """Its exit status. One that was interrupted and does not end (it waits for a lock) is killed after a while."""
    patience = PATIENCE_SECONDS
    while True:
        try:
            return child.wait(timeout=1)
        except subprocess.TimeoutExpired:
            patience -= 1 if interrupts else 0
            if patience <= 0:
                child.kill()


@contextmanager
def _as_word(argument: str | SecretBytes, fds: list[int]) -> Iterator[str]:
    if isinstance(argument, str):
        yield argument
        return
    fd = os.memfd_create("luksafe-key", os.MFD_CLOEXEC)
    try:
        view = argument.view
        while view:
            view = view[os.write(fd, view) :]
        fds.append(fd)
        yield f"/proc/self/fd/{fd}"
    finally:
        os.close(fd)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(_MAX_WORDS).decode("utf-8", "replace").strip()


def _failure(status: int, action: str, words: str) -> LuksafeError:
    last = next((line for line in reversed(words.splitlines()) if line.strip()), f"it ended with status {status}")
    text = f"cryptsetup {action} failed: {last}"
    if status == _BUSY:
        return Busy(text, hint="wait until whoever uses the device is done")
    if status == _WRONG_DEVICE:
        return NotFound(text)
    return LuksafeError(text, hint="run it as root" if status == _NO_PERMISSION and os.geteuid() else "")
