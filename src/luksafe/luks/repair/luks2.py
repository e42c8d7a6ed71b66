"""Repair of LUKS2 metadata: both copies are brought to what the checksums prove."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from luksafe.luks.af import RandomBytes
from luksafe.luks.luks2.binary_header import HEADER_SIZES, PRIMARY_MAGIC, SECONDARY_MAGIC
from luksafe.luks.luks2.writer import copy_from_other
from luksafe.luks.model import CopyName
from luksafe.luks.repair.effort import Effort
from luksafe.luks.repair.luks2_proof import Content, possible_sizes, prove, stated_uuid
from luksafe.luks.repair.luks2_search import (
    agreed_content,
    nearby_content,
    search_both,
    unproven_contents,
)
from luksafe.luks.repair.luks2_sides import decide, describe_sides
from luksafe.luks.repair.proposal import Evidence, Outcome, Patch, Proposal
from luksafe.reader import Reader

PLACES: tuple[CopyName, CopyName] = ("primary", "secondary")
Raws = dict[CopyName, bytes]
Contents = dict[CopyName, Content]

_START_BYTES = 2 * HEADER_SIZES[-1]
_BLOCK_BYTES = 4096
_MOST_DAMAGED_LETTERS = 4
HELPS = (
    "a header backup brings it back: luksafe list, luksafe restore BACKUP DEVICE",
    "while the volume is still mapped, do not close it: luksafe rebuild DEVICE --from-mapping NAME",
    "older generations and backup files may lie on other disks: luksafe scan",
)


def propose(
    reader: Reader,
    random_bytes: RandomBytes,
    effort: Effort,
    *,
    take: CopyName | None = None,
    key_at_hand: bool = False,
) -> Outcome:
    """What brings both copies of the LUKS2 header at the start of ``reader`` in order. Reads only.

    ``take`` chooses where the evidence is split. ``key_at_hand``: whoever calls can prove a guess with a passphrase,
    so that guesses come before long searches.
    """
    start = _read_start(reader)
    raws, contents = _best_size(start)
    if not raws:
        return Outcome(left=("there is no copy of a LUKS2 header here that anything could be made of",), helps=HELPS)
    usable = {place: content for place, content in contents.items() if content.document is not None}
    if usable and take is None and (stranger := _stranger(start, raws, usable)):
        return Outcome(left=(stranger,), helps=HELPS)
    if usable:
        usable |= _others_that_differ(raws, usable, effort)
        if effort.ran_out and take is None:
            text = "one copy of the header is damaged, and whether it was the newer one could not be told in"
            text += f" {effort.limit_seconds:.0f} s (--time gives it longer)"
            return Outcome(left=(text,), helps=HELPS, is_unfinished=True)
        return _settle(raws, usable, random_bytes, take)
    if contents:
        return Outcome(left=tuple(f"{place} header: {c.fault}" for place, c in contents.items()), helps=HELPS)
    return _without_proof(raws, random_bytes, effort, take, key_at_hand)


def _without_proof(
    raws: Raws, random_bytes: RandomBytes, effort: Effort, take: CopyName | None, key_at_hand: bool
) -> Outcome:
    """Neither checksum holds: search, quick ways first; guess only when that finds nothing."""
    found = search_both(raws, effort, deep=not (key_at_hand and agreed_content(raws)))
    if found:
        return _settle(raws, found, random_bytes, take)
    guesses = agreed_content(raws) or unproven_contents(raws, random_bytes)
    if guesses:
        return _settle(raws, guesses, random_bytes, take)
    why = "no combination of the two copies and no small change makes a checksum hold"
    if effort.ran_out:
        why += f", as far as the search came in {effort.limit_seconds:.0f} s (--time gives it longer)"
    text = f"both copies of the header are damaged: {why}"
    return Outcome(left=(text,), helps=HELPS, is_unfinished=effort.ran_out)


def _settle(
    raws: Raws,
    contents: Contents,
    random_bytes: RandomBytes,
    take: CopyName | None,
) -> Outcome:
    """Proposals that make both places say the same; or both sides, where nothing decides between them."""
    chosen = decide(contents, take)
    if chosen is None:
        return Outcome(sides=describe_sides(contents))
    source, reason = chosen
    meaning = contents[source].meaning
    evidence = Evidence.CHECKSUM if contents[source].is_proven else Evidence.STRUCTURE
    same = [content for content in contents.values() if content.meaning == meaning]
    proposals = []
    for place, raw in raws.items():
        # the content made for this place, wherever it stood: copies may have been swapped
        own = next((content for content in same if _is_for(content, place)), None)
        area = own.area if own else copy_from_other(contents[source].area, place, random_bytes)
        if area != raw:
            patch = Patch(0 if place == "primary" else len(area), area, f"{place} header")
            proposals.append(_proposal(place, own, reason, evidence, patch))
    return Outcome(tuple(proposals))


def _proposal(place: CopyName, own: Content | None, reason: str, evidence: Evidence, patch: Patch) -> Proposal:
    other = "secondary" if place == "primary" else "primary"
    if own:
        return Proposal("copy-mended", f"mend the {place} header", own.why, evidence, (patch,))
    text = f"write the {place} header anew from the {other} one"
    return Proposal(f"{place}-from-{other}", text, reason, evidence, (patch,))


def _is_for(content: Content, place: CopyName) -> bool:
    binary = content.binary
    wanted = (PRIMARY_MAGIC, 0) if place == "primary" else (SECONDARY_MAGIC, binary.hdr_size)
    return (binary.magic, binary.hdr_offset) == wanted


def _best_size(start: bytes) -> tuple[Raws, Contents]:
    """The bytes at both places, for the header size under which most copies prove themselves."""
    tried = []
    for size in possible_sizes(start):
        raws = dict(_at_places(start, size))
        contents = {place: content for place, raw in raws.items() if (content := prove(raw, place))}
        if len(contents) == len(PLACES):
            return raws, contents
        tried.append((raws, contents))
    return max(tried, key=lambda one: len(one[1]), default=({}, {}))


def _at_places(start: bytes, size: int) -> Iterator[tuple[CopyName, bytes]]:
    for number, place in enumerate(PLACES):
        raw = start[number * size : (number + 1) * size]
        if len(raw) == size:
            yield place, raw


def _stranger(start: bytes, raws: Raws, usable: Contents) -> str:
    """Why the one copy that is whole may be of another volume than the damaged one beside it; empty if it is not."""
    if len(usable) > 1:
        return ""
    place, good = next(iter(usable.items()))
    ours = good.binary.uuid
    for other in set(raws) - {place}:
        theirs = stated_uuid(raws[other])
        if theirs and sum(a != b for a, b in itertools.zip_longest(theirs, ours.lower())) > _MOST_DAMAGED_LETTERS:
            text = f"the {place} header is of another volume or of an older format: its UUID is {ours}, at the"
            return f"{text} {other} one stands {theirs} (--take {place} takes it all the same)"
    if place == "secondary":
        for size in possible_sizes(start):
            rival = prove(start[size : 2 * size], "secondary") if len(start) >= 2 * size else None
            if rival and size != len(good.area) and rival.meaning != good.meaning:
                text = f"there are second headers of two volumes or formats, at byte {len(good.area)} (UUID {ours})"
                return f"{text} and at byte {size} (UUID {rival.binary.uuid}), and nothing tells which is in force"
    return ""


def _others_that_differ(raws: Raws, usable: Contents, effort: Effort) -> Contents:
    """A copy that proves nothing as it stands, but may be newer than the other: what a small change makes of it."""
    found: Contents = {}
    for place in set(raws) - set(usable):
        good = next(iter(usable.values()))
        if content := nearby_content(raws[place], place, good, effort):
            found[place] = content
    return found


def _read_start(reader: Reader) -> bytes:
    """The first bytes of the volume; blocks that cannot be read are zeros."""
    size = min(_START_BYTES, reader.size_bytes)
    try:
        return reader.read_at(0, size)
    except OSError:
        return b"".join(_block(reader, at, min(_BLOCK_BYTES, size - at)) for at in range(0, size, _BLOCK_BYTES))


def _block(reader: Reader, at: int, length: int) -> bytes:
    try:
        return reader.read_at(at, length)
    except OSError:
        return bytes(length)
