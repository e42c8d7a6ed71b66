"""A foreign signature left inside a healthy header: blkid then sees two things. Wiped where the bytes are unused."""

from __future__ import annotations

from luksafe.errors import DamagedInput, NotFound, Refused
from luksafe.luks.areas import regions
from luksafe.luks.inspection import Inspection, inspect
from luksafe.luks.repair.proposal import Evidence, Patch, PatchedReader, Proposal
from luksafe.ops.leftovers import LUKS, find_stale_headers
from luksafe.probe.recognise import recognise
from luksafe.probe.recognised import Recognised
from luksafe.reader import Reader

UNUSED_KINDS = ("unused", "inactive-keyslot")


def propose_wipe(reader: Reader, name: str) -> Proposal:
    """Zeros over a signature that no part of the header needs.

    Raises NotFound when there is none of that name, Refused where the bytes are in use or belong to the data,
    DamagedInput while the header itself is not healthy.
    """
    inspection = inspect(reader)
    if inspection.is_refused or any(copy.state != "ok" for copy in inspection.copies):
        raise DamagedInput("the header is damaged; repair it before a signature in it is wiped", hint="luksafe repair")
    if name == LUKS:
        return _wipe_stale_headers(reader, inspection)
    matches = recognise(reader)
    found = [match for match in matches if match.name == name]
    if not found:
        there = ", ".join(sorted({match.name for match in matches} - {LUKS})) or "none"
        raise NotFound(f"there is no {name} signature (foreign ones: {there})", code="no-signature")
    patches = _unused_parts(inspection, found)
    if not _takes_out(reader, name, patches):
        raise Refused(
            f"the {name} signature at byte {found[0].offset} lies in bytes that the header or the data may need",
            code="signature-in-use",
            hint="leave it, or look at it first: luksafe diagnose",
        )
    where = ", ".join(f"{patch.offset}-{patch.offset + len(patch.data)}" for patch in patches)
    why = "no header copy, no keyslot and no data lie there"
    return Proposal("signature-wiped", f"wipe the {name} signature at bytes {where}", why, Evidence.ONLY_VALUE, patches)


def _wipe_stale_headers(reader: Reader, inspection: Inspection) -> Proposal:
    stale = find_stale_headers(reader, inspection, _unused(inspection))
    if not stale:
        raise NotFound("there is no stale second header in unused bytes", code="no-signature")
    where = ", ".join(f"{start}-{end}" for start, end in stale)
    why = "it belongs to another volume, or to one that was here before; cryptsetup may put it back over this header"
    patches = tuple(Patch(start, bytes(end - start), "stale second header") for start, end in stale)
    text = f"wipe a stale LUKS header at bytes {where}"
    return Proposal("signature-wiped", text, why, Evidence.ONLY_VALUE, patches)


def _unused(inspection: Inspection) -> list[tuple[int, int]]:
    return [(region.start, region.end) for region in regions(inspection) if region.kind in UNUSED_KINDS]


def wipeable_signatures(reader: Reader, inspection: Inspection) -> list[str]:
    """The names of foreign signatures that ``propose_wipe`` would take out."""
    if inspection.is_refused or any(copy.state != "ok" for copy in inspection.copies):
        return []
    matches = [match for match in recognise(reader) if match.name != LUKS]
    names = sorted({match.name for match in matches})
    parts = {name: _unused_parts(inspection, [match for match in matches if match.name == name]) for name in names}
    stale = [LUKS] if find_stale_headers(reader, inspection, _unused(inspection)) else []
    return [*stale, *(name for name in names if _takes_out(reader, name, parts[name]))]


def _unused_parts(inspection: Inspection, matches: list[Recognised]) -> tuple[Patch, ...]:
    """Zeros over what of the signatures lies in bytes of the header area that belong to nothing."""
    patches = []
    for match in matches:
        for region in regions(inspection):
            start, end = max(region.start, match.offset), min(region.end, match.offset + match.length)
            if region.kind in UNUSED_KINDS and start < end:
                patches.append(Patch(start, bytes(end - start), f"{match.name} signature"))
    return tuple(patches)


def _takes_out(reader: Reader, name: str, patches: tuple[Patch, ...]) -> bool:
    """Whether nothing of that name is recognised before the data any more, and the header is as good as before.

    A copy further back is no reason to leave the first one: programs go by that.
    """
    if not patches:
        return False
    after = PatchedReader(reader, patches)
    seen = inspect(after)
    if seen.header is None or seen.is_refused:
        return False
    data_start = seen.header.data_offset or seen.header.areas_end
    return all(match.name != name or match.offset >= data_start for match in recognise(after))
