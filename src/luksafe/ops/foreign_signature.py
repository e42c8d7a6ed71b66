"""A foreign signature left inside a healthy header: blkid then sees two things. Wiped where the bytes are unused."""

from __future__ import annotations

from luksafe.errors import DamagedInput, NotFound, Refused
from luksafe.luks.areas import regions
from luksafe.luks.inspection import Inspection, inspect
from luksafe.luks.repair.proposal import Evidence, Patch, PatchedReader, Proposal
from luksafe.probe.recognise import recognise
from luksafe.probe.recognised import Recognised
from luksafe.reader import Reader

LUKS = "crypto_LUKS"
UNUSED_KINDS = ("unused", "inactive-keyslot")


def propose_wipe(reader: Reader, name: str) -> Proposal:
    """Zeros over a signature that no part of the header needs.

    Raises NotFound when there is none of that name, Refused where the bytes are in use or belong to the data,
    DamagedInput while the header itself is not healthy.
    """
    inspection = inspect(reader)
    if inspection.is_refused or any(copy.state != "ok" for copy in inspection.copies):
        raise DamagedInput("the header is damaged; repair it before a signature in it is wiped", hint="luksafe repair")
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


def wipeable_signatures(reader: Reader, inspection: Inspection) -> list[str]:
    """The names of foreign signatures that ``propose_wipe`` would take out."""
    if inspection.is_refused or any(copy.state != "ok" for copy in inspection.copies):
        return []
    matches = [match for match in recognise(reader) if match.name != LUKS]
    names = sorted({match.name for match in matches})
    parts = {name: _unused_parts(inspection, [match for match in matches if match.name == name]) for name in names}
    return [name for name in names if _takes_out(reader, name, parts[name])]


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
    """Whether nothing of that name is recognised any more, and the header is as good as before."""
    if not patches:
        return False
    after = PatchedReader(reader, patches)
    return not inspect(after).is_refused and all(match.name != name for match in recognise(after))
