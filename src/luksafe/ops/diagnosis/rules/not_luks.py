"""Rules for a device that is not a LUKS volume itself: empty, packed, partitioned, with a volume at another byte."""

from __future__ import annotations

from collections.abc import Iterator

from luksafe.ops.diagnosis.culprits import FILLINGS
from luksafe.ops.diagnosis.elsewhere import VolumeElsewhere
from luksafe.ops.diagnosis.model import Chance, Lead, Missing, Verdict
from luksafe.ops.diagnosis.remains import has_luks_left, is_mostly_random
from luksafe.ops.diagnosis.rules.commands import find_volume, reach, scan
from luksafe.ops.diagnosis.rules.rule import Case, Rule
from luksafe.ops.diagnosis.rules.unpacking import unpack_commands
from luksafe.ops.diagnosis.rules.words import culprit_names
from luksafe.probe.recognised import Kind, Partition
from luksafe.probe.statistics import SectorClass, classify_sectors

MOST_NAMED = 8
_BLANK = ("zeros", "ff")
_LEAST_SAMPLE_BYTES = 512


def _unpack(case: Case) -> Iterator[str]:
    if case.facts.container is not None:
        yield from unpack_commands(case.facts.container, case.facts.device or case.facts.target)


CONTAINER = Rule(
    code="container",
    missing=Missing.DEVICE,
    verdict=Verdict.NOT_LUKS,
    seen="the file holds the bytes of a disk in another form (qcow2, vmdk, vhd, vdi, E01, gzip, xz, zstd …)",
    applies=lambda case: case.facts.container is not None,
    summary=lambda case: (
        f"it is {_form(case)}: unpack it first; nothing in it can be judged, and nothing restored, as it is"
    ),
    story=lambda case: (
        f"This is {_form(case)}. The bytes of the disk are in it in another order, or packed: luksafe looks at bare"
        " images and devices. Unpack it into a new file and look at that; writing a header into this file would destroy"
        " it."
    ),
    next=_unpack,
    ways={},
    headline="packed",
)


def _form(case: Case) -> str:
    return case.facts.container.text if case.facts.container else ""


EMPTY = Rule(
    code="empty",
    missing=Missing.DEVICE,
    verdict=Verdict.NOT_LUKS,
    seen="no header, and the target has 0 bytes",
    applies=lambda case: case.header is None and case.facts.size_bytes == 0,
    summary=lambda case: "it is empty (0 bytes): is it the right path?",
    story=lambda case: "It has no bytes at all: it is another device, or another path, that you look for.",
    next=lambda case: ("lsblk",),
    ways={},
)


def _elsewhere(case: Case) -> tuple[VolumeElsewhere, ...]:
    """The volumes that begin at other bytes; none where something says that one began right here."""
    if case.header is not None or any(backup.is_seen for backup in case.facts.backups):
        return ()
    return case.facts.volumes_elsewhere


