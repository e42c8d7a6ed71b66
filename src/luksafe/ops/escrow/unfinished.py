"""What an enrolment that never ended left behind: noted on disk before it began, taken back whoever finds the note."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from luksafe.errors import Busy, DamagedInput, LuksafeError
from luksafe.luks.model import Keyslot
from luksafe.ops.escrow.keyslots import RECOVERY_TOKEN, LiveHeader, kill_keyslot, look_live, remove_token
from luksafe.ops.own_folder import make_private_folder
from luksafe.ops.workspace import Workspace

FOLDER = "escrow"
NAME = "pending-"
LEAST_ITERATIONS = 20_000


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


def unfinished(workspace: Workspace, uuid: str) -> list[tuple[Path, PendingEnrolment]]:
    """The notes of enrolments of a volume that never ended: after a power cut, or when undoing failed."""
    found = []
    for path in sorted(note_folder(workspace).glob(f"{NAME}*.json")):
        with suppress(OSError, ValueError):
            note = msgspec.json.decode(path.read_bytes(), type=PendingEnrolment)
            found += [(path, note)] if note.uuid == uuid else []
    return found


def finish_unfinished(workspace: Workspace, live: LiveHeader) -> list[str]:
    """Take back what unfinished enrolments left in a header, wherever its device is now; each in words.

    Raises LuksafeError where that fails, Busy while another enrolment is under way.
    """
    done = []
    with only_one(workspace):
        for path, note in unfinished(workspace, live.header.uuid):
            left = take_back(workspace, msgspec.structs.replace(note, path=str(live.path.absolute())))
            if left:
                raise LuksafeError("; ".join(left), code="undo-failed", hint="set that right, then try again")
            path.unlink(missing_ok=True)
            done.append(f"keyslot {note.slot}, whose enrolment was interrupted, was taken back")
    return done


def take_back_noted(workspace: Workspace, path: Path) -> None:
    """What the watcher of a killed enrolment does; the note stays where that fails."""
    with only_one(workspace, wait=True):
        if path.exists():
            note = msgspec.json.decode(path.read_bytes(), type=PendingEnrolment)
            if not take_back(workspace, note):
                path.unlink(missing_ok=True)


def note_folder(workspace: Workspace) -> Path:
    """Where the notes are; made when absent."""
    folder = workspace.require_own_state() / FOLDER
    make_private_folder(folder)
    return folder


@contextmanager
def only_one(workspace: Workspace, *, wait: bool = False) -> Iterator[None]:
    """One enrolment at a time: what looks unfinished is then nobody's. Raises Busy unless asked to wait."""
    fd = os.open(note_folder(workspace), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise Busy("another recovery key is being enrolled just now", hint="wait until that is done") from None
        yield
    finally:
        os.close(fd)
