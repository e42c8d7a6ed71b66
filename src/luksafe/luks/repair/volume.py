"""What can be done for the volume that a reader begins with, of whichever format it is or was."""

from __future__ import annotations

from dataclasses import replace

from luksafe.luks.af import RandomBytes
from luksafe.luks.finding import Severity
from luksafe.luks.inspection import inspect
from luksafe.luks.luks1.binary_header import HEADER_BYTES
from luksafe.luks.model import CopyName
from luksafe.luks.repair import luks1, luks2
from luksafe.luks.repair.effort import Effort
from luksafe.luks.repair.proposal import Outcome, PatchedReader
from luksafe.reader import Reader


def propose_repair(
    reader: Reader,
    random_bytes: RandomBytes,
    effort: Effort,
    *,
    take: CopyName | None = None,
    uuid: str = "",
    key_at_hand: bool = False,
) -> Outcome:
    """Proposals for the header at the start of ``reader``, checked: with them applied, the header is valid.

    Reads only. ``take`` chooses between copies that contradict each other, ``uuid`` is written where it is lost
    (LUKS1). Proposals after which the header would still be refused are not made.
    """
    start = _read(reader, HEADER_BYTES)
    if luks1.is_luks1_like(start):
        outcome = luks1.propose(start, reader.size_bytes, uuid)
        helps: tuple[str, ...] = luks1.HELPS
    else:
        outcome = luks2.propose(reader, random_bytes, effort, take=take, key_at_hand=key_at_hand)
        helps = luks2.HELPS
    if outcome.sides:
        return outcome
    after = inspect(PatchedReader(reader, outcome.patches))
    faults = tuple(f.text for f in after.findings if f.severity is Severity.ERROR)
    if after.header is None or faults:
        left = tuple(dict.fromkeys((*outcome.left, *faults)))
        return Outcome(left=left, helps=outcome.helps or helps, is_unfinished=outcome.is_unfinished)
    if not any(keyslot.type == "luks2" for keyslot in after.header.keyslots.values()):
        text = "the header has no keyslot: they were erased or removed, and no repair brings a salt back"
        return replace(outcome, left=(*outcome.left, text), helps=outcome.helps or helps)
    return outcome


def _read(reader: Reader, length: int) -> bytes:
    try:
        return reader.read_at(0, length)
    except OSError:
        return b""
