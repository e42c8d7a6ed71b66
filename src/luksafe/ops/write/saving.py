"""What a write replaces, kept in two places before the first byte: both the old bytes and the new ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from luksafe.device.identity import DeviceFacts
from luksafe.device.location import is_stored_on
from luksafe.errors import Busy, LuksafeError, Refused, StoreError
from luksafe.ops.workspace import Workspace
from luksafe.ops.write.plan import WritePlan
from luksafe.vault.folder import Folder
from luksafe.vault.folder_store import FolderStore
from luksafe.vault.undo import Replacement, UndoEntry, UndoState
from luksafe.vault.undo_log import UndoLog

WANTED_PLACES = 2


@dataclass(frozen=True, slots=True)
class Saved:
    """An undo entry, and the folders that hold it."""

    entry: UndoEntry
    places: tuple[Path, ...]


def save_everywhere(plan: WritePlan, workspace: Workspace) -> Saved:
    """Keep what the plan replaces in the vault and one more place, not on the target. Raises Refused, StoreError."""
    replacements = sorted((Replacement(w.offset, w.old, w.new) for w in plan.writes), key=lambda r: r.offset)
    with open_places(workspace, create=True) as places:
        usable = [(folder, log) for folder, log in places if not is_stored_on(folder, plan.target)]
        if not usable:
            raise Refused(
                "the only places to save what is there now lie on the device itself",
                code="no-undo-place",
                hint="name a vault on another disk: --vault DIR",
            )
        (first_folder, first), *others = usable
        entry = first.save(
            plan.target.target_key,
            replacements,
            now=workspace.now(),
            token=workspace.random_bytes(4).hex(),
            why=f"{plan.purpose} {plan.source}".strip(),
            facts=_facts(plan),
        )
        kept = [first_folder]
        for folder, log in others:
            if len(kept) < WANTED_PLACES:
                with suppress(StoreError):
                    log.copy(entry, first)
                    kept.append(folder)
        if len(kept) < WANTED_PLACES:
            first.remove(entry.id)  # nothing will be written: it must not look like a write that was interrupted
    if len(kept) < WANTED_PLACES:
        raise Refused(
            f"what is there now could be saved in one place only ({kept[0]}), not in two",
            code="no-undo-place",
            hint="add a store on another disk: luksafe stores add NAME DIR",
        )
    return Saved(entry, tuple(kept))


def mark_everywhere(entry_id: str, target_key: str, state: UndoState, workspace: Workspace) -> None:
    """Note in every place that is here now what became of an entry; a place that fails keeps its older note."""
    with open_places(workspace) as places:
        for _, log in places:
            for entry in log.entries(target_key):
                if entry.id == entry_id and entry.state is not state:
                    with suppress(Busy, StoreError):
                        log.mark(entry, state, now=workspace.now())


def find_entries(workspace: Workspace, target_key: str) -> list[UndoEntry]:
    """The entries of a target from all places, latest first, each once with the furthest state that any place noted."""
    found: dict[str, UndoEntry] = {}
    with open_places(workspace) as places:
        for _, log in places:
            for entry in log.entries(target_key):
                known = found.get(entry.id)
                if known is None or len(entry.states) > len(known.states):
                    found[entry.id] = entry
    return [found[entry_id] for entry_id in sorted(found, reverse=True)]


def read_entry(workspace: Workspace, entry: UndoEntry) -> list[Replacement]:
    """Both contents of an entry, from the first place where they are whole. Raises StoreError when none is."""
    problems = []
    with open_places(workspace) as places:
        for _, log in places:
            try:
                return log.read(entry)
            except LuksafeError as problem:
                problems.append(str(problem))
    raise StoreError(f"no whole copy of undo entry {entry.id}: {'; '.join(problems)}", hint="connect the other stores")


@contextmanager
def open_places(workspace: Workspace, *, create: bool = False) -> Iterator[Sequence[tuple[Path, UndoLog]]]:
    """The undo logs: of the vault, of every store that is here, and of the user's state folder.

    Without a vault that can be read the last one is left; with ``create``, for a write, that raises.
    """
    with workspace.open_vault(create=True) if create else workspace.vault_if_readable() as vault:
        folders = [store.folder for store in vault.stores if isinstance(store, FolderStore)] if vault else []
        extra = _state_folder(workspace, create=create)
        try:
            yield [(folder.path, UndoLog(folder)) for folder in ([*folders, extra] if extra else folders)]
        finally:
            if extra:
                extra.close()


def _state_folder(workspace: Workspace, *, create: bool) -> Folder | None:
    """The user's state folder; None when there is none, or it cannot be made: then other places must do."""
    try:
        if create:
            workspace.state_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Folder(workspace.state_folder, workspace.random_bytes) if workspace.state_folder.is_dir() else None
    except (OSError, StoreError):
        return None


def _facts(plan: WritePlan) -> dict[str, object]:
    target: DeviceFacts = plan.target
    return {
        "path": target.path,
        "size": target.size_bytes,
        "model": target.model,
        "serial": target.serial,
        "uuid": plan.uuid,
        "purpose": plan.purpose,
        "source": plan.source,
        "order": [[write.offset for write in phase.writes] for phase in plan.phases],
        "phases": [phase.name for phase in plan.phases],
    }
