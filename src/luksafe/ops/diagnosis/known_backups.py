"""The backups in the vault that belong to a target: by UUID, by device, or by key material that is still on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from luksafe.device.identity import DeviceFacts
from luksafe.errors import LuksafeError
from luksafe.luks.inspection import Inspection, inspect
from luksafe.luks.key_material import SECTOR_BYTES, material_sectors, may_be_material
from luksafe.ops.contradiction import Witness, find_contradicted, proven_keyslots
from luksafe.ops.diagnosis.traces import find_header_traces
from luksafe.ops.recorded_device import backups_of_device
from luksafe.ops.workspace import Workspace
from luksafe.reader import BytesReader
from luksafe.vault.backup import Backup
from luksafe.vault.vault import Vault

MOST_IMAGES = 200
WEAK_KEYS = ("file:", "slot:")
"""What a device is known by that another may have tomorrow: a path, the slot that a disk is plugged into."""
_TIES = ("uuid", "key-material", "device", "path")


@dataclass(frozen=True, slots=True)
class KnownBackup:
    """A backup that belongs to the target. ``by``: ``uuid``, ``key-material``, ``device`` (what tells it from others)
    or ``path`` (nothing but a file's name or the slot of a disk: weak); ``kept`` as recorded.

    ``proven``: the keyslots of it that were seen to open; ``is_recognised``: the data made sense then;
    ``is_contradicted``: a proven backup has other key material.
    """

    id: str
    uuid: str
    seqid: int
    created: str
    is_current: bool
    by: str
    image: bytes
    inspection: Inspection
    kept: tuple[tuple[int, int], ...]
    device_size: int
    proven: frozenset[int]
    is_contradicted: bool = False
    is_recognised: bool = False

    @property
    def is_of_device(self) -> bool:
        """Whether it was taken of this device, or of one that has its name now."""
        return self.by in ("device", "path")

    @property
    def is_seen(self) -> bool:
        """Whether something on the device itself says that it is the same volume."""
        return self.by in ("uuid", "key-material")

    @property
    def witness(self) -> Witness | None:
        """What it says of key material; None where it holds no usable header."""
        header = self.inspection.header
        return Witness(self.id, BytesReader(self.image), header, self.proven) if header else None

    @property
    def has_keyslots(self) -> bool:
        """Whether it has a keyslot that may open the data; after an erase it has none."""
        header = self.inspection.header
        return header is not None and any(k.type == "luks2" for k in header.keyslots.values())

    @property
    def opens(self) -> bool:
        """Whether it opens the data as far as is known: seen to, or current with keyslots that nothing contradicts."""
        return not self.is_contradicted and self.has_keyslots and (bool(self.proven) or self.is_current)

    @property
    def is_elsewhere(self) -> bool:
        """Whether it is of a detached header, and made with the device of the data, which holds more than a header."""
        header = self.inspection.header
        return header is not None and header.is_detached and self.device_size > header.areas_end


def find_known_backups(
    workspace: Workspace,
    start: bytes,
    inspections: Iterable[Inspection],
    device: DeviceFacts | None,
    itself: Backup | None,
) -> tuple[KnownBackup, ...]:
    """The backups in the vault of the volume that ``start`` begins; none without a vault.

    In the order of what opens, then of what is current: those without keyslots, and those that a proven one
    contradicts, come last. ``itself`` is the backup being diagnosed, which proves nothing about itself.
    """
    # a secondary is looked for at nine offsets, and at each of them another volume may begin
    elsewhere = {trace.offset for trace in find_header_traces(start) if trace.volume_offset}
    copies = [copy for i in inspections for copy in i.copies if copy.offset not in elsewhere]
    uuids = {copy.uuid.lower() for copy in copies if copy.uuid}
    try:
        with workspace.vault_if_readable() as vault:
            found = list(_find(vault, start, uuids, device, itself.id if itself else "")) if vault else []
    except LuksafeError:
        return ()
    judged = _judged(found)
    return tuple(sorted(judged, key=_rank))


def _rank(known: KnownBackup) -> tuple[bool, bool, bool, bool, int, int]:
    return (
        known.is_contradicted,
        not known.has_keyslots,
        not known.opens,
        not known.is_current,
        _TIES.index(known.by),
        -known.seqid,
    )


def _judged(backups: Sequence[KnownBackup]) -> Iterator[KnownBackup]:
    witnesses = [witness for backup in backups if (witness := backup.witness)]
    for backup in backups:
        own = backup.witness
        contradicted = find_contradicted(own.header, own.reader, witnesses) if own else ()
        yield replace(backup, is_contradicted=any(found.is_proven for found in contradicted))


def _find(
    vault: Vault, start: bytes, uuids: set[str], device: DeviceFacts | None, itself: str
) -> Iterator[KnownBackup]:
    everything = [backup for backup in vault.backups() if backup.id != itself]
    of_device = {backup.id for backup in backups_of_device(vault, device)} if device else set()
    by_name = [b for b in everything if b.record.uuid.lower() in uuids or b.id in of_device]
    for backup in by_name:
        by_device = "path" if device is None or device.target_key.startswith(WEAK_KEYS) else "device"
        known = _load(vault, backup, "uuid" if backup.record.uuid.lower() in uuids else by_device)
        if known and known.is_of_device and shares_key_material(known, start):
            known = replace(known, by="key-material")
        if known:
            yield known
    if any(backup.record.uuid.lower() in uuids for backup in by_name):
        return
    for backup in [b for b in everything if b not in by_name][:MOST_IMAGES]:
        known = _load(vault, backup, "key-material")
        if known and shares_key_material(known, start):
            yield known


def _load(vault: Vault, backup: Backup, how: str) -> KnownBackup | None:
    try:
        image = vault.image(backup.id).data
    except LuksafeError:
        return None
    return KnownBackup(
        id=backup.id,
        uuid=backup.record.uuid,
        seqid=backup.record.seqid,
        created=backup.record.created,
        is_current=backup.is_current,
        by=how,
        image=image,
        inspection=inspect(BytesReader(image)),
        kept=tuple((int(offset), int(length)) for offset, length in backup.record.kept),
        device_size=int(backup.record.device.size),
        proven=proven_keyslots(backup.proofs),
        is_recognised=any(proof.found for proof in backup.proofs),
    )


def shares_key_material(known: KnownBackup, start: bytes) -> bool:
    """Whether one sector of key material is the same in both: random bytes do not meet twice."""
    header = known.inspection.header
    for keyslot in header.keyslots.values() if header else ():
        for at in material_sectors(keyslot):
            sector = known.image[at : at + SECTOR_BYTES]
            if sector == start[at : at + SECTOR_BYTES] and may_be_material(sector):
                return True
    return False
