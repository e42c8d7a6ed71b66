"""Scan: one disk, image or folder is searched; what is found is put together, judged and matched with the vault."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from luksafe.device.opening import open_storage
from luksafe.device.source import DeviceReader
from luksafe.errors import LuksafeError, UsageError
from luksafe.ops.scan.assemble import assemble
from luksafe.ops.scan.folder import files_in
from luksafe.ops.scan.generations import judge_generations
from luksafe.ops.scan.key_material import KeyMaterial
from luksafe.ops.scan.model import FoundVolume, KnownHeader, Remains, Scanned
from luksafe.ops.scan.packed import unpack_at
from luksafe.ops.scan.partitions import guess_partitions
from luksafe.ops.scan.search_one import LOOK_SECONDS, Search, search_one
from luksafe.ops.scan.surroundings import Surroundings, keyslot_states
from luksafe.ops.scan.sweep import Sweeper
from luksafe.ops.scan.trial import ScanKey, is_at_home, try_guess
from luksafe.ops.stored_headers import stored_headers
from luksafe.ops.workspace import Workspace
from luksafe.reader import BytesReader
from luksafe.vault.record import Record

_MOST_TRIED = 32
"""Each header that is tried costs a key derivation."""

Begin = Callable[[str, int], Callable[[int], None]]
"""Called with a label and the bytes to come; gives what is called with the bytes done."""


@dataclass
class _Vault:
    """What the vault knows: its records, and the headers whose key material is looked for."""

    records: list[Record] = field(default_factory=list)
    known: list[KnownHeader] = field(default_factory=list)


def scan(
    workspace: Workspace,
    target: Path,
    begin: Begin,
    *,
    resume: Path | None = None,
    once: bool = False,
    key: ScanKey | None = None,
) -> Scanned:
    """Search a disk, an image or a folder; read-only, and bad sectors are passed over.

    A header that may be a copy makes a second round, in search of its volume by the key material; ``once`` leaves it
    out. ``resume`` keeps the state of the first round; ``key`` tests the guesses. Raises UsageError, NotFound and what
    opening a device raises.
    """
    started = time.monotonic()
    vault = _read_vault(workspace)
    if target.is_dir():
        if resume is not None:
            raise UsageError("--resume is for a disk or an image; a folder is scanned in one go")
        found = _scan_folder(target, vault, begin)
    else:
        with _open(target) as reader:
            found = _scan_disk(reader, vault, begin, resume, once, key)
    return replace(found, seconds=time.monotonic() - started)


@contextmanager
def _open(path: Path) -> Iterator[DeviceReader]:
    """The bytes as they are: a packed file is not unpacked here, the search finds what is in it."""
    fd, _ = open_storage(path, os.O_RDONLY)
    with closing(DeviceReader(fd, str(path), "file")) as reader:
        yield reader


def _read_vault(workspace: Workspace) -> _Vault:
    """The headers in the vault, if there is one; a damaged backup is left out."""
    found = _Vault()
    with workspace.vault_if_readable() as vault:
        if vault is None:
            return found
        backups = vault.backups()
        found.records += [backup.record for backup in backups]
        found.known += [
            KnownHeader(f"backup {stored.backup.id[:12]}", stored.header, stored.reader)
            for stored in stored_headers(vault, backups)
        ]
    return found


def _scan_folder(folder: Path, vault: _Vault, begin: Begin) -> Scanned:
    skipped: list[tuple[str, str]] = []
    paths = list(files_in(folder, skipped))
    progress = begin("searching", sum(path.lstat().st_size for path in paths if path.exists()))
    sweeper, none = Sweeper(), KeyMaterial()
    volumes: list[FoundVolume] = []
    unreadable, done, is_cut, unlooked = [], 0, False, 0
    for path in paths:
        try:
            with _open(path) as reader:
                before = done
                search = search_one(reader, sweeper, none, lambda inside, before=before: progress(before + inside))  # type: ignore[misc]
                volumes += _volumes(reader, search, Surroundings(reader))
                unreadable += [(str(path), part) for part in search.unreadable]
                is_cut = is_cut or search.is_cut
                unlooked += search.unlooked
                done += reader.size_bytes
        except (LuksafeError, OSError) as problem:
            skipped.append((str(path), str(problem)))
    judged = judge_generations(volumes, vault.records)
    return Scanned(
        tuple(judged),
        unreadable=tuple(unreadable),
        skipped=tuple(skipped),
        is_cut=is_cut,
        unlooked=unlooked,
        bytes_read=done,
        is_folder=True,
    )


def _scan_disk(
    reader: DeviceReader, vault: _Vault, begin: Begin, resume: Path | None, once: bool, key: ScanKey | None
) -> Scanned:
    material = KeyMaterial(vault.known)
    progress = begin("searching", reader.size_bytes)
    search = search_one(reader, Sweeper(material.fingerprints), material, progress, resume)
    around = Surroundings(reader)
    judged = _volumes(reader, search, around)
    if key is not None:
        judged = _at_home(judged, reader, key)
    volumes = judge_generations(judged, vault.records)
    remains = material.remains(reader.path)
    homeless = [] if once else _homeless(reader, volumes)
    if homeless:
        again = KeyMaterial(homeless)
        progress = begin("looking for the volume of a header copy", reader.size_bytes)
        search_again(reader, again, progress)
        remains = _united(remains, again.remains(reader.path))
    remains = [r for r in remains if not _is_of_a_header(r, volumes)]
    volumes = [_as_backup(volume, remains) for volume in volumes]
    guesses = guess_partitions(volumes, remains, around, reader.size_bytes)
    if key is not None:
        guesses = [try_guess(guess, reader, volumes, remains, key) for guess in guesses]
    return Scanned(
        tuple(volumes),
        tuple(remains),
        tuple(guesses),
        tuple((reader.path, part) for part in search.unreadable),
        is_cut=search.is_cut,
        unlooked=search.unlooked,
        bytes_read=reader.size_bytes,
    )


def search_again(reader: DeviceReader, material: KeyMaterial, progress: Callable[[int], None]) -> None:
    """Another round over a disk, for key material alone."""
    for piece in Sweeper(material.fingerprints).sweep(reader):
        for mark in piece.marks:
            if mark.kind == "key-material":
                material.note(reader, mark.offset)
        progress(piece.done_bytes)


def _volumes(reader: DeviceReader, search: Search, around: Surroundings) -> list[FoundVolume]:
    """The volumes of one disk or file, each judged by what lies round it."""
    found = _judged(assemble(search.file, search.copies), around)
    judged = []
    until = time.monotonic() + LOOK_SECONDS
    for volume in found:
        if time.monotonic() > until:
            judged.append(volume)
            continue
        later = around.taken_over_by(volume, [other for other in found if other is not volume])
        if later:
            volume = replace(volume, kind="unknown", stale=True, is_taken_over=True, why=(*volume.why, later))
        judged.append(volume)
    for copies in search.packed:
        (volume,) = assemble(search.file, copies)
        states = keyslot_states(BytesReader(unpack_at(reader, volume.offset)), volume.header) if volume.header else ()
        judged.append(replace(volume, kind="backup", keyslots=states, is_packed=True, why=(*volume.why, "gzip file")))
    return sorted(judged, key=lambda volume: volume.offset)


def _at_home(volumes: Iterable[FoundVolume], reader: DeviceReader, key: ScanKey) -> list[FoundVolume]:
    """The volumes with those that looked like mere copies, and of which the key proves that their data are here."""
    out, tried = [], 0
    for volume in volumes:
        if volume.kind != "volume" and tried < _MOST_TRIED:
            tried += 1
            if is_at_home(volume, reader, key):
                why = "the key opens it, and the data behind it decrypt to sense: this is the volume itself"
                volume = replace(volume, kind="volume", why=(why,))
        out.append(volume)
    return out


def _judged(volumes: Iterable[FoundVolume], around: Surroundings) -> list[FoundVolume]:
    """Each volume judged by what lies round it, as far as there is time."""
    until, out = time.monotonic() + LOOK_SECONDS, []
    for volume in volumes:
        if time.monotonic() > until:
            out.append(replace(volume, why=(*volume.why, "not judged: too many headers were found to look round each")))
        else:
            out.append(around.judge(volume))
    return out


def _homeless(reader: DeviceReader, volumes: Iterable[FoundVolume]) -> list[KnownHeader]:
    """Headers that may be mere copies: their volume, with its own header gone, may be elsewhere on the disk."""
    found = []
    for volume in volumes:
        if volume.header is None or volume.kind == "volume" or volume.is_taken_over or not volume.is_usable:
            continue
        source = BytesReader(unpack_at(reader, volume.offset)) if volume.is_packed else reader
        found.append(KnownHeader(f"the header at byte {volume.offset}", volume.header, source))
    return found


def _united(first: list[Remains], second: list[Remains]) -> list[Remains]:
    known = {item.start for item in first}
    return [*first, *(item for item in second if item.start not in known)]


def _is_of_a_header(remains: Remains, volumes: Iterable[FoundVolume]) -> bool:
    """Whether the key material is simply that of a header found in its place."""
    return any(v.offset == remains.start and not v.is_packed and v.uuid == remains.uuid and v.header for v in volumes)


def _as_backup(volume: FoundVolume, remains: Iterable[Remains]) -> FoundVolume:
    """A header of which the key material lies elsewhere too is a copy, when nothing says that its data are here."""
    home = next((r for r in remains if r.uuid == volume.uuid and not volume.is_packed), None)
    if home is None or volume.kind != "unknown":
        return volume
    why = f"a copy of the header: its key material lies at byte {home.start} too, where the header is gone"
    return replace(volume, kind="backup", why=(*volume.why, why))
