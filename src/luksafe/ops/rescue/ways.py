"""The ways out of what was diagnosed, ranked: what is likely comes before what may work, reading before writing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from luksafe.errors import LuksafeError
from luksafe.ops.diagnosis.advice import is_reencryption_crashed
from luksafe.ops.diagnosis.facts import Facts
from luksafe.ops.diagnosis.known_backups import KnownBackup
from luksafe.ops.diagnosis.model import Diagnosis, State, Verdict
from luksafe.ops.rescue.lost_partitions import partition_ways
from luksafe.ops.rescue.model import Chance, Guess, Outlook, Risk, Step, Way
from luksafe.ops.rescue.story import tell
from luksafe.ops.restore import plan as plan_restore
from luksafe.ops.workspace import Workspace
from luksafe.ops.write.plan import Danger

MOST_BACKUPS = 3
_HARMLESS = ("foreign-signature",)


def outlook(workspace: Workspace, device: str, facts: Facts, diagnosis: Diagnosis, guesses: Sequence[Guess]) -> Outlook:
    """Everything to say about a device, given what was seen, and what a search of it found."""
    ways = [
        *_after_interruption(device, facts),
        *_of_mappings(device, facts, diagnosis),
        *_by_repair(device, facts, diagnosis),
        *_by_backups(workspace, device, facts, diagnosis),
        *_by_packets(device, facts, diagnosis),
        *_by_reencryption(device, facts),
        *partition_ways(device, guesses),
        *_by_search(device, diagnosis, guesses),
        *_by_passphrase(device, facts, diagnosis),
    ]
    return Outlook(
        verdict=diagnosis.verdict.value,
        urgent=diagnosis.first,
        story=tuple(tell(diagnosis, facts)),
        avoid=diagnosis.avoid,
        ways=tuple(sorted(ways, key=lambda way: (way.chance, way.risk))),
        is_healthy=diagnosis.verdict is Verdict.HEALTHY,
    )


def _prove(device: str, header: str = "") -> Step:
    options = ("--header", header) if header else ()
    return Step(
        ("luksafe", "prove", device, *options, "--data", device),
        "Opens it with your passphrase, decrypts the start of the data and says what they are. Reads only.",
        proves=True,
    )


def _after_interruption(device: str, facts: Facts) -> Iterator[Way]:
    if not facts.interruption:
        return
    why = f"{facts.interruption}; both what was there before and what was to be written are saved"
    finish = Step(
        ("luksafe", "undo", "--finish", device), "Writes what was to be written, from where it stopped.", True
    )
    back = Step(("luksafe", "undo", device), "Puts back what was there before that write.", True)
    yield Way(
        "finish",
        "Finish the write that was interrupted",
        Chance.VERY_LIKELY,
        Risk.UNDOABLE,
        why,
        (finish, _prove(device)),
    )
    yield Way("undo", "Undo the write that was interrupted", Chance.MAY, Risk.UNDOABLE, why, (back, _prove(device)))


def _of_mappings(device: str, facts: Facts, diagnosis: Diagnosis) -> Iterator[Way]:
    if diagnosis.verdict in (Verdict.HEALTHY, Verdict.UNSUPPORTED):
        return
    for mapping in facts.mappings:
        step = Step(
            ("luksafe", "rebuild", device, "--from-mapping", mapping.name),
            "Makes a new header round the key that the running system still has, with a new passphrase of yours.",
            writes=True,
        )
        why = f"{mapping.name} is open right now, so the kernel has the key. Do not close it, do not reboot"
        yield Way(
            f"mapping:{mapping.name}",
            "Rebuild the header from the open volume",
            Chance.LIKELY,
            Risk.UNDOABLE,
            why,
            (step, _prove(device)),
        )


def _by_repair(device: str, facts: Facts, diagnosis: Diagnosis) -> Iterator[Way]:
    if diagnosis.verdict is not Verdict.REPAIRABLE:
        return
    if not facts.repair.proposals:
        for side in facts.repair.sides:
            command = ("luksafe", "repair", device, *side.option.split())
            why = f"the copies contradict each other, and nothing decides: {side.text}"
            step = Step(command, "Keeps this side. Look at both before you choose.", writes=True)
            yield Way(
                f"repair:{side.copy}",
                f"Repair, keeping the {side.copy}",
                Chance.MAY,
                Risk.UNDOABLE,
                why,
                (step, _prove(device)),
            )
        return
    why = "; ".join(f"{proposal.text} ({proposal.why})" for proposal in facts.repair.proposals[:2])
    proven = all(proposal.evidence.is_proof for proposal in facts.repair.proposals)
    flags = () if proven else ("--allow-unproven",)
    repair = Step(
        ("luksafe", "repair", device, *flags),
        "Shows what it will write, asks for YES, saves what is there now in two places, writes, reads back.",
        writes=True,
    )
    chance = Chance.VERY_LIKELY if proven else Chance.LIKELY
    yield Way("repair", "Mend the header from what is left of it", chance, Risk.UNDOABLE, why, (repair, _prove(device)))


def _by_backups(workspace: Workspace, device: str, facts: Facts, diagnosis: Diagnosis) -> Iterator[Way]:
    if facts.inspection.is_luks1_reencrypting:
        return  # half of the data would be noise under either header
    is_damaged = any(k.state is not State.INTACT for k in diagnosis.keyslots if k.state is not State.INACTIVE)
    if diagnosis.verdict is Verdict.HEALTHY and not is_damaged:
        return
    usable = [backup for backup in facts.backups if backup.inspection.header is not None]
    ranked = sorted(usable, key=lambda b: not b.is_current)[:MOST_BACKUPS]
    for number, backup in enumerate(ranked):
        chance = Chance.VERY_LIKELY if number == 0 else Chance.LIKELY
        if diagnosis.verdict is Verdict.REPAIRABLE:
            chance = Chance.LIKELY
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
            _prove(device, header),
            Step(("luksafe", "ls", device, "/", "--header", header), "Lists the files inside. Reads only."),
        ),
    )


def _restore_backup(workspace: Workspace, device: str, backup: KnownBackup, chance: Chance) -> Way:
    name = backup.id[:12]
    dangers = _dangers(workspace, name, device)
    flags = tuple(part for danger in dangers for part in danger.flag.split())
    serious = [danger.text for danger in dangers if danger.code not in _HARMLESS]
    text = "Writes the backup to the device: shows the plan, asks for YES, saves what is there now, reads back."
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
        (first, restore, _prove(device)),
    )


def _dangers(workspace: Workspace, backup: str, device: str) -> Sequence[Danger]:
    try:
        dangers = plan_restore(workspace, backup, device).dangers
    except LuksafeError:
        return ()
    return tuple({danger.flag: danger for danger in dangers if danger.flag}.values())


def _backup_words(backup: KnownBackup) -> str:
    how = {
        "uuid": "it has the UUID that the device still shows",
        "device": "it was taken of this very device",
        "key-material": "its key material is still on the device",
    }
    current = "the current one" if backup.is_current else "an older one"
    return f"backup {backup.id[:12]} of {backup.created[:10]}, {current}; {how.get(backup.by, backup.by)}"


def _by_packets(device: str, facts: Facts, diagnosis: Diagnosis) -> Iterator[Way]:
    if diagnosis.verdict in (Verdict.REPAIRABLE, Verdict.UNSUPPORTED) or facts.inspection.is_luks1_reencrypting:
        return
    for packet in facts.packets[:MOST_BACKUPS]:
        if facts.mended.header is not None:
            command: tuple[str, ...] = ("luksafe", "escrow", "apply", packet.id, device)
            text = "Opens the packet with your identity and gives the volume a new passphrase, in a free keyslot."
        else:
            command = ("luksafe", "rebuild", device, "--packet", packet.id)
            text = "Opens the packet with your identity and makes a new header round the key in it."
        belongs = "it has the UUID of this volume" if packet.is_of_volume else "whose key it holds, nothing tells"
        yield Way(
            f"packet:{packet.id}",
            f"Get in with escrow packet {packet.id}",
            Chance.LIKELY if packet.is_of_volume else Chance.MAY,
            Risk.UNDOABLE,
            f"it lies in the vault; {belongs}. It takes an identity that it is sealed to",
            (Step(command, text, writes=True), _prove(device)),
        )


def _by_reencryption(device: str, facts: Facts) -> Iterator[Way]:
    if facts.inspection.is_luks1_reencrypting:
        go_on = Step(
            ("cryptsetup", "reencrypt", device),
            "cryptsetup goes on from where its log says that it stopped. Run it in the folder with the files "
            "LUKS-<UUID>.log, .org and .new, and copy the whole disk first: the log may lag behind.",
            writes=True,
        )
        why = "cryptsetup has put another magic into the LUKS1 header, as it does until a reencryption has ended"
        title = "Go on with the reencryption"
        yield Way("reencryption", title, Chance.LIKELY, Risk.SLOW_OR_FOREIGN, why, (go_on, _prove(device)))
    header = facts.mended.header
    if header is None or not header.is_in_reencryption:
        return
    copy = Step(("luksafe", "backup", device, "--full"), "Saves the whole header with its reencryption state.")
    resume = Step(
        ("cryptsetup", "reencrypt", "--resume-only", device),
        "cryptsetup goes on from where it stopped. It takes its time; do not interrupt it again.",
        writes=True,
    )
    mend = Step(
        ("cryptsetup", "repair", device),
        "cryptsetup brings the piece of the data in order on which it was at work when it was interrupted.",
        writes=True,
    )
    steps = (copy, mend, resume) if is_reencryption_crashed(header) else (copy, resume)
    why = "the header says that a reencryption has begun and has not ended"
    yield Way(
        "reencryption",
        "Resume the reencryption",
        Chance.LIKELY,
        Risk.SLOW_OR_FOREIGN,
        why,
        (*steps, _prove(device)),
    )


def _by_search(device: str, diagnosis: Diagnosis, guesses: Sequence[Guess]) -> Iterator[Way]:
    if diagnosis.verdict in (Verdict.HEALTHY, Verdict.REPAIRABLE) or guesses:
        return
    likely = diagnosis.verdict is Verdict.NOT_LUKS
    why = "headers, second copies and header backups may lie anywhere on it, and key material of headers in the vault"
    step = Step(("luksafe", "scan", device), "Reads the whole device once, at its full speed. Reads only.")
    chance = Chance.LIKELY if likely else Chance.MAY
    yield Way("search", "Search the whole device for headers", chance, Risk.READS_ONLY, why, (step,))


def _by_passphrase(device: str, facts: Facts, diagnosis: Diagnosis) -> Iterator[Way]:
    if not any(k.state is State.INTACT for k in diagnosis.keyslots) or diagnosis.verdict is Verdict.REPAIRABLE:
        return
    variants = Step(
        ("luksafe", "diagnose", device, "--try-variants"),
        "Asks for the passphrase, and tries also what another keyboard layout, caps lock or a forgotten key would have "
        "made of it. Reads only.",
    )
    chance = Chance.LIKELY if diagnosis.verdict is Verdict.HEALTHY else Chance.MAY
    yield Way(
        "passphrase",
        "Find out why the passphrase is not accepted",
        chance,
        Risk.READS_ONLY,
        "at least one keyslot is intact, so the right passphrase opens it",
        (variants, _prove(device)),
    )
