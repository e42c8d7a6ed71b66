"""Backup: the header of a live device, as it stood at one moment, into the vault and every store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from luksafe.device.identity import describe
from luksafe.errors import DamagedInput, Refused
from luksafe.luks.compact import Capture, capture
from luksafe.luks.compare import compare
from luksafe.luks.finding import Severity
from luksafe.luks.inspection import Inspection, inspect
from luksafe.luks.model import Header
from luksafe.luks.weaknesses import weaknesses
from luksafe.ops.check_keys import proof_reasons
from luksafe.ops.check_lost import unmeant_replacements
from luksafe.ops.check_reasons import size_reason
from luksafe.ops.check_report import Reason
from luksafe.ops.clones import keep_apart, note_size, own_lineage, superseded_beside
from luksafe.ops.contradiction import Contradicted, contradicted_in_vault, find_contradicted, find_witnesses
from luksafe.ops.copies import CountedCopies, count_copies
from luksafe.ops.keyslot_health import destroyed_keyslots, destroyed_words
from luksafe.ops.mapping_header import OpenWithoutHeader, open_without_header
from luksafe.ops.record import make_record, uuid_of
from luksafe.ops.target import Target, open_target, require_path
from luksafe.ops.workspace import Workspace
from luksafe.reader import BytesReader, Reader
from luksafe.vault.record import Proof, timestamp
from luksafe.vault.report import Added, Copy
from luksafe.vault.vault import Vault


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What a backup did: ``changes`` since the last current one are in words; ``stored_bytes`` in each store;
    ``copies`` are those that count.

    ``lost``: a mapping is open over the device, and this header is not the one that opened it.
    ``damaged``: keyslots whose key material is not what another backup has of the same enrolment.
    ``destroyed``: the others whose key material cannot be whole, as it is not random.
    ``opens``: where every keyslot is erased, the backup that stays current as it has some.
    ``replaced``: volumes of which the vault knows that they were on the device, in whose place this header is.
    ``resized``: the device has another size than when it was last backed up.
    """

    device: str
    uuid: str
    added: Added
    taken: Capture
    inspection: Inspection
    changes: tuple[str, ...]
    copies: CountedCopies
    wanted_copies: int
    stored_bytes: int
    lock_note: str = ""
    lost: OpenWithoutHeader | None = None
    damaged: tuple[Contradicted, ...] = ()
    destroyed: tuple[int, ...] = ()
    replaced: tuple[Reason, ...] = ()
    opens: str = ""
    resized: Reason | None = None
    is_proven: bool = False

    @property
    def dangers(self) -> list[str]:
        """What is wrong with the keyslots, in words."""
        return [*self.erased, *_dangers(self.damaged, self.destroyed, self.device)]

    @property
    def erased(self) -> list[str]:
        """That no keyslot is left, and what of it; empty when some are."""
        header = self.inspection.header
        if header is None or not header.is_erased:
            return []
        text = f"every keyslot of {self.device} is erased: no passphrase opens it any more"
        if self.opens:
            return [f"{text}; it does not become current: backup {self.opens[:12]}, which has keyslots, stays that"]
        return [text]

    @property
    def weaknesses(self) -> list[str]:
        """What is weak about the header though it is whole, in words; what lies in the clear was warned of."""
        found = weaknesses(self.inspection.header) if self.inspection.header else ()
        return [finding.text for finding in found if finding.severity is Severity.WARNING]


def backup_device(
    workspace: Workspace,
    device: str,
    header: str | None = None,
    *,
    full: bool = False,
    again: bool = False,
    why: str = "",
    refuse_damaged: bool = False,
    is_named: bool = False,
) -> BackupReport:
    """Capture a device's header (or its detached one) and store it. Raises DamagedInput when there is none at all.

    With ``is_named`` the user asked for this very device: that it has shrunk is noted then, and told the last time.
    Raises Refused with ``refuse_damaged`` when another backup shows that a keyslot was damaged: this one would be
    current, and pass for good.
    """
    with open_target(workspace, device, header, full=full) as target:
        path = require_path(target)
        lost = open_without_header(str(path))
        if target.inspection.format == "none":
            _refuse_nothing(target.inspection, lost)
        taken = capture(target.reader, target.inspection, full=full)
        # what is stored is judged, not what it was taken from
        inspection = inspect(BytesReader(taken.image))
        _require_read(taken, inspection, device)
        if target.inspection.header is None:
            inspection = target.inspection
        facts = describe(target.data_path or path)
        with workspace.open_vault(create=True) as vault:
            damaged = _damaged(vault, inspection, taken)
            if refuse_damaged:
                _refuse_damaged(damaged, device)
            own = own_lineage(vault, uuid_of(inspection), facts)
            previous = _previous(vault, own.lineage.current)
            record = make_record(
                workspace,
                inspection,
                taken,
                facts,
                own.lineage.events,
                why,
                is_detached=_is_detached(target, inspection),
            )
            beside = superseded_beside(record.uuid, own, facts)
            added = vault.add(record, taken.image, now=workspace.now(), again=again)
            if added.new:
                keep_apart(vault, record.uuid, beside, record.created)
            resized = size_reason(own, facts, str(device))
            if resized and not added.new and not added.returned and (is_named or resized.code == "device-grown"):
                note_size(vault, added.id, record, own)
            vault.see_volumes([record.uuid], now=workspace.now())
            replaced = unmeant_replacements(vault, facts, target, str(device))
            return BackupReport(
                device=str(device),
                uuid=uuid_of(inspection),
                added=added,
                taken=taken,
                inspection=target.inspection,
                changes=_changes(previous, inspection.header, taken.image),
                copies=count_copies(vault, [Copy(name, here=True) for name in added.stores], facts),
                wanted_copies=vault.config.copies,
                stored_bytes=_stored_size(vault, added),
                lock_note=target.lock_note,
                lost=lost,
                damaged=damaged,
                destroyed=_destroyed(inspection.header, BytesReader(taken.image), damaged),
                replaced=tuple(replaced),
                resized=resized,
                is_proven=not any(proof_reasons(vault.resolve(added.id), inspection.header, str(device))),
                opens=next((b.id for b in vault.current(uuid_of(inspection)) if not b.record.is_erased), ""),
            )


