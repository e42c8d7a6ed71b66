"""Words that several rules have in common."""

from __future__ import annotations

from collections.abc import Sequence

from luksafe.ops.diagnosis.culprits import FILLINGS
from luksafe.ops.diagnosis.known_backups import KnownBackup
from luksafe.ops.diagnosis.model import Culprit
from luksafe.ops.diagnosis.rules.rule import Case, listed

TIES = {
    "uuid": "it has the UUID that the device still shows",
    "device": "it was taken of this very device",
    "path": "only its name ties it to this device, which another may have now: weak evidence",
    "key-material": "its key material is still on the device",
}
"""Why a backup is held to be of the target, by ``KnownBackup.by``."""


def foreign_words(culprits: Sequence[Culprit]) -> str:
    """A reminder that what is there now may be what somebody wants."""
    names = [culprit.name for culprit in culprits if culprit.name not in FILLINGS]
    return f" ({', '.join(names)} stands there now: if that is in use, leave it)" if names else ""


def culprit_names(culprits: Sequence[Culprit]) -> str:
    """The names, each once."""
    return ", ".join(dict.fromkeys(culprit.name for culprit in culprits))


def backup_words(backup: KnownBackup) -> str:
    """Which backup it is, and what ties it to the device."""
    return f"{backup.id[:12]} of {backup.created[:10] or 'an unknown date'} ({TIES.get(backup.by, backup.by)})"


def keyslot_words(slots: Sequence[int]) -> str:
    """keyslot 1; keyslots 1 and 2."""
    return f"keyslot{'s' if len(slots) > 1 else ''} {listed(slots)}"


def are(slots: Sequence[int]) -> str:
    """The verb that goes with so many."""
    return "are" if len(slots) > 1 else "is"


def vault_words(case: Case) -> str:
    """What the vault has of a header that the device has not."""
    best = next((b for b in case.facts.backups if b.has_keyslots), None)
    if best is not None:
        return f"The vault has backup {backup_words(best)}."
    if case.facts.backups:
        return f"The vault has backup {backup_words(case.facts.backups[0])}, but no keyslot is in it that could open."
    return "The vault has no backup that is known to be of this device."
