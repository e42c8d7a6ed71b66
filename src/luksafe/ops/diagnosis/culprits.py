"""What was written over the volume: structures that do not belong there, fillings, and what else they must have hit."""

from __future__ import annotations

from collections.abc import Sequence

from luksafe.ops.diagnosis.facts import Facts
from luksafe.ops.diagnosis.layout import VolumeLayout
from luksafe.ops.diagnosis.model import Culprit, Hit, Part
from luksafe.probe.footprint import Footprint
from luksafe.probe.recognised import Kind, Recognised

FILLINGS = ("zeros", "ff", "random", "pattern", "text")
MOST_HITS = 64


def find_structures(facts: Facts, layout: VolumeLayout) -> list[Culprit]:
    """The known structures on the device that are not this volume's own header, each name once."""
    found: dict[str, Culprit] = {}
    names = {match.name for match in facts.recognised}
    for match, trail in zip(facts.recognised, facts.footprints, strict=True):
        if match.name in found or (match.name == "PMBR" and "gpt" in names):
            continue
        if _is_own(facts, layout, match) or _is_not_yet_encrypted(layout, match):
            continue
        found[match.name] = _culprit(facts, layout, match, trail)
    return list(found.values())


def own_uuids(facts: Facts, layout: VolumeLayout) -> set[str]:
    """The UUIDs that the volume goes by: of its header, and of each copy."""
    copies = {copy.uuid.lower() for copy in facts.inspection.copies if copy.uuid}
    return copies | ({layout.header.uuid.lower()} if layout.header is not None else set())


def _is_own(facts: Facts, layout: VolumeLayout, match: Recognised) -> bool:
    if match.kind is not Kind.CRYPTO or match.name != "crypto_LUKS":
        return False
    own = own_uuids(facts, layout)
    if any(copy.binary is not None and copy.offset == match.offset for copy in facts.inspection.copies):
        return True  # it is what is diagnosed, whatever has become of its UUID
    return not own or match.uuid.lower() in own or facts.is_detached


def _is_not_yet_encrypted(layout: VolumeLayout, match: Recognised) -> bool:
    """Whether it is the volume's own plain text, where encryption (or decryption) in place was begun."""
    header = layout.header
    if header is None or not header.is_in_reencryption:
        return False
    plain = (s for s in header.data_segments if s.type == "linear")
    return any(s.offset <= match.offset and (s.size is None or match.offset < s.offset + s.size) for s in plain)


def _culprit(facts: Facts, layout: VolumeLayout, match: Recognised, trail: Footprint) -> Culprit:
    # of a backup structure alone nothing says that its primary was ever written here after the volume was made
    ranges = [r for r in trail.ranges if match.copy == "primary" or r.offset >= layout.data_offset]
    hits = []
    for written in ranges[:MOST_HITS]:
        end = min(written.end, facts.data_size_bytes)
        if written.offset < end:
            where = _where(layout, written.offset, facts.is_detached)
            hits.append(Hit(written.offset, end - written.offset, written.what, where, written.certain))
    return Culprit(
        name=match.name,
        offset=match.offset,
        length=match.length,
        confidence=match.confidence.value,
        evidence=match.evidence,
        hits=tuple(hits),
        not_covered=trail.not_covered,
        discards=trail.discards,
    )


def _where(layout: VolumeLayout, offset: int, is_detached: bool) -> str:
    if is_detached or offset >= layout.data_offset:
        return "data"
    return next((r.name for r in layout.regions if r.start <= offset < r.end), "before the data")


def find_fillings(facts: Facts, parts: Sequence[Part], structures: Sequence[Culprit]) -> list[Culprit]:
    """Zeros, 0xff, random bytes or text where the header or key material was, as far as no structure explains them."""
    found: dict[str, list[tuple[int, int, str]]] = {}
    for part in parts:
        for damage in part.damage:
            if damage.looks in FILLINGS and not _is_explained(facts, damage.offset, damage.end, structures):
                found.setdefault(damage.looks, []).append((damage.offset, damage.length, part.name))
    return [_filling(name, places) for name, places in found.items()]


def _filling(name: str, places: Sequence[tuple[int, int, str]]) -> Culprit:
    total = sum(length for _, length, _ in places)
    where = ", ".join(dict.fromkeys(part for _, _, part in places))
    words = f"{total} bytes of {name} in {where}"
    if name == "zeros" and total <= 12 and all(length <= 6 for _, length, _ in places):
        words = f"exactly the magic is zero in {where}: wipefs, or a tool that erases old signatures first"
    hits = tuple(Hit(offset, length, name, part, True) for offset, length, part in places[:MOST_HITS])
    return Culprit(name, places[0][0], sum(p[1] for p in places), "strong", words, hits)


def _is_explained(facts: Facts, start: int, end: int, structures: Sequence[Culprit]) -> bool:
    """Whether a structure's maker may have written (or discarded) these bytes."""
    for culprit in structures:
        trails = [f for f in facts.footprints if f.name == culprit.name]
        if any(f.discards or f.overlapping(start, end - start) for f in trails):
            return True
    return False