def _places(case: Case) -> str:
    found = _elsewhere(case)
    named = "; ".join(volume.words for volume in found[:MOST_NAMED])
    return named + (f"; and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else "")


def _table(case: Case) -> str:
    """The name of the partition table in force; empty without one."""
    tables = [m for m in case.facts.recognised if m.kind is Kind.PARTITION_TABLE and m.copy == "primary"]
    named = [m for m in tables if m.partitions and m.name != "PMBR"]
    return named[0].name if named else ""


def _elsewhere_words(case: Case) -> str:
    if table := _table(case):
        return f"a disk with a partition table ({table}), no LUKS volume itself: {_places(case)}"
    return f"no LUKS volume begins here, but one is there: {_places(case)}"


def _unneeded(case: Case) -> str:
    if not case.facts.backups:
        return ""
    known = ", ".join(backup.id[:12] for backup in case.facts.backups[:2])
    return (
        f" The vault has a backup that was made under this name ({known}): do not restore it here. The volume is whole,"
        " and at the start of this device it would overwrite something else."
    )


VOLUME_ELSEWHERE = Rule(
    code="volume-elsewhere",
    missing=Missing.KEY,
    verdict=Verdict.NOT_LUKS,
    seen=(
        "no header and nothing that a backup has here, but a whole header with key material behind it at another byte:"
        " that volume comes before every backup"
    ),
    applies=lambda case: bool(_elsewhere(case)),
    summary=_elsewhere_words,
    story=lambda case: (
        f"No LUKS volume begins at the start of this device, but one is there: {_places(case)}. Its header is whole, so"
        " nothing here shows that it is damaged: it is reached at its own place"
        + (f", the partition that the table ({_table(case)}) lists." if _table(case) else ", which no table lists.")
        + _unneeded(case)
    ),
    next=lambda case: (*(c for v in _elsewhere(case) for c in reach(case, v)), scan(case)),
    ways={Lead.SEARCH: Chance.LIKELY},
    avoid=("do not restore a header to the start of this device: the volume begins elsewhere",),
)


def _partitions(case: Case) -> str:
    tables = [m for m in case.facts.recognised if m.name == _table(case)]
    entries = [p for m in tables[:1] for p in m.partitions]
    return ", ".join(_partition_words(p) for p in entries[:MOST_NAMED]) + (" …" if len(entries) > MOST_NAMED else "")


def _partition_words(partition: Partition) -> str:
    name = f" {partition.name!r}" if partition.name else ""
    return f"{partition.number}{name} from byte {partition.offset}"


PARTITIONED = Rule(
    code="partitioned",
    missing=Missing.DEVICE,
    verdict=Verdict.NOT_LUKS,
    seen="no header, nothing says that LUKS was here, and a partition table is in force",
    applies=lambda case: case.header is None and bool(_table(case)) and not has_luks_left(case.facts),
    summary=lambda case: (
        f"a disk with a partition table ({_table(case)}), no LUKS volume itself, and none begins where a partition"
        f" does: partitions {_partitions(case)}"
    ),
    story=lambda case: (
        f"This is a whole disk with a partition table ({_table(case)}): partitions {_partitions(case)}. No LUKS volume"
        " begins at its start or where a partition does. If one was in a partition, name that partition; if the table"
        " is not the one that was there before, search the disk."
    ),
    next=find_volume,
    ways={Lead.SEARCH: Chance.LIKELY},
)


def _blank_words(case: Case) -> str:
    """Zeros at the start say nothing of what was not read: a RAID keeps its mark at the end of the disk."""
    facts, names = case.facts, culprit_names(case.culprits)
    blank = (SectorClass.ZEROS, SectorClass.FF)
    samples = [s for s in (facts.data_start, *facts.data_samples) if len(s) >= _LEAST_SAMPLE_BYTES]
    rest = {kind for sample in samples for kind in classify_sectors(sample).tolist()}
    if any(run.kind not in blank for run in facts.runs) or not rest <= set(blank):
        return f"no LUKS volume: its start holds {names}; what follows is not recognised"
    if len(facts.start) >= facts.size_bytes:
        return f"no LUKS volume: all of it is {names}"
    return f"no LUKS volume: its start holds {names}, and so do all samples of the rest; not every byte was read"


def _holds(case: Case) -> str:
    structures = [culprit for culprit in case.culprits if culprit.name not in FILLINGS]
    if case.culprits and not structures and all(culprit.name in _BLANK for culprit in case.culprits):
        return _blank_words(case)
    # what fills the space between the parts of a known structure is no content of its own
    names = culprit_names(structures or case.culprits)
    if names == "random":
        return "no LUKS volume: random bytes throughout; encrypted data look the same, but no header is there"
    if not names:
        return "no LUKS volume, and nothing that looks like one"
    more = "; most of what lies behind that is packed or encrypted" if is_mostly_random(case.facts) else ""
    return f"no LUKS volume: it holds {names}{more}"


NOT_LUKS = Rule(
    code="not-luks",
    missing=Missing.DEVICE,
    verdict=Verdict.NOT_LUKS,
    seen="no header, and nothing says that LUKS was here",
    applies=lambda case: case.header is None and not has_luks_left(case.facts),
    summary=_holds,
    story=lambda case: (
        "There is no LUKS header at the start of this device, and nothing says that one was there. Either it is another"
        " device, or the volume is elsewhere on it: when a partition table is lost, the partitions are still there, one"
        " only has to know where they begin."
    ),
    next=find_volume,
    ways={Lead.SEARCH: Chance.LIKELY},
)
RULES = (EMPTY, PARTITIONED, NOT_LUKS)
