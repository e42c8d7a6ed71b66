"""The installed cryptsetup, for what is done to a live header: secrets go to it in anonymous memory, never as words."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import IO

from luksafe.errors import Busy, LuksafeError, NotFound, Unsupported
from luksafe.secret import SecretBytes

PATIENCE_SECONDS = 60
_MAX_WORDS = 2000
_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
_NO_PERMISSION, _WRONG_DEVICE, _BUSY = 2, 4, 5


def run_cryptsetup(
    arguments: Sequence[str | SecretBytes], *, standard_input: bytes = b"", keep_open: Sequence[int] = ()
) -> str:
    """Run it to its end, without questions; gives what it printed. A secret argument becomes the name of a memory file.

    An interrupt waits until it has ended, for it may be writing a header. ``keep_open`` are descriptors that it is to
    hold meanwhile. Raises Unsupported when it is not installed, NotFound, Busy, LuksafeError with its own words.
    """
    program = shutil.which("cryptsetup", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if program is None:
        raise Unsupported("this needs cryptsetup, which is not installed", hint="apt install cryptsetup-bin")
    with ExitStack() as stack:
        fds: list[int] = []
        words = [stack.enter_context(_as_word(argument, fds)) for argument in arguments]
        out, err = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(2))
        given = stack.enter_context(tempfile.TemporaryFile())
        given.write(standard_input)
        given.seek(0)
        with _signals_wait():
            child = subprocess.Popen(
                [program, "--batch-mode", *words],
                stdin=given,
                stdout=out,
                stderr=err,
                pass_fds=(*fds, *keep_open),
                env={**os.environ, "LC_ALL": "C"},
                start_new_session=True,
            )
            status = _wait(child)
        if status:
            raise _failure(status, str(words[0]), _text(err))
        return _text(out)


@contextmanager
def _signals_wait() -> Iterator[None]:
    """Interrupts come when this is done, here and in the child: between two writes of a header is no time to stop."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _wait(child: subprocess.Popen[bytes]) -> int:
    """Its exit status. One that was interrupted and does not end (it waits for a lock) is killed after a while."""
    interrupt: KeyboardInterrupt | None = None  # comes in spite of the mask where other threads take signals
    patience = PATIENCE_SECONDS
    while True:
        try:
            status = child.wait(timeout=1)
            break
        except KeyboardInterrupt as error:
            interrupt = error
        except subprocess.TimeoutExpired:
            if interrupt is not None or signal.sigpending() & _SIGNALS:
                patience -= 1
            if patience <= 0:
                child.kill()
    if interrupt is not None:
        raise interrupt
    return status


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
