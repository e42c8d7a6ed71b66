"""Header copies that belong together become volumes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from luksafe.luks.found import FoundCopy, adopt
from luksafe.ops.scan.model import FoundVolume


def assemble(file: str, copies: Iterable[FoundCopy]) -> list[FoundVolume]:
    """Volumes in the order of their place. A secondary goes with the primary of the same header; JSON that belongs to
    a found copy is dropped, JSON that belongs to none is a volume of which nothing else is known.
    """
    found = sorted(copies, key=lambda copy: copy.offset)
    whole = [copy for copy in found if copy.state != "fragment"]
    known_json = {copy.json_offset for copy in whole}
    fragments = [copy for copy in found if copy.state == "fragment" and copy.json_offset not in known_json]
    left = [copy for copy in whole if copy.copy == "secondary"]
    volumes = []
    for primary in (copy for copy in whole if copy.copy == "primary"):
        partner = _partner(primary, left)
        if partner:
            left.remove(partner)
        volumes.append([primary, *([partner] if partner else [])])
    volumes += [[secondary] for secondary in left]
    volumes = [_with_fragments(group, fragments) for group in volumes]
    volumes += [[fragment] for fragment in fragments]
    return sorted((_volume(file, group) for group in volumes), key=lambda volume: volume.offset)


def _with_fragments(group: list[FoundCopy], fragments: list[FoundCopy]) -> list[FoundCopy]:
    """The copies of a volume of which none can be used, with the JSON that stands in their places."""
    if group[0].format != "luks2" or any(copy.header is not None for copy in group):
        return group
    first = group[0]
    places = (first.volume_offset, first.volume_offset + first.header_size)
    own = [fragment for fragment in fragments if fragment.offset in places]
    for fragment in own:
        fragments.remove(fragment)
    adopted = [adopt(fragment, first) for fragment in own]
    taken = {copy.offset for copy in adopted}
    return sorted([*(copy for copy in group if copy.offset not in taken), *adopted], key=lambda copy: copy.offset)


def _partner(primary: FoundCopy, secondaries: Sequence[FoundCopy]) -> FoundCopy | None:
    """The secondary of the same header: in its place, or, in a file stored in pieces, the nearest that fits."""
    same = [s for s in secondaries if (s.uuid, s.header_size) == (primary.uuid, primary.header_size)]
    in_place = next((s for s in same if s.volume_offset == primary.offset), None)
    if in_place or primary.state == "ok":
        return in_place
    behind = [s for s in same if s.seqid == primary.seqid and s.offset > primary.offset and s.state != "ok"]
    return min(behind, key=lambda s: s.offset, default=None)


def _volume(file: str, copies: list[FoundCopy]) -> FoundVolume:
    usable = [copy for copy in copies if copy.header is not None]
    best = max(usable, key=lambda copy: copy.seqid, default=copies[0])  # max keeps the first of equals
    apart = any(copy.state == "in-pieces" or copy.volume_offset != copies[0].volume_offset for copy in copies)
    return FoundVolume(
        file=file,
        offset=copies[0].volume_offset,
        format=best.format,
        uuid=best.uuid,
        seqid=best.seqid,
        copies=tuple(copies),
        header=best.header,
        is_contiguous=not apart,
        why=tuple(dict.fromkeys(_copy_words(copy, len(copies)) for copy in copies if copy.why)),
    )


def _copy_words(copy: FoundCopy, count: int) -> str:
    if (copy.state == "fragment" and copy.header is None) or (count == 1 and copy.format == "luks1"):
        return copy.why
    return f"{copy.copy} header: {copy.why}"
