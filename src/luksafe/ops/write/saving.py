"""What a write replaces, kept in two places before the first byte: both the old bytes and the new ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from luksafe.device.identity import DeviceFacts
from luksafe.device.location import is_stored_on
from luksafe.errors import Busy, LuksafeError, Refused, StoreError
from luksafe.ops.own_folder import make_private_folder
from luksafe.ops.workspace import Workspace
from luksafe.ops.write.plan import WritePlan
from luksafe.vault.folder import Folder
from luksafe.vault.folder_store import FolderStore
from luksafe.vault.undo import Replacement, UndoEntry, UndoState, heads
from luksafe.vault.undo_log import UndoLog

WANTED_PLACES = 2
MAX_FOLLOWED = 64
"""Writes that nothing relates, each on a device of this name; more are no history but somebody's game."""


@dataclass(frozen=True, slots=True)
class Saved:
    """An undo entry, and the folders that hold it."""

    entry: UndoEntry
    places: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A folder that may hold undo entries; those in a store that is not the user's own (its name) count for nothing."""

    folder: Path
    log: UndoLog
    foreign_store: str = ""


def save_everywhere(plan: WritePlan, workspace: Workspace) -> Saved:
    """Keep what the plan replaces in two places that are not on the target, own ones first. Raises Refused.

    A place that fails is passed over with a warning while others will do.
    """
    with open_places(workspace, create=True) as places:
        usable = [place for place in places if not is_stored_on(place.folder, plan.target)]
        if not any(not place.foreign_store for place in usable):
            raise Refused(
                "the only places to save what is there now lie on the device itself",
                code="no-undo-place",
                hint="name a vault on another disk: --vault DIR",
            )
        entry, kept, problems = _keep(usable, _Order.of(places, plan, workspace), plan, workspace)
        if entry is not None and len(kept) < WANTED_PLACES:
            kept[0].log.remove(entry.id)  # nothing will be written: it must not look like a write that was interrupted
    if entry is None or len(kept) < WANTED_PLACES:
        where = f"in one place only ({kept[0].folder})" if kept else "nowhere"
        raise Refused(
            f"what is there now could be saved {where}, not in two" + "".join(f"; {text}" for text in problems),
            code="no-undo-place",
            hint="add a store on another disk: luksafe stores add NAME DIR",
        )
    for text in problems:
        workspace.warn(f"undo entry {entry.id} is not kept everywhere: {text}")
    return Saved(entry, tuple(place.folder for place in kept))


@dataclass(frozen=True, slots=True)
class _Order:
    """What tells a new entry from the earlier ones of all places: its number, and the entries that it follows."""

    number: int
    follows: tuple[str, ...]

    @classmethod
    def of(cls, places: Sequence[Place], plan: WritePlan, workspace: Workspace) -> _Order:
        own = [place for place in places if not place.foreign_store]
        numbers = [1]
        for place in own:
            with suppress(LuksafeError):  # told when its entries are read
                numbers.append(place.log.next_number())
        known = _united(own, plan.target.target_key, workspace)
        latest = sorted((entry.id for entry in heads(known, known)), reverse=True)
        return cls(max(numbers), tuple(latest[:MAX_FOLLOWED]))


def _keep(
    places: Sequence[Place], order: _Order, plan: WritePlan, workspace: Workspace
) -> tuple[UndoEntry | None, list[Place], list[str]]:
    """The entry, the first places that took it, as many as are wanted, and what went wrong in those before."""
    replacements = sorted((Replacement(w.offset, w.old, w.new) for w in plan.writes), key=lambda r: r.offset)
    entry: UndoEntry | None = None
    kept: list[Place] = []
    problems: list[str] = []
    for place in places:
        if len(kept) == WANTED_PLACES:
            break
        try:
            if entry is not None:
                place.log.copy(entry, kept[0].log)
            elif not place.foreign_store:
                entry = _save(place.log, order, plan, replacements, workspace)
            else:
                break  # the first place is the one that counts
            kept.append(place)
        except LuksafeError as problem:
            problems.append(str(problem))
    return entry, kept, problems


def _save(
    log: UndoLog, order: _Order, plan: WritePlan, replacements: Sequence[Replacement], workspace: Workspace
) -> UndoEntry:
    return log.save(
        plan.target.target_key,
        replacements,
        now=workspace.now(),
        token=workspace.random_bytes(4).hex(),
        why=f"{plan.purpose} {plan.source}".strip(),
        facts=_facts(plan) | ({"follows": list(order.follows)} if order.follows else {}),
        number=order.number,
    )


