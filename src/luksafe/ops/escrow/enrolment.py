"""A keyslot that is about to be added: a note of it is on disk first, so that it is taken back however we end.

While a keyslot is added, a watcher process holds a pipe. When we are killed, it and the note are what is left: the
watcher takes back what the note says. After a power cut the next ``luksafe escrow save`` of the device does.
"""

from __future__ import annotations

import fcntl
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

from luksafe.errors import Busy, DamagedInput, LuksafeError, NotFound
from luksafe.luks.model import Keyslot
from luksafe.ops.escrow.keyslots import RECOVERY_TOKEN, LiveHeader, kill_keyslot, look_live, remove_token
from luksafe.ops.new_file import write_new_file
from luksafe.ops.workspace import Workspace
from luksafe.vault.folder import sync_folder

FOLDER = "escrow"
NAME = "pending-"
DONE = b"done"
LEAST_ITERATIONS = 20_000
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class PendingEnrolment(msgspec.Struct, frozen=True, kw_only=True):
    """What was about to be done. ``iterations`` mark the keyslot as ours: a random number, which nobody else has.

    ``packets`` are the ids in the vault, ``files`` those outside, of what was sealed with the new passphrase.
    """

    path: str
    uuid: str
    slot: int
    token: int | None
    iterations: int
    packets: list[str] = []
    files: list[str] = []

    @classmethod
    def of(cls, workspace: Workspace, live: LiveHeader, slot: int, token: int | None) -> PendingEnrolment:
        """The note for a free keyslot and token."""
        iterations = LEAST_ITERATIONS + int.from_bytes(workspace.random_bytes(4), "big") % LEAST_ITERATIONS
        path, uuid = str(live.path.absolute()), live.header.uuid
        return cls(path=path, uuid=uuid, slot=slot, token=token, iterations=iterations)

    def is_ours(self, keyslot: Keyslot) -> bool:
        """Whether a keyslot is the one that was added, not one that somebody else put there."""
        kdf = keyslot.kdf
        return keyslot.id == self.slot and kdf is not None and (kdf.type, kdf.iterations) == ("pbkdf2", self.iterations)


@contextmanager
def pending(workspace: Workspace, live: LiveHeader, slot: int, token: int | None) -> Iterator[Enrolment]:
    """Whatever ends this block but its own end, takes back the keyslot, the token and the packets named meanwhile.

    Raises what the block raised; an undo that fails is said in its words. Only for one enrolment at a time.
    """
    with _only_one(workspace), _interruptible():
        enrolment = Enrolment(workspace, PendingEnrolment.of(workspace, live, slot, token))
        try:
            enrolment.begin()
            yield enrolment
            with _uninterrupted():
                enrolment.end(undo=False)
        except BaseException as cause:
            with _uninterrupted():
                left = enrolment.end(undo=True)
            if left:
                raise _not_undone(cause, left) from cause
            raise


class Enrolment:
    """One enrolment under way: its note and its watcher."""

    def __init__(self, workspace: Workspace, note: PendingEnrolment) -> None:
        self._workspace = workspace
        self._note = note
        self._path = _folder(workspace) / f"{NAME}{workspace.random_bytes(8).hex()}.json"
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


def take_back(workspace: Workspace, note: PendingEnrolment) -> list[str]:
    """Remove what an unfinished enrolment left; gives what could not be removed, in words. May be done again."""
    left = []
    for name in note.files:
        for path in (Path(name), Path(name).with_suffix(".json")):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                left.append(f"{path} could not be removed: {error.strerror}")
    try:
        _forget_packets(workspace, note)
    except LuksafeError as error:
        left.append(f"the packets {', '.join(note.packets)} could not be forgotten: {error}")
    try:
        _remove_keyslot(note)
    except (LuksafeError, OSError) as error:
        text = f"keyslot {note.slot} of {note.path} may still be there: {error}"
        left.append(f"{text}. See luksafe show {note.path}; remove it: cryptsetup luksKillSlot {note.path} {note.slot}")
    return left


