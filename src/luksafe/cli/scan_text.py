"""What a scan found, for people."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator

from luksafe.cli.text import bad, count, good, human_size
from luksafe.ops.scan.model import FoundVolume, LostPartition, Scanned

_WIDTH = 79


def scan_lines(found: Scanned, target: str, *, colored: bool) -> Iterator[str]:
    """Headers with what is known of each, guesses of partitions, and what to do next."""
    speed = human_size(int(found.bytes_read / max(found.seconds, 1e-3)))
    yield f"{human_size(found.bytes_read)} searched in {found.seconds:.1f} s ({speed}/s)"
    if not found.volumes and not found.remains:
        yield "no LUKS header anywhere"
        yield "next: if it is a file in an archive or a filesystem, unpack or mount that and scan the folder"
        return
    yield count(len(found.volumes), "header")
    for volume in found.volumes:
        yield from _volume(volume, in_folder=found.is_folder, colored=colored)
    if found.partitions:
        yield count(len(found.partitions), "partition" if any(guess.start for guess in found.partitions) else "volume")
        for guess in found.partitions:
            yield from _guess(guess, colored=colored)
    yield from _next(found, target)


def nothing_to_reach(found: Scanned) -> str:
    """Why there are no commands that make lost partitions reachable."""
    if found.is_folder:
        return "no commands: files in a folder lie in no lost partition"
    if found.partitions:
        return "no commands: no partition is lost, the partition table has every volume that was found"
    if found.volumes:
        return "no commands: no volume with its data was found, only headers"
    return "no commands: nothing was found"


def _volume(volume: FoundVolume, *, in_folder: bool, colored: bool) -> Iterator[str]:
    place = f"{volume.file} byte {volume.offset}" if in_folder else f"byte {volume.offset}"
    seqid = f", sequence id {volume.seqid}" if volume.format == "luks2" and volume.uuid else ""
    uuid = volume.uuid or "(UUID not known)"
    yield f"  {place}  {_state(volume, colored=colored)}"
    yield f"      {volume.format.upper()} {uuid}{seqid}"
    if volume.only:
        yield f"      only its {volume.only} copy can be used"
    elif secondary := volume.copy_named("secondary"):
        yield f"      second copy at byte {secondary.offset}"
    if volume.keyslots and volume.is_contiguous:
        yield "      keyslots: " + ", ".join(f"{slot} {state}" for slot, state in volume.keyslots)
    for reason in volume.why:
        yield from _wrapped(reason)
    if volume.backups:
        yield "      in the vault: " + ", ".join(backup[:12] for backup in volume.backups)


def _state(volume: FoundVolume, *, colored: bool) -> str:
    if volume.header is None:
        return bad("damaged", colored=colored)
    if volume.stale:
        return bad("stale", colored=colored)
    names = {"volume": "volume", "backup": "copy of a header", "unknown": "volume or copy"}
    name = "packed backup" if volume.is_packed else names[volume.kind]
    if not volume.is_contiguous:
        return bad(f"{name}, in pieces or overwritten", colored=colored)
    return good(name, colored=colored) if volume.is_usable else bad(f"{name}, no keyslot left", colored=colored)


def _guess(guess: LostPartition, *, colored: bool) -> Iterator[str]:
    sure = good("sure", colored=colored) if guess.sure else bad("a guess", colored=colored)
    where = "the whole device" if guess.is_whole_device else "in no partition table"
    where = "in the partition table" if guess.listed else where
    yield f"  byte {guess.start}, {human_size(guess.length)}: {sure}, {where}"
    yield f"      {guess.uuid}"
    yield from _wrapped(f"start: {guess.start_why}")
    yield from _wrapped(f"length: {guess.length_why}")
    if guess.data:
        verdict = {True: "the key opens it; data: ", False: "", None: "not tested: "}[guess.opened]
        yield from _wrapped(f"{verdict}{guess.data}")


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 8, break_on_hyphens=False)


def _next(found: Scanned, target: str) -> Iterator[str]:
    lost = [guess for guess in found.partitions if not guess.listed and not guess.is_whole_device]
    if lost:
        yield "next, for commands that make them reachable, read-only:"
        yield f"  luksafe scan {shlex.quote(target)} --table"
    elif any(guess.is_whole_device for guess in found.partitions):
        yield f"next: luksafe diagnose {shlex.quote(target)}"
    elif any(v.kind == "backup" and not v.is_contiguous for v in found.volumes):
        yield "next: a file stored in pieces is whole in its filesystem: mount that read-only and scan the folder"
    elif found.remains:
        yield "next: restore the header to its place from the copy: luksafe import, then luksafe restore"
    elif not found.volumes and not found.is_folder:
        # a diagnosis leads here, so this leads elsewhere
        yield "next: is it the right device? lsblk"
        yield "  headers that the vault knows: luksafe list"
    else:
        usable = next((v for v in found.volumes if v.is_usable and not v.stale), None)
        if usable and found.is_folder:
            yield f"next: luksafe show {shlex.quote(usable.file)}"
        else:
            place = found.volumes[0].file if found.is_folder else target
            yield f"next: luksafe diagnose {shlex.quote(place)}"
