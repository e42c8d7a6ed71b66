"""Searches for what a damaged LUKS2 header said, the quick ones first; the checksums judge."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace

from luksafe.errors import Unsupported
from luksafe.luks.af import RandomBytes
from luksafe.luks.luks2.binary_header import BINARY_BYTES, BinaryHeader, seal
from luksafe.luks.model import CopyName
from luksafe.luks.repair.checksum_judge import ChecksumJudge
from luksafe.luks.repair.effort import Effort
from luksafe.luks.repair.flips import find_one_byte, find_one_flip, find_two_flips
from luksafe.luks.repair.luks2_proof import (
    USUAL_CHECKSUM,
    Content,
    checksum_names,
    read_json,
    sealed_content,
    text_end,
    with_fixed_fields,
    with_right_stripes,
)
from luksafe.luks.repair.merge import merge
from luksafe.luks.repair.runs import fill_run

Raws = dict[CopyName, bytes]
Contents = dict[CopyName, Content]
Search = Callable[[ChecksumJudge, int, Effort], bytes | None]

_QUICK: tuple[tuple[Search, str], ...] = ((find_one_flip, "with one bit set right its own checksum holds"),)
_SLOWER: tuple[tuple[Search, str], ...] = (
    (fill_run, "with an overwritten run filled in its own checksum holds"),
    (find_one_byte, "with one byte set right its own checksum holds"),
)
_SLOWEST: tuple[tuple[Search, str], ...] = ((find_two_flips, "with two bits set right its own checksum holds"),)
_UUID_LETTERS = frozenset("0123456789abcdefABCDEF-")
_LEAST_UUID_LETTERS = 24
_MOST_LIKELY_SEQID = 1 << 32


def search_both(raws: Raws, effort: Effort, *, deep: bool) -> Contents:
    """What merging and small changes make of two copies of which neither proves itself; empty when nothing holds."""
    areas = dict(_searchable(raws))
    found = _merged(_unpadded(raws), effort)
    for searches in (_QUICK, _SLOWER, *((_SLOWEST,) if deep else ())):
        if found:
            break
        for place, area in areas.items():
            if content := _search(area, searches, effort):
                found[place] = content
                break
    for place in set(areas) - set(found):
        # what one copy was mended with may be all that the other lacks
        if found and (made := merge(areas[place], next(iter(found.values())).area, effort)):
            found[place] = sealed_content(made, "with parts of the other copy its own checksum holds")
    return {place: content for place, content in found.items() if content.document is not None}


def _unpadded(raws: Raws) -> Raws:
    """The copies with their fixed fields, but with all that stands behind a run of zeros: that may be a hole."""
    return {place: with_fixed_fields(raw, place, checksum_names(raw)[0], end=len(raw)) for place, raw in raws.items()}


def _merged(areas: Raws, effort: Effort) -> Contents:
    found: Contents = {}
    if len(areas) == 2:
        for place, area in areas.items():
            other = next(a for p, a in areas.items() if p != place)
            if made := merge(area, other, effort):
                found[place] = sealed_content(made, "with parts of the other copy its own checksum holds")
    return found


def _search(area: bytes, searches: tuple[tuple[Search, str], ...], effort: Effort) -> Content | None:
    end = min(text_end(area) + 1, len(area))
    try:
        judge = ChecksumJudge(area, BinaryHeader.parse(area).checksum_algorithm, end)
    except Unsupported:
        return None
    for search, why in searches:
        if made := search(judge, end, effort):
            return sealed_content(made, why)
    return None


def nearby_content(raw: bytes, place: CopyName, good: Content, effort: Effort) -> Content | None:
    """What a damaged copy said that differs from the good one, by one changed bit; None when there is nothing to it.

    A copy whose JSON is valid and whose sequence id is higher counts as well, though its checksum does not hold: a
    good older copy does not simply win over it.
    """
    for _, area in _searchable({place: raw}):
        if sealed_content(area, "").meaning == good.meaning:
            return None
        if made := merge(area, good.area, effort):
            return sealed_content(made, "with parts of the other copy its own checksum holds")
        content = _search(area, _QUICK, effort)
        if content is not None and content.document is not None:
            return content
        document, _ = read_json(area)
        newer = good.binary.seqid < BinaryHeader.parse(area).seqid < _MOST_LIKELY_SEQID
        if document is not None and newer and document != good.document:
            why = "its JSON is valid and its sequence id higher, but its checksum does not hold"
            return sealed_content(area, why, is_proven=False)
    return None


def _searchable(raws: Raws) -> Iterator[tuple[CopyName, bytes]]:
    """Copies of which enough is left to search in, with all that can have one value only set to it.

    Where not even a UUID can be made out, the checksum is gone as well: nothing could be judged by it.
    """
    for place, raw in raws.items():
        has_text = text_end(raw) > BINARY_BYTES + 2
        letters = sum(character in _UUID_LETTERS for character in BinaryHeader.parse(raw).uuid)
        if has_text and letters >= _LEAST_UUID_LETTERS:
            yield place, with_fixed_fields(raw, place, checksum_names(raw)[0])


def agreed_content(raws: Raws) -> Contents:
    """The content on which both copies agree byte for byte though neither checksum holds; empty when they do not."""
    contents = unproven_contents(raws, None)
    if len(contents) == 2:
        one, other = contents.values()
        if one.meaning == other.meaning:
            why = "both copies agree in every byte, but neither checksum holds"
            return {place: replace(content, why=why) for place, content in contents.items()}
    return {}


def unproven_contents(raws: Raws, random_bytes: RandomBytes | None) -> Contents:
    """Contents made of valid JSON alone, the fields of the binary header kept where they can be right.

    Without ``random_bytes`` nothing is made up: a copy without a UUID gives nothing.
    """
    contents: Contents = {}
    named = _named_binary(raws, random_bytes)
    for place, raw in raws.items():
        text = with_right_stripes(raw[BINARY_BYTES:])
        document, _ = read_json(raw[:BINARY_BYTES] + text)
        if document is None or named is None:
            continue
        own = BinaryHeader.parse(with_fixed_fields(raw, place, USUAL_CHECKSUM))
        names = own if _is_uuid(own.uuid) else named
        seqid = names.seqid if 0 < names.seqid < _MOST_LIKELY_SEQID else 1
        own = replace(own, uuid=names.uuid, label=names.label, subsystem=names.subsystem, seqid=seqid)
        area = seal(own, text)
        contents[place] = sealed_content(area, "its JSON is valid, but no checksum proves it", is_proven=False)
    return contents


def _named_binary(raws: Raws, random_bytes: RandomBytes | None) -> BinaryHeader | None:
    """The binary header whose names and sequence id are used: one that carries a UUID, else a UUID made up."""
    binaries = [BinaryHeader.parse(with_fixed_fields(raw, place, USUAL_CHECKSUM)) for place, raw in raws.items()]
    named = next((binary for binary in binaries if _is_uuid(binary.uuid)), None)
    if named is None and random_bytes is not None:
        fresh = str(uuid.UUID(bytes=random_bytes(16), version=4))
        kept = next((b for b in binaries if 0 < b.seqid < _MOST_LIKELY_SEQID), None)
        names = (kept.label, kept.subsystem) if kept and _are_texts(kept.label, kept.subsystem) else ("", "")
        return replace(kept or binaries[0], uuid=fresh, label=names[0], subsystem=names[1])
    return named


def _are_texts(*names: str) -> bool:
    return all(name.isascii() and name.isprintable() for name in names)


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
