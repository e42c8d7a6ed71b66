"""What a passphrase proves of a repair: the keyslot that it opens, and by the data whether they are read right."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from luksafe.crypto.kdf import KdfLimits
from luksafe.errors import KeyRejected, LuksafeError
from luksafe.luks.inspection import inspect
from luksafe.luks.luks1.binary_header import SECTOR_BYTES, BinaryHeader
from luksafe.luks.luks1.validate import end_of_keyslots_bytes
from luksafe.luks.model import Header
from luksafe.luks.repair.luks1_layout import default_payload_offset, find_layout
from luksafe.luks.repair.proposal import Evidence, Ground, Outcome, Patch, PatchedReader, Proposal
from luksafe.luks.unlock import Unlocked, unlock
from luksafe.ops.proof import DataProof, examine_data
from luksafe.probe.content import recognise_content
from luksafe.reader import Reader
from luksafe.secret import SecretBytes
from luksafe.view.parameters import USUAL_OFFSETS
from luksafe.view.stream import DecryptedReader

_NOT_LOOKED_AT = DataProof(False, why="the data were not looked at")
_OFFSET_FIELD = 104


@dataclass(frozen=True, slots=True)
class RepairProof:
    """What was seen with the repair applied: the keyslot that opens, and what the data decrypt to."""

    keyslot: int
    data: DataProof

    def covers(self, proposal: Proposal) -> bool:
        """Whether what the proposal changes is what this proves."""
        match proposal.ground:
            case Ground.KEYSLOT:
                return self.data.makes_sense is not False
            case Ground.DATA:
                return self.data.makes_sense is True
        return False

    @property
    def words(self) -> str:
        """For the notes of a plan."""
        text = f"proven: the passphrase opens keyslot {self.keyslot} of the repaired header"
        if self.data.makes_sense:
            return f"{text}, and the data decrypt to {self.data.found}"
        if self.data.makes_sense is False:
            return f"{text}; not proven: where the data begin, and how they are encrypted: they decrypt to noise"
        return f"{text}; the data prove nothing ({self.data.why})"

    def to_json(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        return {"keyslot": self.keyslot, "data": self.data.found, "makes_sense": self.data.makes_sense}


def prove_repair(
    reader: Reader, outcome: Outcome, passphrase: SecretBytes, keyslot: int | None, limits: KdfLimits
) -> tuple[Outcome, RepairProof | None]:
    """The proof of an outcome by a passphrase; and the outcome, with what the data alone can prove added to it.

    None where there is no usable header, or nothing to be proven and the key opens nothing. Raises KeyRejected where
    what is proposed does not open.
    """
    after = PatchedReader(reader, outcome.patches)
    header = inspect(after).header
    if header is None:
        return outcome, None
    try:
        opened = unlock(after, header, passphrase, keyslot=keyslot, limits=limits)
    except LuksafeError as problem:
        if not outcome.proposals:
            return outcome, None
        if not isinstance(problem, KeyRejected):
            raise
        hint = "if a keyslot is damaged too: add --keyslot N; without a key option the header alone is repaired"
        raise KeyRejected(f"after the repair {problem}", hint=hint) from problem
    with opened.volume_key:
        data = _look(after, header, opened)
        better = _offset_by_data(after, header, opened) if data.makes_sense is not True else None
        if better is not None:
            outcome = replace(outcome, proposals=(*outcome.proposals, better))
            after = PatchedReader(reader, outcome.patches)
            data = _look(after, inspect(after).require_header(), opened)
    return outcome, RepairProof(opened.keyslot, data)


def _look(ciphertext: Reader, header: Header, opened: Unlocked) -> DataProof:
    if opened.is_unbound or header.is_in_reencryption:
        return _NOT_LOOKED_AT
    try:
        return examine_data(ciphertext, header, opened.volume_key, opened.digest_id)
    except (LuksafeError, OSError) as problem:
        return DataProof(False, why=str(problem))


def _offset_by_data(volume: Reader, header: Header, opened: Unlocked) -> Proposal | None:
    """The one place where the data of a LUKS1 volume make sense, when they make none where its header says.

    Its header has no checksum: the offset may have changed. That of a LUKS2 header is proven by its own.
    """
    if header.format != "luks1" or opened.is_unbound:
        return None
    binary = BinaryHeader.parse(volume.read_at(0, _OFFSET_FIELD + 488))
    right = [
        offset for offset in _candidates(binary, volume.size_bytes) if _makes_sense(volume, header, opened, offset)
    ]
    if len(right) != 1:
        return None
    sector = right[0] // SECTOR_BYTES
    text = f"set the start of the data to sector {sector} (it says {binary.payload_offset})"
    why = "the data decrypt to something known there, and to nothing where the header says"
    patch = Patch(_OFFSET_FIELD, sector.to_bytes(4, "big"), "LUKS1 header")
    return Proposal("payload-offset-by-data", text, why, Evidence.DATA, (patch,), Ground.DATA)


def _candidates(binary: BinaryHeader, device_bytes: int) -> list[int]:
    """In bytes: one flipped bit away, and the usual ones."""
    layout = find_layout(binary)
    usual = [default_payload_offset(layout) * SECTOR_BYTES] if layout else []
    flipped = [(binary.payload_offset ^ (1 << bit)) * SECTOR_BYTES for bit in range(32)]
    first = end_of_keyslots_bytes(binary)
    offsets = dict.fromkeys((*usual, *flipped, *USUAL_OFFSETS))
    return [at for at in offsets if first <= at < device_bytes and at != binary.payload_offset * SECTOR_BYTES]


def _makes_sense(volume: Reader, header: Header, opened: Unlocked, offset: int) -> bool:
    segment = header.default_segment
    if segment is None or not any(volume.read_at(offset, SECTOR_BYTES)):
        return False
    moved = replace(segment, offset=offset, size=None)
    try:
        content = recognise_content(DecryptedReader(volume, [moved], {segment.id: opened.volume_key}))
    except (LuksafeError, OSError):
        return False
    return bool(content.plausible and content.recognised)
