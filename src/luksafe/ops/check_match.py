"""Which backup of a volume its device has now, and how it differs from that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from luksafe.errors import LuksafeError
from luksafe.luks.compare import Change, compare
from luksafe.luks.inspection import inspect
from luksafe.luks.model import Header
from luksafe.ops.contradiction import Witness, find_contradicted
from luksafe.ops.target import Target
from luksafe.reader import BytesReader, Reader
from luksafe.vault.backup import Backup
from luksafe.vault.lineage import OwnLineage
from luksafe.vault.vault import Vault

UNIMPORTANT_CHANGES = frozenset({"seqid-changed"})


@dataclass(frozen=True, slots=True)
class Match:
    """A backup, its image and what that holds (None where no good copy is here), how the device differs."""

    backup: Backup
    image: Reader | None
    header: Header | None
    changes: tuple[Change, ...]


def to_restore(match: Match, witnesses: Sequence[Witness], current: Sequence[str]) -> str:
    """The backup to restore, as a command names it: of the volume, or the proven one that contradicts this match.

    The volume stands for its ``current`` backup, where that is this one.
    """
    if match.header is not None and match.image is not None:
        for found in find_contradicted(match.header, match.image, witnesses):
            if found.is_proven:
                return found.backup_id[:12]
    return match.backup.record.uuid if [*current] == [match.backup.id] else match.backup.id[:12]


def as_own(match: Match, own: OwnLineage) -> Match:
    """The match with ``is_current`` as of this device among its clones.

    Of a device of which nothing was kept itself, the header that it shares with another one is current.
    """
    is_shared = not own.has_own and match.backup.id in own.apart_ids and not match.changes
    is_current = is_shared or match.backup.id in own.lineage.current
    return replace(match, backup=replace(match.backup, is_current=is_current))


def best_match(vault: Vault, current: Sequence[Backup], live: Header | None, target: Target) -> Match:
    """Of several current backups, the one that differs least from the device; an older one that is the same wins."""
    matches = [match_of(vault, backup, live, target) for backup in current]
    best = min(matches, key=lambda match: (match.header is None, len(match.changes)))
    if live is None or not best.changes:
        return best
    ids = {backup.id for backup in current}
    older = [b for b in vault.backups(current[0].record.uuid) if b.id not in ids and b.record.seqid == live.seqid]
    for backup in sorted(older, key=lambda b: not b.proofs):
        match = match_of(vault, backup, live, target)
        if match.header is not None and not match.changes:
            return match
    return best


def match_of(vault: Vault, backup: Backup, live: Header | None, target: Target | None) -> Match:
    """How the device differs from one backup."""
    try:
        image = BytesReader(vault.image(backup.id).data)
    except LuksafeError:
        return Match(backup, None, None, ())
    stored = inspect(image).header
    changes = compare(stored, live, image, target.reader) if stored and live and target else []
    return Match(backup, image, stored, tuple(c for c in changes if c.code not in UNIMPORTANT_CHANGES))
