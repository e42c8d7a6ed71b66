"""The ways out of what was diagnosed, ranked: what is likely comes before what may work, reading before writing."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from luksafe.ops.diagnosis.facts import Facts
from luksafe.ops.diagnosis.model import Diagnosis, Lead, State, Verdict
from luksafe.ops.diagnosis.reencryption import resume_steps
from luksafe.ops.rescue.lost_partitions import partition_ways
from luksafe.ops.rescue.model import Chance, Guess, Outlook, Risk, Step, Way, prove
from luksafe.ops.rescue.other_backups import by_other_backups, find_other_backups
from luksafe.ops.rescue.story import tell
from luksafe.ops.rescue.vault_ways import by_backups, by_packets
from luksafe.ops.workspace import Workspace

UUID_RULES = ("uuid-changed", "uuid-damaged")
"""Rules after which a volume needs a UUID again, and nothing else."""
ASKS = "Asks for the passphrase: only that proves what it would write. "


def outlook(workspace: Workspace, device: str, facts: Facts, diagnosis: Diagnosis, guesses: Sequence[Guess]) -> Outlook:
    """Everything to say about a device, given what was seen, and what a search of it found."""
    others = find_other_backups(workspace, facts, diagnosis)
    ways = [
        *_after_interruption(device, facts),
        *_of_mappings(device, facts, diagnosis),
        *_by_repair(device, facts, diagnosis),
        *by_backups(workspace, device, facts, diagnosis),
        *by_other_backups(device, facts, others),
        *by_packets(device, facts, diagnosis),
        *_by_reencryption(device, facts, diagnosis),
        *partition_ways(device, guesses),
        *_by_search(device, diagnosis, guesses),
        *_by_passphrase(device, facts, diagnosis),
    ]
    return Outlook(
        verdict=diagnosis.verdict.value,
        rule=diagnosis.rule,
        headline=diagnosis.headline,
        urgent=diagnosis.first,
        story=tuple(tell(diagnosis, facts, others)),
        avoid=diagnosis.avoid,
        ways=tuple(sorted(ways, key=lambda way: (way.chance, way.risk))),
        is_healthy=diagnosis.verdict is Verdict.HEALTHY,
        missing=diagnosis.missing,
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
        (finish, prove(device)),
    )
    yield Way("undo", "Undo the write that was interrupted", Chance.MAY, Risk.UNDOABLE, why, (back, prove(device)))


def _of_mappings(device: str, facts: Facts, diagnosis: Diagnosis) -> Iterator[Way]:
    chance = diagnosis.ways.get(Lead.MAPPING)
    if chance is None:
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
            chance,
            Risk.UNDOABLE,
            why,
            (step, prove(device)),
        )


def _by_repair(device: str, facts: Facts, diagnosis: Diagnosis) -> Iterator[Way]:
    chance = diagnosis.ways.get(Lead.REPAIR)
    if chance is None:
        return
    if diagnosis.rule in UUID_RULES and not facts.repair.proposals:
        yield from _by_uuid(device, diagnosis, chance)
        return
    if not facts.repair.proposals:
        for side in facts.repair.sides:
            command = ("luksafe", "repair", device, *side.option.split())
            why = f"the copies contradict each other, and nothing decides: {side.text}"
            step = Step(command, "Keeps this side. Look at both before you choose.", writes=True)
            yield Way(
                f"repair:{side.copy}",
                f"Repair, keeping the {side.copy}",
                chance,
                Risk.UNDOABLE,
                why,
                (step, prove(device)),
            )
        return
    why = "; ".join(f"{proposal.text} ({proposal.why})" for proposal in facts.repair.proposals[:2])
    asks = "" if all(proposal.evidence.is_proof for proposal in facts.repair.proposals) else ASKS
    repair = Step(
        ("luksafe", "repair", device),
        f"{asks}Shows what it will write, asks for YES, saves what is there now in two places, writes, reads back.",
        writes=True,
    )
    yield Way("repair", "Mend the header from what is left of it", chance, Risk.UNDOABLE, why, (repair, prove(device)))


def _by_uuid(device: str, diagnosis: Diagnosis, chance: Chance) -> Iterator[Way]:
    for line in diagnosis.next:
        if line.startswith("luksafe repair "):
            text = "Writes the UUID: shows the plan, asks for YES, saves what is there now, reads back."
            step = Step(tuple(shlex.split(line)), text, writes=True)
            why = "it opens as it is; only its UUID is damaged"
            yield Way("repair", "Set the UUID again", chance, Risk.UNDOABLE, why, (step, prove(device)))


def _by_reencryption(device: str, facts: Facts, diagnosis: Diagnosis) -> Iterator[Way]:
    chance = diagnosis.ways.get(Lead.REENCRYPTION)
    steps = [Step(step.command, step.text, step.writes) for step in resume_steps(facts, device)]
    if not steps or chance is None:
        return
    yield Way(
        "reencryption",
        "Resume the reencryption",
        chance,
        Risk.SLOW_OR_FOREIGN,
        "the header says that a reencryption has begun and has not ended",
        (*steps, prove(device)),
    )


def _by_search(device: str, diagnosis: Diagnosis, guesses: Sequence[Guess]) -> Iterator[Way]:
    chance = diagnosis.ways.get(Lead.SEARCH)
    if chance is None or guesses:
        return
    why = "headers, second copies and header backups may lie anywhere on it, and key material of headers in the vault"
    step = Step(("luksafe", "scan", device), "Reads the whole device once, at its full speed. Reads only.")
    yield Way("search", "Search the whole device for headers", chance, Risk.READS_ONLY, why, (step,))


def _by_passphrase(device: str, facts: Facts, diagnosis: Diagnosis) -> Iterator[Way]:
    chance = diagnosis.ways.get(Lead.KEY)
    intact = [str(k.slot) for k in diagnosis.keyslots if k.state is State.INTACT]
    if chance is None or not intact or facts.mended.header is None:  # else the keyslots are those of a backup
        return
    variants = Step(
        ("luksafe", "diagnose", device, "--try-variants"),
        "Asks for the passphrase, and tries also what another keyboard layout, caps lock or a forgotten key would have "
        "made of it. Reads only.",
    )
    words = f"keyslots {', '.join(intact)} are" if len(intact) > 1 else f"keyslot {intact[0]} is"
    yield Way(
        "passphrase",
        "Find out why the passphrase is not accepted",
        chance,
        Risk.READS_ONLY,
        f"{words} whole, as far as can be seen, so the right passphrase opens it",
        (variants, prove(device)),
    )
