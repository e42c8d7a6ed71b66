"""Which backup of a volume is current: by what followed what, never by time (spec/vault.md, section 7)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from luksafe.vault.record import Device, Record, Sighting


@dataclass(frozen=True, slots=True)
class Lineage:
    """The latest ``events`` of a volume, as ``parents`` of the next one, and the backups that are current by them."""

    events: list[str]
    current: list[str]


@dataclass(frozen=True, slots=True)
class Event:
    """A header that was read from a device: the ``backup`` that holds it, and what it followed there."""

    name: str
    backup: str
    parents: tuple[str, ...]
    device: Device


def events_of(records: Iterable[Record], sightings: Mapping[str, Sighting]) -> list[Event]:
    """All events of a volume, with the device of each."""
    known = [Event(record.id, record.id, tuple(record.parents), record.device) for record in records]
    seen = [Event(name, each.id, tuple(each.parents), each.device) for name, each in sightings.items()]
    return known + seen


def backup_of(event: str) -> str:
    """The backup of an event, by its name."""
    return event.partition(".")[0]


@dataclass(frozen=True, slots=True)
class OwnLineage:
    """The lineage of one device among clones, which have one UUID; ``apart`` are the backups of the others alone.

    Without ``has_own`` nothing was ever kept of this very device, and the lineage is that of the volume. ``latest`` are
    the events that the lineage names.
    """

    lineage: Lineage
    apart: tuple[Event, ...] = ()
    has_own: bool = True
    latest: tuple[Event, ...] = ()

    @property
    def apart_ids(self) -> frozenset[str]:
        """The backups that were never seen on this device."""
        return frozenset(event.backup for event in self.apart)


def judge_own(
    records: Collection[Record],
    sightings: Mapping[str, Sighting],
    forgotten: Collection[str],
    is_elsewhere: Callable[[Device], bool],
) -> OwnLineage:
    """What is current on one device: what was read from others that have its UUID supersedes nothing of it."""
    events = events_of(records, sightings)
    elsewhere = {event.name for event in events if is_elsewhere(event.device)}
    here = {event.backup for event in events if event.name not in elsewhere}
    apart = tuple(event for event in events if event.backup not in here)
    whole = judge(records, sightings, forgotten)
    if not elsewhere:
        return OwnLineage(whole, latest=_named(events, whole))
    seen = {name: sighting for name, sighting in sightings.items() if name not in elsewhere}
    own = judge(records, seen, {*forgotten, *(event.backup for event in apart)})
    if own.current:
        return OwnLineage(own, apart, latest=_named(events, own))
    return OwnLineage(whole, apart, has_own=False, latest=_named(events, whole))


def _named(events: Iterable[Event], lineage: Lineage) -> tuple[Event, ...]:
    return tuple(event for event in events if event.name in lineage.events)


def judge(records: Collection[Record], sightings: Mapping[str, Sighting], forgotten: Collection[str]) -> Lineage:
    """What is current among the backups not in ``forgotten``; several when the evidence does not decide.

    ``sightings`` are keyed by their event names.
    """
    by_id = {record.id: record for record in records}
    backup_of = {backup: backup for backup in by_id}
    parents_of = {record.id: record.parents for record in records}
    for event, sighting in sightings.items():
        if sighting.id in by_id:
            backup_of[event] = sighting.id
            parents_of[event] = sighting.parents
    live = {event for event, backup in backup_of.items() if backup not in forgotten}
    # a header that was too damaged to understand is kept, but never hides one that works
    live = {event for event in live if by_id[backup_of[event]].luks} or live
    # nor does one whose keyslots were all erased: no passphrase opens it
    live = {event for event in live if not by_id[backup_of[event]].is_erased} or live
    latest = live - _ancestors(live, parents_of)
    # What leads only into a circle (two hosts saw two orders) has no latest: then all of it counts.
    latest |= live - latest - _ancestors(latest, parents_of)
    parents = {parent for older in parents_of.values() for parent in older}
    kept = [record for record in records if record.id not in forgotten]
    apart = [by_id[event] for event in latest if event in by_id and event not in parents]
    latest -= {record.id for record in apart if _is_outdated(record, kept)}
    return Lineage(sorted(latest), sorted({backup_of[event] for event in latest}))


def _ancestors(events: Iterable[str], parents_of: Mapping[str, list[str]]) -> set[str]:
    """All that these events descend from."""
    found: set[str] = set()
    todo = [(event, parent) for event in events for parent in parents_of[event]]
    while todo:
        event, parent = todo.pop()
        if parent != event and parent not in found:
            found.add(parent)
            todo += [(parent, older) for older in parents_of.get(parent, [])]
    return found


def _is_outdated(record: Record, others: Iterable[Record]) -> bool:
    """Whether a record apart from the history, as an imported file is, has an older sequence id than another."""
    if record.parents or not record.lineage:
        return False
    return any(
        other.lineage == record.lineage and other.luks == record.luks and other.seqid > record.seqid for other in others
    )
