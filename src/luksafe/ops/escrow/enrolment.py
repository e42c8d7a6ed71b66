"""A keyslot that is about to be added: a note of it is on disk first, so that it is taken back however we end.

While a keyslot is added, a watcher process holds a pipe. When we are killed, it and the note are what is left: the
watcher takes back what the note says. After a power cut the next ``luksafe escrow save`` of the device does.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

from luksafe.device.signals import INTERRUPTS, deferred_interrupts
from luksafe.errors import LuksafeError
from luksafe.ops.escrow.keyslots import LiveHeader
from luksafe.ops.escrow.unfinished import NAME, PendingEnrolment, note_folder, only_one, take_back
from luksafe.ops.new_file import write_new_file
from luksafe.ops.workspace import Workspace
from luksafe.programs import environment
from luksafe.vault.folder import sync_folder

DONE = b"done"


@contextmanager
def pending(workspace: Workspace, live: LiveHeader, slot: int, token: int | None) -> Iterator[Enrolment]:
    """Whatever ends this block but its own end, takes back the keyslot, the token and the packets named meanwhile.

    Raises what the block raised; an undo that fails is said in its words. Only for one enrolment at a time.
    """
    with only_one(workspace), _interruptible():
        enrolment = Enrolment(workspace, PendingEnrolment.of(workspace, live, slot, token))
        try:
            enrolment.begin()
            yield enrolment
            with deferred_interrupts():
                enrolment.end(undo=False)
        except BaseException as cause:
            with deferred_interrupts():
                left = enrolment.end(undo=True)
            if left:
                raise _not_undone(cause, left) from cause
            raise


class Enrolment:
    """One enrolment under way: its note and its watcher."""

    def __init__(self, workspace: Workspace, note: PendingEnrolment) -> None:
        self._workspace = workspace
        self._note = note
        self._path = note_folder(workspace) / f"{NAME}{workspace.random_bytes(8).hex()}.json"
        self._pipe: int | None = None
        self._watcher: subprocess.Popen[bytes] | None = None

    @property
    def keep_open(self) -> tuple[int, ...]:
        """What cryptsetup has to hold open, so that the watcher waits for it, too."""
        return () if self._pipe is None else (self._pipe,)

    @property
    def cost(self) -> tuple[str, ...]:
        """What cryptsetup is told of the new keyslot's key derivation. Guessing 256 random bits is hopeless anyway;
        systemd-cryptenroll does no more."""
        return ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", str(self._note.iterations))

    def begin(self) -> None:
        """Write the note, start the watcher."""
        self._write()
        read_end, self._pipe = os.pipe()
        try:
            self._watcher = _start_watcher(self._workspace, self._path, read_end)
        finally:
            os.close(read_end)

    def name_packets(self, ids: Sequence[str], files: Sequence[Path]) -> None:
        """Note which packets will hold the new passphrase, before they are stored."""
        self._note = msgspec.structs.replace(self._note, packets=list(ids), files=[str(f.absolute()) for f in files])
        self._write()

    def end(self, *, undo: bool) -> list[str]:
        """Undo if asked to, remove the note, dismiss the watcher; gives what could not be undone, in words."""
        left = take_back(self._workspace, self._note) if undo else []
        if not left:
            self._path.unlink(missing_ok=True)
        if self._pipe is not None:
            with suppress(OSError):
                os.write(self._pipe, DONE)
            os.close(self._pipe)
            self._pipe = None
        if self._watcher is not None:
            self._watcher.wait()
        return left

    def _write(self) -> None:
        partial = self._path.with_suffix(".new")
        write_new_file(partial, msgspec.json.encode(self._note))
        partial.replace(self._path)
        fd = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            sync_folder(fd)
        finally:
            os.close(fd)


def _start_watcher(workspace: Workspace, path: Path, pipe: int) -> subprocess.Popen[bytes]:
    names = [str(workspace.vault_home), str(workspace.state_folder), str(path), str(pipe)]
    module = "luksafe.ops.escrow.watcher"
    lent = environment(PYTHONPATH=os.pathsep.join(part for part in sys.path if part))
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, *names],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(pipe,),
        env=lent,
        start_new_session=True,
    )


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM and SIGHUP interrupt like Ctrl-C, so that what was begun is taken back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before: dict[int, Any] = {number: signal.signal(number, interrupt) for number in INTERRUPTS[1:]}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _not_undone(cause: BaseException, left: Sequence[str]) -> LuksafeError:
    what = "it was interrupted" if isinstance(cause, KeyboardInterrupt) else str(cause)
    return LuksafeError(
        f"{what}; and it could NOT be taken back: {'; '.join(left)}",
        code="undo-failed",
        hint="set that right first; the next luksafe escrow save tries again",
    )
