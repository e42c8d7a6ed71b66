"""The volumes inside a decrypted volume: itself, the partitions of a table in it, the logical volumes of LVM in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from luksafe.errors import DamagedInput, NotFound, UsageError
from luksafe.probe.recognise import recognise
from luksafe.probe.recognised import Kind, Recognised
from luksafe.reader import Reader, SliceReader
from luksafe.view.inside.lvm import logical_volumes
from luksafe.wall import ParserStopped, walled

MAX_DEPTH = 3  # LVM in a partition in the volume
MAX_PARTITIONS = 256


@dataclass(frozen=True, slots=True)
class InnerVolume:
    """A volume with no volumes in it. ``name`` is empty for the decrypted volume itself, else ``p1`` or ``group/root``.

    ``content`` is what blkid would call it, empty when not recognised. ``reader`` is None where ``why_not`` says why.
    """

    name: str
    reader: Reader | None
    content: str = ""
    label: str = ""
    why_not: str = ""


def _stopped(why: ParserStopped, _: Reader) -> list[InnerVolume]:
    return [InnerVolume("", None, why_not=str(why))]


@walled("the volumes inside", _stopped)
def inner_volumes(reader: Reader) -> list[InnerVolume]:
    """All volumes inside, in order of the tables that name them."""
    return list(_inside(reader, "", MAX_DEPTH))


def choose(volumes: list[InnerVolume], name: str) -> InnerVolume:
    """The volume of that name; the only readable one where no name is given. Raises ``UsageError``, ``NotFound``."""
    listing = ", ".join(f"{volume.name or 'the whole'} ({volume.content or 'unknown'})" for volume in volumes)
    if name:
        found = next((volume for volume in volumes if volume.name == name), None)
        if found is None:
            raise NotFound(f"there is no volume {name} inside", hint=f"there are: {listing or 'none'}")
    else:
        candidates = [volume for volume in volumes if volume.reader is not None and volume.content not in ("swap", "")]
        if len(volumes) > 1 and len(candidates) != 1:
            raise UsageError("there are several volumes inside", hint=f"choose one with --volume: {listing}")
        found = candidates[0] if candidates else next(iter(volumes), None)
        if found is None:
            raise NotFound("there is no volume inside", hint="look at it with --volume after: luksafe diagnose")
    if found.reader is None:
        raise DamagedInput(f"{found.name} cannot be read: {found.why_not}", hint="open it with cryptsetup and LVM")
    return found


def _inside(reader: Reader, name: str, depth: int) -> Iterator[InnerVolume]:
    found = [match for match in recognise(reader) if match.copy == "primary"]
    table = next((match for match in found if match.kind is Kind.PARTITION_TABLE and match.partitions), None)
    filesystem = next((match for match in found if match.kind in (Kind.FILESYSTEM, Kind.SWAP, Kind.CRYPTO)), None)
    if depth and filesystem is None and table is not None:
        yield from _partitions(reader, table, name, depth)
        return
    group = next((match for match in found if match.name == "LVM2_member"), None)
    if depth and filesystem is None and group is not None:
        yield from _logical_volumes(reader, group, name, depth)
        return
    best = filesystem or next((match for match in found if match.kind is not Kind.BOOT_CODE), None)
    yield InnerVolume(name, reader, best.name if best else "", best.label if best else "")


def _partitions(reader: Reader, table: Recognised, name: str, depth: int) -> Iterator[InnerVolume]:
    for partition in table.partitions[:MAX_PARTITIONS]:
        if 0 < partition.offset < reader.size_bytes:
            part = SliceReader(reader, partition.offset, partition.size)
            yield from _inside(part, f"{name}p{partition.number}", depth - 1)


def _logical_volumes(reader: Reader, group: Recognised, name: str, depth: int) -> Iterator[InnerVolume]:
    try:
        volumes = logical_volumes(reader, group)
    except (DamagedInput, OSError) as error:
        yield InnerVolume(name or "LVM", None, "LVM2_member", why_not=str(error))
        return
    for volume in volumes:
        if volume.reader is None:
            yield InnerVolume(volume.name, None, why_not=volume.why_not)
        else:
            yield from _inside(volume.reader, volume.name, depth - 1)
