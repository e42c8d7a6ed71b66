"""Ways by what the vault has of the volume: header backups and escrow packets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from luksafe.errors import LuksafeError
from luksafe.ops.diagnosis.facts import Facts
from luksafe.ops.diagnosis.known_backups import KnownBackup
from luksafe.ops.diagnosis.known_packets import to_offer
from luksafe.ops.diagnosis.model import Diagnosis, Lead, State, Verdict
from luksafe.ops.diagnosis.rules.words import TIES
from luksafe.ops.rescue.model import Chance, Risk, Step, Way, prove
from luksafe.ops.restore import plan as plan_restore
from luksafe.ops.restore_dangers import ANSWERED_BY_DATA
from luksafe.ops.workspace import Workspace
from luksafe.ops.write.plan import Danger

MOST_BACKUPS = 3
_HARMLESS = ("foreign-signature",)


def by_backups(workspace: Workspace, device: str, facts: Facts, diagnosis: Diagnosis) -> Iterator[Way]:
    """To read the data with a backup of the header, or to write it back."""
    best = diagnosis.ways.get(Lead.BACKUP)
    if best is None:
        return  # half of the data would be noise under either header, or no header is missing
    yield from (_with_header_elsewhere(device, backup) for backup in facts.headers_elsewhere[:MOST_BACKUPS])
    is_damaged = any(k.state is not State.INTACT for k in diagnosis.keyslots if k.state is not State.INACTIVE)
    if diagnosis.verdict is Verdict.HEALTHY and not is_damaged:
        return
    usable = [backup for backup in facts.backups if backup.has_keyslots]
    for number, backup in enumerate(usable[:MOST_BACKUPS]):
        chance = best if number == 0 else max(best, Chance.LIKELY if backup.opens else Chance.MAY)
        yield _read_with_backup(device, backup, chance)
        if not facts.interruption:
            yield _restore_backup(workspace, device, backup, chance)


def _read_with_backup(device: str, backup: KnownBackup, chance: Chance) -> Way:
    name = backup.id[:12]
    header = f"vault:{name}"
    return Way(
        f"read:{name}",
        f"Read the data with backup {name}, without writing anything",
        chance,
        Risk.READS_ONLY,
        _backup_words(backup),
        (
            prove(device, header),
            Step(("luksafe", "ls", device, "/", "--header", header), "Lists the files inside. Reads only."),
        ),
    )


def _with_header_elsewhere(device: str, backup: KnownBackup) -> Way:
    """Of a detached header: on the device itself it would overwrite the start of the data."""
    name, file = backup.id[:12], f"header-{backup.id[:12]}.img"
    way = _read_with_backup(device, backup, Chance.VERY_LIKELY)
    export = Step(
        ("luksafe", "export", name, file),
        f"Writes the header to the new file {file}, for 'cryptsetup open --header'. The device is not touched.",
    )
    why = f"{way.why}; it is a detached header, which does not belong on the device"
    return replace(way, why=why, steps=(*way.steps, export))


def _restore_backup(workspace: Workspace, device: str, backup: KnownBackup, chance: Chance) -> Way:
    name = backup.id[:12]
    dangers = _dangers(workspace, name, device)
    # what a passphrase answers is left to it, and a wrong place is never written to
    mere = [danger for danger in dangers if danger.code not in ANSWERED_BY_DATA and not danger.destroys]
    flags = tuple(dict.fromkeys(part for danger in mere for part in danger.flag.split()))
    serious = [danger.text for danger in dangers if danger.code not in _HARMLESS]
    text = (
        "Writes the backup to the device: offers to try your passphrase on the data first, shows the plan, asks for"
        " YES, saves what is there now, reads back."
    )
    if serious:
        text += " THINK TWICE, it says: " + "; ".join(serious) + "."
        chance = max(chance, Chance.MAY)
    first = Step(
        ("luksafe", "prove", name, "--data", device),
        "Opens the backup with your passphrase and looks whether the data on the device decrypt with it. Reads only.",
    )
    restore = Step(("luksafe", "restore", name, device, *flags), text, writes=True)
    return Way(
        f"restore:{name}",
        f"Write backup {name} back to the device",
        chance,
        Risk.UNDOABLE,
        _backup_words(backup),
        (first, restore, prove(device)),
    )


def _dangers(workspace: Workspace, backup: str, device: str) -> Sequence[Danger]:
    try:
        dangers = plan_restore(workspace, backup, device).dangers
    except LuksafeError:
        return ()
    return tuple(danger for danger in dangers if danger.flag)


def _backup_words(backup: KnownBackup) -> str:
    current = "the current one" if backup.is_current else "an older one"
    but = ", but a proven one has other key material" if backup.is_contradicted else ""
    return f"backup {backup.id[:12]} of {backup.created[:10]}, {current}; {TIES.get(backup.by, backup.by)}{but}"


def by_packets(device: str, facts: Facts, diagnosis: Diagnosis) -> Iterator[Way]:
    """A new passphrase by an escrow packet; what becomes of the header, ``escrow apply`` sees for itself."""
    best = diagnosis.ways.get(Lead.PACKET)
    if best is None:
        return
    has_keyslot = any(k.state in (State.INTACT, State.SUSPECT) for k in diagnosis.keyslots)
    for packet in to_offer(facts.packets):
        belongs = "it has the UUID of this volume" if packet.is_of_volume else "whose key it holds, nothing tells"
        text = (
            "Opens the packet and gives the volume a new passphrase, in a free keyslot; where the header is gone, in a"
            " new one round the volume key. Shows what it will do, and asks."
        )
        if not packet.asks:
            text += " It takes the file of a private key: type o, then --identity FILE."
        likely = packet.is_of_volume and (packet.holds_volume_key or has_keyslot)
        yield Way(
            f"packet:{packet.id}",
            f"Get in with escrow packet {packet.id}",
            best if likely else Chance.MAY,
            Risk.UNDOABLE,
            f"it lies in the vault; {belongs}",
            (Step(packet.apply(device), text, writes=True), prove(device)),
        )
