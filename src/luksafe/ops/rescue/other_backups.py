"""The backups in the vault that nothing ties to the device: it may have another name now, or be a clone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from luksafe.errors import LuksafeError
from luksafe.ops.diagnosis.facts import Facts
from luksafe.ops.diagnosis.model import Diagnosis, Verdict
from luksafe.ops.rescue.model import Chance, Risk, Step, Way, prove
from luksafe.ops.workspace import Workspace
from luksafe.vault.backup import Backup

MOST_NAMED = 6


def find_other_backups(workspace: Workspace, facts: Facts, diagnosis: Diagnosis) -> Sequence[Backup]:
    """The current backups to try where no header is left, those of a device of the same size first; else none."""
    is_known = facts.backups or facts.headers_elsewhere or facts.inspection.is_luks1_reencrypting
    if facts.mended.header is not None or is_known or diagnosis.verdict is Verdict.UNSUPPORTED:
        return ()
    try:
        with workspace.vault_if_readable() as vault:
            found = [backup for backup in vault.backups() if backup.is_current] if vault else []
    except LuksafeError:
        return ()
    if diagnosis.verdict is Verdict.NOT_LUKS:  # then only its size speaks for it
        found = [backup for backup in found if _is_of_its_size(backup, facts)]
    found.sort(key=lambda backup: backup.record.created, reverse=True)
    return sorted(found, key=lambda backup: not _is_of_its_size(backup, facts))  # keeps the newest in front


def story(facts: Facts, others: Sequence[Backup]) -> str:
    """What the vault has instead of a backup of this device."""
    named = "; ".join(_words(backup, facts) for backup in others[:MOST_NAMED])
    more = f"; {len(others) - MOST_NAMED} more: luksafe list" if len(others) > MOST_NAMED else ""
    count = f"{len(others)} backups of other volumes" if len(others) > 1 else "1 backup of another volume"
    return (
        "Nothing on the device tells which volume it was, and the vault has no backup that is known to be of this "
        f"device. It has {count}, which may be this one under another name: {named}{more}. A passphrase tells."
    )


def by_other_backups(device: str, facts: Facts, others: Sequence[Backup]) -> Iterator[Way]:
    """To try each, reading first."""
    for backup in others[:MOST_NAMED]:
        chance = Chance.LIKELY if _is_of_its_size(backup, facts) else Chance.MAY
        why = f"backup {_words(backup, facts)}; nothing tells whether it is of this volume"
        yield try_backup(device, backup, why, chance)


def try_backup(device: str, backup: Backup, why: str, chance: Chance = Chance.MAY) -> Way:
    """To see whether a backup is of this device, and only then to write it there."""
    name = backup.id[:12]
    first = Step(
        ("luksafe", "prove", name, "--data", device),
        "Opens the backup with its passphrase and looks whether the data on the device decrypt to something. "
        "Reads only.",
    )
    restore = Step(
        ("luksafe", "restore", name, device),
        "Only when the step before found data: writes the backup to the device. Asks for the passphrase, which proves "
        "it, shows the plan, asks for YES, saves what is there now, reads back.",
        writes=True,
    )
    return Way(
        f"try:{name}", f"Try backup {name} of the vault", chance, Risk.UNDOABLE, why, (first, restore, prove(device))
    )


def _is_of_its_size(backup: Backup, facts: Facts) -> bool:
    return facts.size_bytes > 0 and backup.record.device.size == facts.size_bytes


def _words(backup: Backup, facts: Facts) -> str:
    record = backup.record
    place = " on ".join(part for part in (record.device.path, record.host) if part)
    size = f"{record.device.size} bytes" if record.device.size else ""
    if _is_of_its_size(backup, facts):
        size = "as large as this device"
    parts = [record.created[:10], place and f"of {place}", f'"{record.label}"' if record.label else "", size]
    return f"{backup.id[:12]} ({', '.join(part for part in parts if part)})"
