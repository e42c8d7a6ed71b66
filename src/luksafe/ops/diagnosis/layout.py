"""Which bytes of the volume belong to what: from the header, else from a backup, else from what is usual."""

from __future__ import annotations

from dataclasses import dataclass

from luksafe.luks.areas import Region, header_area_bytes, regions
from luksafe.luks.inspection import Inspection
from luksafe.luks.model import Header
from luksafe.ops.diagnosis.against_backup import Contradiction
from luksafe.ops.diagnosis.facts import USUAL_AREA_BYTES, Facts
from luksafe.ops.diagnosis.known_backups import KnownBackup
from luksafe.ops.diagnosis.remains import LUKS1_KEYSLOTS, LUKS2_KEYSLOTS, first_key_offset

USUAL_LAYOUTS = {"luks1": (LUKS1_KEYSLOTS, 2 << 20), "luks2": (LUKS2_KEYSLOTS, USUAL_AREA_BYTES)}


@dataclass(frozen=True, slots=True)
class VolumeLayout:
    """The regions up to the data, which begin at ``data_offset``. ``header`` and ``source`` say whom to believe.

    Without a header the regions are those of a LUKS2 volume made with default options.
    """

    regions: tuple[Region, ...]
    data_offset: int
    header: Header | None
    inspection: Inspection | None
    source: str
    backup: KnownBackup | None = None


def lay_out_volume(facts: Facts, contradiction: Contradiction | None) -> VolumeLayout:
    """The layout of the header as it stands or after repair, else of the best backup, else the usual one."""
    if contradiction is not None and not contradiction.is_only_uuid:
        backup = contradiction.backup
        return _from(backup.inspection, f"backup {backup.id[:12]}", backup)
    if facts.mended.header is not None:
        source = "the header" if not facts.repair.proposals else "the header as it is after repair"
        return _from(facts.mended, source, None)
    for backup in facts.backups:
        if backup.inspection.header is not None:
            return _from(backup.inspection, f"backup {backup.id[:12]}", backup)
    keys, data = USUAL_LAYOUTS["luks1" if first_key_offset(facts) == LUKS1_KEYSLOTS else "luks2"]
    usual = (
        Region("unused", 0, keys, "place of the headers"),
        Region("unused", keys, data, "usual place of the keyslots"),
    )
    for backup in facts.headers_elsewhere[:1]:
        data = backup.inspection.require_header().data_offset
    return VolumeLayout(usual, data, None, None, "the usual layout: no header is left to tell")


def _from(inspection: Inspection, source: str, backup: KnownBackup | None) -> VolumeLayout:
    header = inspection.require_header()
    found = tuple(regions(inspection))
    if found and found[-1].end < header_area_bytes(inspection):
        found = (*found, Region("unused", found[-1].end, header_area_bytes(inspection), "unused"))
    return VolumeLayout(found, header.data_offset, header, inspection, source, backup)
