"""Stitching: what is damaged here may be whole in another image of the same volume (a RAID member, an old dump)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from luksafe.luks.af import RandomBytes
from luksafe.luks.inspection import Inspection, inspect
from luksafe.luks.key_material import SECTOR_BYTES, material_sectors, may_be_material
from luksafe.luks.luks1.binary_header import HEADER_BYTES
from luksafe.luks.luks2.writer import copy_from_other
from luksafe.luks.model import Header, Keyslot
from luksafe.luks.repair.proposal import Evidence, Ground, Outcome, Patch, PatchedReader, Proposal, Side
from luksafe.reader import Reader

Opens = Callable[[Reader, int], bool]
"""Whether the passphrase that is at hand opens this keyslot of the volume in this reader."""


@dataclass(frozen=True, slots=True)
class Source:
    """Another image of the volume, from its first byte on."""

    name: str
    reader: Reader


def stitch(
    reader: Reader, sources: Sequence[Source], base: Outcome, random_bytes: RandomBytes, opens: Opens | None = None
) -> Outcome:
    """``base``, completed from the sources: the header where none is left, keyslot areas sector by sector.

    ``opens`` proves a keyslot with a passphrase. Sources that contradict each other are shown as sides.
    """
    seen = inspect(PatchedReader(reader, base.patches))
    outcome = base
    if seen.header is None or seen.is_refused:
        outcome = _header_from(reader, sources, base, random_bytes)
        if outcome.sides or not outcome.proposals:
            return outcome
    after = PatchedReader(reader, outcome.patches)
    header = inspect(after).require_header()
    proposals = list(outcome.proposals)
    for keyslot in header.keyslots.values():
        if keyslot.area and keyslot.af and not (opens and opens(after, keyslot.id)):
            proposals += _first(_keyslot_from(after, source, header, keyslot, opens) for source in sources)
    return Outcome(tuple(proposals), left=outcome.left, helps=outcome.helps)


def _first(found: Iterator[Proposal | None]) -> list[Proposal]:
    """The most certain of the proposals, if any."""
    order = list(Evidence)
    return sorted((p for p in found if p), key=lambda proposal: order.index(proposal.evidence))[:1]


def _header_from(reader: Reader, sources: Sequence[Source], base: Outcome, random_bytes: RandomBytes) -> Outcome:
    whole = [(source, seen) for source in sources if (seen := inspect(source.reader)).header and not seen.is_refused]
    if not whole:
        return Outcome(left=(*base.left, "no header in any of the sources is whole"), helps=base.helps)
    documents = {str((seen.require_header().document, seen.require_header().uuid)) for _, seen in whole}
    if len(documents) > 1:
        return Outcome(sides=tuple(_side(source, seen) for source, seen in whole))
    source, seen = whole[0]
    header = seen.require_header()
    agrees = any(_shares_material(reader, other.reader, header) for other, _ in whole)
    why = f"the header in {source.name} is whole"
    why += ", and key material on both is the same" if agrees else ", but nothing here shows that it is of this volume"
    evidence = Evidence.AGREEMENT if agrees else Evidence.STRUCTURE
    patches = tuple(_header_patches(source.reader, seen, random_bytes))
    text = f"write the header from {source.name}"
    # a keyslot that comes from the source too would open, of whichever volume this is
    return Outcome((Proposal("header-from-source", text, why, evidence, patches, Ground.DATA),))


def _side(source: Source, seen: Inspection) -> Side:
    header = seen.require_header()
    text = f"UUID {header.uuid}, sequence id {header.seqid}, keyslots {', '.join(map(str, header.keyslots)) or 'none'}"
    return Side(source.name, text, f"--from {source.name}")


def _header_patches(source: Reader, seen: Inspection, random_bytes: RandomBytes) -> Iterator[Patch]:
    header = seen.require_header()
    if header.format == "luks1":
        yield Patch(0, source.read_at(0, HEADER_BYTES), "LUKS1 header")
        return
    best = next(copy for copy in seen.copies if copy.header is not None and copy.seqid == header.seqid)
    for copy in seen.copies:
        offset = 0 if copy.copy == "primary" else header.header_size
        same = copy.header is not None and copy.header.document == header.document
        area = copy.area if same else copy_from_other(best.area, copy.copy, random_bytes)
        yield Patch(offset, area, f"{copy.copy} header")


def _shares_material(reader: Reader, source: Reader, header: Header) -> bool:
    """Whether a sector of a keyslot is the same on both: random bytes never are by chance."""
    for keyslot in header.keyslots.values():
        pairs = zip(_sectors(reader, keyslot), _sectors(source, keyslot), strict=True)
        if any(ours == theirs and may_be_material(ours) for ours, theirs in pairs):
            return True
    return False


def _keyslot_from(
    reader: Reader, source: Source, header: Header, keyslot: Keyslot, opens: Opens | None
) -> Proposal | None:
    """What the source has of a keyslot and the reader has not; None where it has nothing better."""
    ours, theirs = _sectors(reader, keyslot), _sectors(source.reader, keyslot)
    wanted = [n for n, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b and may_be_material(b)]
    damaged = [n for n in wanted if not may_be_material(ours[n])]
    agrees = any(a == b and may_be_material(a) for a, b in zip(ours, theirs, strict=True))
    for numbers in (damaged, wanted) if damaged != wanted else (wanted,):
        patches = tuple(_joined(keyslot, numbers, theirs))
        if opens and patches and opens(PatchedReader(reader, patches), keyslot.id):
            why = "with it the passphrase opens the keyslot"
            return _proposal(keyslot, source, patches, why, Evidence.DIGEST)
    if opens or not damaged:
        return None
    patches = tuple(_joined(keyslot, damaged, theirs))
    if agrees:
        why = "what is undamaged here is the same there; what differs cannot be key material here"
        return _proposal(keyslot, source, patches, why, Evidence.AGREEMENT)
    why = "it cannot be key material here and may be there; nothing shows that it is of the same generation"
    return _proposal(keyslot, source, patches, why, Evidence.STRUCTURE)


def _proposal(keyslot: Keyslot, source: Source, patches: tuple[Patch, ...], why: str, evidence: Evidence) -> Proposal:
    size = sum(len(patch.data) for patch in patches)
    text = f"take {size} bytes of keyslot {keyslot.id} from {source.name}"
    return Proposal("keyslot-from-source", text, why, evidence, patches)


def _joined(keyslot: Keyslot, numbers: Sequence[int], sectors: Sequence[bytes]) -> Iterator[Patch]:
    """Patches of neighbouring sectors together."""
    start = keyslot.area.offset if keyslot.area else 0
    run: list[int] = []
    for number in [*numbers, -1]:
        if run and number != run[-1] + 1:
            data = b"".join(sectors[n] for n in run)
            yield Patch(start + run[0] * SECTOR_BYTES, data, f"keyslot {keyslot.id} area")
            run = []
        run.append(number)


def _sectors(reader: Reader, keyslot: Keyslot) -> list[bytes]:
    """The sectors of a keyslot's key material; what cannot be read is zeros."""
    sectors = []
    for at in material_sectors(keyslot):
        try:
            sector = reader.read_at(at, SECTOR_BYTES)
        except OSError:
            sector = b""
        sectors.append(sector.ljust(SECTOR_BYTES, b"\0"))
    return sectors
