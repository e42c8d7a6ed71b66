"""The undo entries in one place: saved before a write, found afterwards, marked, never changed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from luksafe.errors import Busy, DamagedInput, LuksafeError, NotFound, StoreError, UsageError
from luksafe.vault.document import MAX_DOCUMENT_BYTES
from luksafe.vault.folder import LEFTOVER_SECONDS, Folder
from luksafe.vault.record import encode, parse_as, timestamp
from luksafe.vault.report import Problem
from luksafe.vault.undo import (
    Manifest,
    Mark,
    Range,
    Replacement,
    UndoEntry,
    UndoState,
    check_manifest,
    is_entry_id,
    range_of,
)

_TOP = "undo"
_MANIFEST = "manifest.json"
MAX_NUMBER = 999_999
"""Numbers are for people; where they end, the random digits still tell the entries apart."""
_MARK = re.compile(r"mark-([1-9][0-9]{0,5})\.json")


class UndoLog:
    """The entries in one place: the vault's home, a store, or any folder. ``problems`` tells of damaged ones."""

    def __init__(self, folder: Folder) -> None:
        self.problems: list[Problem] = []
        self._folder = folder

    def save(
        self,
        target: str,
        replacements: Sequence[Replacement],
        *,
        now: datetime,
        token: str,
        why: str = "",
        facts: dict[str, Any] | None = None,
        number: int = 0,
    ) -> UndoEntry:
        """Keep both contents of all ranges, durably, before the target is written. ``token``: 8 random hex digits.

        ``number`` is one that no place has had; without it, the next of this place.

        Raises ``StoreError``; then there is no entry, and the target must not be written.
        """
        manifest = Manifest(
            id=f"{min(number or self.next_number(), MAX_NUMBER):06d}-{token}",
            target=target,
            when=timestamp(now),
            why=why,
            ranges=[range_of(replacement) for replacement in replacements],
            facts=facts or {},
        )
        check_manifest(manifest)
        self._write(manifest, replacements)
        return UndoEntry(manifest)

    def copy(self, entry: UndoEntry, source: UndoLog) -> None:
        """Keep an entry of another place here too, without its marks. Raises ``StoreError``, ``DamagedInput``."""
        self._write(entry.manifest, source.read(entry))

    def entries(self, target: str | None = None) -> list[UndoEntry]:
        """The entries of a target, or all; latest first."""
        self.problems = []
        found = []
        for entry_id in self._folder.folders(_TOP):
            if is_entry_id(entry_id):
                with suppress(NotFound):  # unfinished: its manifest was never written
                    found += self._read_entry(entry_id, target)
        return sorted(found, key=lambda entry: entry.id, reverse=True)

    def read(self, entry: UndoEntry) -> list[Replacement]:
        """Both contents of all ranges, verified. Raises ``NotFound``, ``DamagedInput`` that names the file."""
        return [
            Replacement(
                part.offset,
                self._read_content(entry.id, "old", part, part.old_sha256),
                self._read_content(entry.id, "new", part, part.new_sha256),
            )
            for part in entry.manifest.ranges
        ]

    def mark(self, entry: UndoEntry, state: UndoState, *, now: datetime) -> UndoEntry:
        """Note what became of the write. Raises ``Busy`` when somebody else noted something at the same time."""
        mark = Mark(id=entry.id, state=state, when=timestamp(now))
        if not self._folder.create(f"{_TOP}/{entry.id}/mark-{len(entry.states) + 1}.json", encode(mark)):
            raise Busy(f"somebody else is at work on {entry.id}", hint="look again with `luksafe undo --dry-run`")
        return UndoEntry(entry.manifest, (*entry.states, state))

    def remove(self, entry_id: str) -> None:
        """Delete an entry, the manifest first."""
        if not is_entry_id(entry_id):
            raise UsageError(f"{entry_id!r} is no entry of an undo log")
        self._folder.remove(f"{_TOP}/{entry_id}/{_MANIFEST}")
        for name in self._folder.files(f"{_TOP}/{entry_id}"):
            self._folder.remove(f"{_TOP}/{entry_id}/{name}")
        self._folder.remove_folder(f"{_TOP}/{entry_id}")

    def clean(self, *, now: datetime) -> list[str]:
        """Remove what killed writers left more than a day ago; gives the ids of the unfinished entries."""
        removed = []
        for entry_id in filter(is_entry_id, self._folder.folders(_TOP)):
            self._folder.clean(f"{_TOP}/{entry_id}", now.timestamp())
            names = self._folder.files(f"{_TOP}/{entry_id}")
            ages = [self._folder.age_seconds(f"{_TOP}/{entry_id}/{name}", now.timestamp()) for name in names]
            if _MANIFEST not in names and min(ages, default=LEFTOVER_SECONDS + 1) > LEFTOVER_SECONDS:
                self.remove(entry_id)
                removed.append(entry_id)
        return removed

    def next_number(self) -> int:
        """One more than the greatest number here. Raises ``StoreError``."""
        return 1 + max((int(entry_id[:6]) for entry_id in filter(is_entry_id, self._folder.folders(_TOP))), default=0)

    def _write(self, manifest: Manifest, replacements: Sequence[Replacement]) -> None:
        """The contents, then the manifest. What was written goes again when something fails."""
        files = [(f"old-{part.offset}.bin", part.old) for part in replacements]
        files += [(f"new-{part.offset}.bin", part.new) for part in replacements]
        files.append((_MANIFEST, encode(manifest)))
        try:
            for name, data in files:
                if not self._folder.create(f"{_TOP}/{manifest.id}/{name}", data):
                    raise Busy(f"{self._folder.path} holds an entry {manifest.id} already")
        except Busy:
            raise
        except BaseException:
            with suppress(LuksafeError):
                self.remove(manifest.id)
            raise

    def _read_entry(self, entry_id: str, target: str | None) -> list[UndoEntry]:
        """The entry in a list, or none when it is of another target or damaged."""
        name = f"{_TOP}/{entry_id}/{_MANIFEST}"
        try:
            manifest = parse_as(Manifest, self._folder.read(name, MAX_DOCUMENT_BYTES))
            if manifest.id != entry_id:
                raise DamagedInput("the manifest belongs to another entry")
            check_manifest(manifest)
        except (DamagedInput, UsageError, StoreError) as error:
            self.problems.append(Problem.of(str(self._folder.path), name, error))
            return []
        if target not in (None, manifest.target):
            return []
        try:
            return [UndoEntry(manifest, self._states(entry_id))]
        except StoreError as error:  # what became of it is not known here; the second place may know
            self.problems.append(Problem.of(str(self._folder.path), f"{_TOP}/{entry_id}", error))
            return [UndoEntry(manifest)]

    def _states(self, entry_id: str) -> tuple[UndoState, ...]:
        """What the marks say, in their order. A damaged one says nothing: then the target must be looked at."""
        numbers = (int(match[1]) for match in map(_MARK.fullmatch, self._folder.files(f"{_TOP}/{entry_id}")) if match)
        return tuple(self._read_mark(entry_id, number) for number in sorted(numbers))

    def _read_mark(self, entry_id: str, number: int) -> UndoState:
        name = f"{_TOP}/{entry_id}/mark-{number}.json"
        try:
            mark = parse_as(Mark, self._folder.read(name, MAX_DOCUMENT_BYTES))
            return mark.state if mark.id == entry_id else UndoState.PENDING
        except (DamagedInput, StoreError) as error:
            self.problems.append(Problem.of(str(self._folder.path), name, error))
            return UndoState.PENDING

    def _read_content(self, entry_id: str, which: str, part: Range, sha256: str) -> bytes:
        name = f"{_TOP}/{entry_id}/{which}-{part.offset}.bin"
        data = self._folder.read(name, part.length)
        if len(data) != part.length or hashlib.sha256(data).hexdigest() != sha256:
            raise DamagedInput(f"{name} in {self._folder.path} is damaged", hint="use the entry's second place")
        return data
