"""Run one thing that a vault does, again and again, and let one system call after the other go wrong.

    python cut_points.py SCENARIO FAULT FOLDER

FAULT is ``kill`` (SIGKILL before the call), ``tear`` (a write does half its work, then SIGKILL), the name of an error
(``ENOSPC``: that one call fails) or that name with ``+`` (all later calls that need room fail as well). After each cut
the vault must hold nothing but whole files, and doing the same again must lead to the same end. Prints the number of
cuts.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]

from vault_samples import LATER, NOW, OTHER_UUID, UUID, files_of, flip, image_of, image_path, make_vault, record_of  # noqa: E402

from luksafe.errors import LuksafeError  # noqa: E402
from luksafe.vault.config import add_store  # noqa: E402
from luksafe.vault.record import Proof  # noqa: E402
from luksafe.vault.report import State  # noqa: E402
from luksafe.vault.undo import Replacement, UndoState  # noqa: E402
from luksafe.vault.undo_log import UndoLog  # noqa: E402
from luksafe.vault.vault import Vault  # noqa: E402

CALLS = ("write", "fsync", "link", "unlink", "rename", "mkdir", "rmdir", "open")
NEEDS_ROOM = ("write", "fsync", "mkdir", "open")
PARTS = [Replacement(0, bytes(3000), b"n" * 3000), Replacement(4096, b"old", b"new")]


def open_vault(folder: Path) -> Vault:
    return Vault.open(folder / "home", random=os.urandom)


def prepare(folder: Path) -> None:
    """Two backups of one volume, one of another, in home and usb; the usb stick lacks one and has one damaged."""
    with make_vault(folder, "usb") as vault:
        first = vault.add(record_of(), image_of("first"), now=NOW).id
        vault.add_proof(Proof(id=first, when="2026-11-24T06:44:00Z", method="passphrase"))
        vault.add(record_of(parents=[first]), image_of("second"), now=NOW)
        vault.add(record_of(uuid=OTHER_UUID), image_of("other"), now=NOW)


def first_id(vault: Vault) -> str:
    return min(backup.id for backup in vault.backups(UUID, with_forgotten=True) if not backup.record.parents)


def add(folder: Path) -> None:
    with open_vault(folder) as vault:
        new_volume = record_of(uuid="22222222-2222-3333-4444-555555555555")
        added = vault.add(new_volume, image_of("third"), now=LATER)
        require(added.problems)


def go_back(folder: Path) -> None:
    with open_vault(folder) as vault:
        parents = vault.lineage(UUID).events
        require(vault.add(record_of(parents=parents), image_of("first"), now=LATER).problems)


def prove(folder: Path) -> None:
    with open_vault(folder) as vault:
        proof = Proof(id=first_id(vault), when="2026-11-26T06:44:00Z", method="passphrase", keyslot=1)
        require(vault.add_proof(proof))


def forget(folder: Path) -> None:
    with open_vault(folder) as vault:
        require(vault.forget(first_id(vault), "leaked", now=NOW).problems)


def sync(folder: Path) -> None:
    with open_vault(folder) as vault:
        for report in vault.sync(now=NOW).stores:
            require(report.problems)


def prepare_sync(folder: Path) -> None:
    """One file damaged, one volume missing, one backup forgotten while the stick was away."""
    prepare(folder)
    (folder / "usb").rename(folder / "drawer")
    with open_vault(folder) as vault:
        vault.forget(first_id(vault), "leaked", now=NOW)
        second = vault.current(UUID)[0].id
    (folder / "drawer").rename(folder / "usb")
    shutil.rmtree(folder / "usb" / OTHER_UUID)
    flip(folder / "usb" / image_path(second))
    flip(folder / "usb" / "luksafe-vault.json")


def configure(folder: Path) -> None:
    with open_vault(folder) as vault:
        names = [store.name for store in vault.config.store]
        if "nas" not in names:
            add_store(vault.home.folder, "nas", folder / "nas", os.urandom, own=True)


def save_undo(folder: Path) -> None:
    with open_vault(folder) as vault:
        log = UndoLog(vault.home.folder)
        entries = log.entries("disk") or [log.save("disk", PARTS, now=NOW, token=os.urandom(4).hex())]
        if entries[0].state is UndoState.PENDING:
            log.mark(entries[0], UndoState.DONE, now=NOW)


def require(problems: list[Any]) -> None:
    """What a report tells of, as an error: then the caller knows that it was not all done."""
    if problems:
        raise LuksafeError("; ".join(problem.text for problem in problems))


SCENARIOS: dict[str, tuple[Callable[[Path], None], Callable[[Path], None]]] = {
    "add": (prepare, add),
    "go-back": (prepare, go_back),
    "prove": (prepare, prove),
    "forget": (prepare, forget),
    "sync": (prepare_sync, sync),
    "configure": (prepare, configure),
    "undo": (prepare, save_undo),
}


class Fault:
    """Makes the call number ``at`` of all that change something go wrong."""

    def __init__(self, kind: str, at: int) -> None:
        self.kind = kind
        self.at = at
        self.count = 0
        self.struck = False
        for name in CALLS:
            setattr(os, name, self._wrapped(name, getattr(os, name)))

    def _wrapped(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            if name == "open" and not args[1] & os.O_CREAT:
                return real(*args, **options)
            self.count += 1
            if self.count == self.at or (self.struck and self.kind.endswith("+") and name in NEEDS_ROOM):
                self._strike(name, args, real)
            return real(*args, **options)

        return call

    def _strike(self, name: str, args: tuple[Any, ...], real: Callable[..., Any]) -> None:
        self.struck = True
        if self.kind in ("kill", "tear"):
            if self.kind == "tear" and name == "write":
                real(args[0], args[1][: len(args[1]) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        number = getattr(errno, self.kind.rstrip("+"))
        raise OSError(number, os.strerror(number))


def run_cut(act: Callable[[Path], None], folder: Path, kind: str, at: int) -> bool:
    """Do it in a process of its own with one fault; whether the fault struck. Any error but ours is a failure."""
    child = os.fork()
    if child == 0:
        fault = Fault(kind, at)
        try:
            act(folder)
            # an error that strikes where it does no harm (tidying up) may go unsaid
        except LuksafeError:
            os._exit(3 if fault.struck else 5)
        except BaseException as error:
            print(f"{kind} at call {at}: {error!r}", file=sys.stderr)
            os._exit(4)
        os._exit(6 if fault.struck else 0)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    code = os.WEXITSTATUS(status)
    assert code in (0, 3, 6), f"exit {code} with {kind} at call {at}"
    return code != 0


def visible(folder: Path) -> dict[str, bytes]:
    """All files but leftovers and markers, and without what is different in each run: names by chance."""
    files = {name: data for name, data in files_of(folder).items() if "/.new-" not in name}
    return {
        name: b"" if name.endswith(("luksafe-vault.json", "config.toml")) else data
        for name, data in files.items()
        if "/undo/" not in name
    }


def examine(folder: Path, before: dict[str, bytes], allowed: set[str]) -> None:
    """Nothing half-written is visible, and nothing that was whole before was harmed."""
    with open_vault(folder) as vault:
        for report in vault.check(now=NOW).stores:
            damaged = {f"{report.store}/{name}" for name in report.names(State.DAMAGED, State.UNREADABLE)}
            assert damaged <= allowed, f"damaged: {damaged - allowed}"
        for backup in vault.backups():
            if backup.record.image_sha256:
                vault.image(backup.id)
        log = UndoLog(vault.home.folder)
        for entry in log.entries():
            assert log.read(entry) == PARTS
        assert log.problems == []
    after = visible(folder)
    for name, data in before.items():
        changed = name in after and after[name] != data and name not in allowed
        assert not changed, f"changed: {name}"


def sweep(scenario: str, kind: str, work: Path) -> int:
    """All cuts of one scenario; gives their number."""
    prepare_it, act = SCENARIOS[scenario]
    prepare_it(work / "start")
    shutil.copytree(work / "start", work / "whole")
    move_stores(work / "whole", work / "start")
    act(work / "whole")
    wanted = visible(work / "whole")
    at = 0
    while True:
        at += 1
        folder = work / f"cut{at}"
        shutil.copytree(work / "start", folder)
        move_stores(folder, work / "start")
        before = visible(folder)
        allowed = {name for name in before if wanted.get(name) not in (None, before[name])}
        with open_vault(folder) as vault:
            for report in vault.check(now=NOW).stores:
                allowed |= {f"{report.store}/{name}" for name in report.names(State.DAMAGED)}
        struck = run_cut(act, folder, kind, at)
        examine(folder, before, allowed)
        act(folder)
        examine(folder, before, allowed)
        end = visible(folder)
        assert end == wanted, f"{kind} at {at}: {set(end) ^ set(wanted)} or contents differ"
        shutil.rmtree(folder)
        if not struck:
            return at - 1


def move_stores(folder: Path, start: Path) -> None:
    """Let the configuration of a copied vault name the copied stores."""
    config = folder / "home" / "config.toml"
    config.write_text(config.read_text().replace(f'"{start}/', f'"{folder}/'))


if __name__ == "__main__":
    print(sweep(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