def require_whole_keyslots(
    workspace: Workspace, target: Target, *, allow_damaged: bool, erased: int | None = None
) -> None:
    """Before a header is changed and backed up: what is wrong with its keyslots is refused as by a backup, or told.

    What is wrong with the keyslot that is to be ``erased`` is no matter.
    """
    header, device = target.inspection.require_header(), str(target.data_path or target.header_path)
    damaged = contradicted_in_vault(workspace, header, target.reader)
    destroyed = _destroyed(header, target.reader, damaged)
    damaged = tuple(found for found in damaged if found.keyslot != erased)
    if not allow_damaged:
        _refuse_damaged(damaged, device)
    for words in _dangers(damaged, [slot for slot in destroyed if slot != erased], device):
        workspace.warn(f"{words}; see luksafe diagnose {device}")


def note_opened(workspace: Workspace, backup_id: str, keyslot: int | None, digest: int, what: str) -> None:
    """Note with a backup that its header was just opened by a keyslot (None: that the volume key is the digest's)."""
    proof = Proof(
        id=backup_id,
        when=timestamp(workspace.now()),
        method=what,
        keyslot=keyslot,
        digest=digest,
        host=workspace.host_name,
        tool=workspace.tool,
    )
    with workspace.open_vault() as vault:
        vault.add_proof(proof)


def backup_target(workspace: Workspace, target: Target, why: str) -> str:
    """Back up the header of a target as it is now, before or after it is changed; gives the id of the backup."""
    path = require_path(target)
    data = target.data_path or path
    added = backup_device(workspace, str(data), None if data == path else str(path), why=why).added
    for problem in added.problems:
        workspace.warn(f"{problem.store} has no copy of backup {added.id[:12]}: {problem.text}")
    return added.id


def _dangers(damaged: Sequence[Contradicted], destroyed: Sequence[int], device: str) -> list[str]:
    words = [found.words(device) for found in damaged]
    return [*words, destroyed_words(destroyed, device)] if destroyed else words


def _is_detached(target: Target, inspection: Inspection) -> bool:
    """Whether the header lies apart from its data: it was named so, or ends before they could begin."""
    ends_before = inspection.header is not None and target.reader.size_bytes < inspection.header.data_offset
    return target.has_header_apart or ends_before


def _refuse_nothing(inspection: Inspection, lost: OpenWithoutHeader | None) -> None:
    try:
        inspection.require_header()
    except DamagedInput as problem:
        if lost is not None:
            problem.hint = f"{lost.text}. Then: {lost.header.next}"
        raise


def _damaged(vault: Vault, inspection: Inspection, taken: Capture) -> tuple[Contradicted, ...]:
    if inspection.header is None:
        return ()
    witnesses = find_witnesses(vault, uuid_of(inspection))
    return find_contradicted(inspection.header, BytesReader(taken.image), witnesses)


def _destroyed(header: Header | None, reader: Reader, damaged: Sequence[Contradicted]) -> tuple[int, ...]:
    """The keyslots that cannot be whole, without those that are told to be ``damaged``."""
    told = {found.keyslot for found in damaged}
    return tuple(slot for slot in destroyed_keyslots(reader, header) if slot not in told) if header else ()


def _refuse_damaged(damaged: Sequence[Contradicted], device: str) -> None:
    if damaged:
        raise Refused(
            "; ".join(found.words(device) for found in damaged),
            code="damaged-keyslot",
            hint=f"see what is damaged: luksafe diagnose {device}; to keep it all the same, as the current backup:"
            " --allow-damaged-keyslot",
        )


def _require_read(taken: Capture, inspection: Inspection, device: str) -> None:
    """An image of zeros where the header was, because the disk fails, is no backup."""
    if taken.unreadable and inspection.format == "none":
        raise DamagedInput(f"the header of {device} cannot be read any more", hint="see what the disk says: dmesg")


def _previous(vault: Vault, current: Sequence[str]) -> tuple[Header, bytes] | None:
    """The backup that was current until now, when there is exactly one and it is readable."""
    if len(current) != 1:
        return None
    try:
        image = vault.image(current[0]).data
    except DamagedInput:
        return None
    header = inspect(BytesReader(image)).header
    return (header, image) if header else None


def _changes(previous: tuple[Header, bytes] | None, header: Header | None, image: bytes) -> tuple[str, ...]:
    if previous is None or header is None:
        return ()
    before, before_image = previous
    return tuple(c.text for c in compare(before, header, BytesReader(before_image), BytesReader(image)))


def _stored_size(vault: Vault, added: Added) -> int:
    """The size of the packed image as it stands in the first store, in bytes."""
    folder = vault.home.folder.path
    found = sorted(Path(folder).glob(f"*/{added.id}.hdr.gz"))
    return found[0].stat().st_size if found else 0