def _forget_packets(workspace: Workspace, note: PendingEnrolment) -> None:
    if not note.packets:
        return
    with workspace.open_vault() as vault:
        there = {packet.id for packet in vault.packets(note.uuid)} & set(note.packets)
        for packet_id in there:
            vault.forget(packet_id, "its keyslot was taken back", now=workspace.now(), host=workspace.host_name)


def _remove_keyslot(note: PendingEnrolment) -> None:
    """Only the keyslot that we added: somebody else may have filled that number meanwhile."""
    path = Path(note.path)
    header = look_live(path).require_header()
    if header.uuid != note.uuid:
        raise DamagedInput(f"{path} holds another volume now: {header.uuid}")
    token = header.tokens.get(note.token) if note.token is not None else None
    keyslot = header.keyslots.get(note.slot)
    if keyslot is not None and not note.is_ours(keyslot):
        return
    if token is not None and token.type == RECOVERY_TOKEN and set(token.keyslots) <= {note.slot}:
        remove_token(path, token.id)
    if keyslot is not None:
        kill_keyslot(path, note.slot)


def unfinished(workspace: Workspace) -> list[tuple[Path, PendingEnrolment]]:
    """The notes of enrolments that never ended: after a power cut, or when undoing failed."""
    found = []
    with suppress(NotFound):
        for path in sorted(_folder(workspace).glob(f"{NAME}*.json")):
            with suppress(OSError, msgspec.MsgspecError):
                found.append((path, msgspec.json.decode(path.read_bytes(), type=PendingEnrolment)))
    return found


def finish_unfinished(workspace: Workspace) -> list[str]:
    """Take back what unfinished enrolments left, each in words. Raises LuksafeError where that fails."""
    done = []
    with _only_one(workspace):
        for path, note in unfinished(workspace):
            left = take_back(workspace, note)
            if left:
                raise LuksafeError("; ".join(left), code="undo-failed", hint=f"connect the device of {note.uuid}")
            path.unlink(missing_ok=True)
            done.append(f"keyslot {note.slot} of {note.path}, whose enrolment was interrupted, was taken back")
    return done


def watch(workspace: Workspace, path: Path, pipe: int) -> None:
    """Wait until nobody holds the pipe any more; unless the end was told, take back what the note says."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    told = b""
    while piece := os.read(pipe, 64):
        told += piece
    if told == DONE:
        return
    with _only_one(workspace, wait=True):
        if path.exists():
            note = msgspec.json.decode(path.read_bytes(), type=PendingEnrolment)
            if not take_back(workspace, note):
                path.unlink(missing_ok=True)


def _start_watcher(workspace: Workspace, path: Path, pipe: int) -> subprocess.Popen[bytes]:
    names = [str(workspace.vault_home), str(workspace.state_folder), str(path), str(pipe)]
    module = "luksafe.ops.escrow.watcher"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
    return subprocess.Popen(
        [sys.executable, "-m", module, *names],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(pipe,),
        env=environment,
        start_new_session=True,
    )


def _folder(workspace: Workspace) -> Path:
    folder = workspace.state_folder / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


@contextmanager
def _only_one(workspace: Workspace, *, wait: bool = False) -> Iterator[None]:
    """One enrolment at a time: what looks unfinished is then nobody's. Raises Busy unless asked to wait."""
    fd = os.open(_folder(workspace), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise Busy("another recovery key is being enrolled just now", hint="wait until that is done") from None
        yield
    finally:
        os.close(fd)


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM and SIGHUP interrupt like Ctrl-C, so that what was begun is taken back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before: dict[int, Any] = {number: signal.signal(number, interrupt) for number in _SIGNALS[1:]}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Signals wait until this is done."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _not_undone(cause: BaseException, left: Sequence[str]) -> LuksafeError:
    what = "it was interrupted" if isinstance(cause, KeyboardInterrupt) else str(cause)
    return LuksafeError(
        f"{what}; and it could NOT be taken back: {'; '.join(left)}",
        code="undo-failed",
        hint="set that right first; the next luksafe escrow save tries again",
    )