def mark_everywhere(entry_id: str, target_key: str, state: UndoState, workspace: Workspace) -> None:
    """Note in every place that is here now what became of an entry; a place that fails keeps its older note."""
    with open_places(workspace) as places:
        for place in places:
            for entry in _entries(place, target_key, workspace):
                if entry.id == entry_id and entry.state is not state:
                    with suppress(Busy, StoreError):
                        place.log.mark(entry, state, now=workspace.now())


def find_entries(workspace: Workspace, target_key: str) -> list[UndoEntry]:
    """The entries of a target from all places that count, latest first, each once, with the furthest state noted."""
    with open_places(workspace) as places:
        return _united([place for place in places if not place.foreign_store], target_key, workspace)


def _united(places: Sequence[Place], target_key: str, workspace: Workspace) -> list[UndoEntry]:
    found: dict[str, UndoEntry] = {}
    for place in places:
        for entry in _entries(place, target_key, workspace):
            known = found.get(entry.id)
            if known is None or len(entry.states) > len(known.states):
                found[entry.id] = entry
    return [found[entry_id] for entry_id in sorted(found, reverse=True)]


def find_foreign_entries(workspace: Workspace, target_key: str) -> list[tuple[UndoEntry, str]]:
    """The entries that only stores have which are not the user's own, and the store of each; latest first."""
    known = {entry.id for entry in find_entries(workspace, target_key)}
    found: dict[str, tuple[UndoEntry, str]] = {}
    with open_places(workspace) as places:
        for place in places:
            for entry in _entries(place, target_key, workspace) if place.foreign_store else ():
                if entry.id not in known:
                    found.setdefault(entry.id, (entry, place.foreign_store))
    return [found[entry_id] for entry_id in sorted(found, reverse=True)]


def read_entry(workspace: Workspace, entry: UndoEntry) -> list[Replacement]:
    """Both contents of an entry, from the first place where they are whole. Raises StoreError when none is."""
    problems = []
    with open_places(workspace) as places:
        for place in places:
            try:
                return place.log.read(entry)
            except LuksafeError as problem:
                problems.append(str(problem))
    raise StoreError(f"no whole copy of undo entry {entry.id}: {'; '.join(problems)}", hint="connect the other stores")


def _entries(place: Place, target_key: str, workspace: Workspace) -> list[UndoEntry]:
    """The entries of a target in one place; none, with a warning, where that cannot be told."""
    try:
        entries = place.log.entries(target_key)
    except LuksafeError as error:
        workspace.warn(f"going on without the undo entries in {place.folder}: {error}")
        return []
    for problem in place.log.problems:
        workspace.warn(f"an undo entry cannot be read: {problem.store}/{problem.name}: {problem.text}")
    return entries


@contextmanager
def open_places(workspace: Workspace, *, create: bool = False) -> Iterator[Sequence[Place]]:
    """The undo logs: of the vault, of own stores that are here, of the user's state folder, then of stores not own.

    Without a vault that can be read the state folder is left; with ``create``, for a write, that raises.
    """
    with workspace.open_vault(create=True) if create else workspace.vault_if_readable() as vault:
        stores = [store for store in vault.stores if isinstance(store, FolderStore)] if vault else []
        extra = _state_folder(workspace, create=create)
        own = [store.folder for store in stores if store.is_own]
        places = [Place(folder.path, UndoLog(folder)) for folder in ([*own, extra] if extra else own)]
        foreign = [store for store in stores if not store.is_own]
        places += [Place(store.folder.path, UndoLog(store.folder), store.name) for store in foreign]
        try:
            yield places
        finally:
            if extra:
                extra.close()


def _state_folder(workspace: Workspace, *, create: bool) -> Folder | None:
    """The user's state folder; None when there is none, or it cannot be made: then other places must do."""
    try:
        if create:
            make_private_folder(workspace.state_folder)
        folder = workspace.require_own_state()
        return Folder(folder, workspace.random_bytes) if folder.is_dir() else None
    except Refused as error:
        workspace.warn(f"going on without the state folder: {error} ({error.hint})")
        return None
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
