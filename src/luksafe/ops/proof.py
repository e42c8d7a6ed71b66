"""Prove: open a header with a key, verify the key, decrypt the data, recognise what is in it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from luksafe.crypto.kdf import KdfLimits
from luksafe.device.identity import describe
from luksafe.device.source import open_source
from luksafe.errors import KeyRejected, LuksafeError
from luksafe.luks.compact import capture
from luksafe.luks.model import Header
from luksafe.luks.unlock import Unlocked, open_digests, verify_volume_key
from luksafe.luks.weaknesses import clear_text_findings
from luksafe.ops.record import record_device, uuid_of
from luksafe.ops.target import Target
from luksafe.ops.ties import why_another
from luksafe.ops.unwritten import UNWRITTEN, UNWRITTEN_WORDS, is_unwritten
from luksafe.ops.workspace import Workspace
from luksafe.probe.content import UNKNOWN, recognise_content
from luksafe.reader import Reader, SliceReader
from luksafe.secret import SecretBytes
from luksafe.vault.backup import Backup
from luksafe.vault.name import base_id, image_id
from luksafe.vault.record import NOT_RECOGNISED, Proof, timestamp
from luksafe.view.parameters import find_parameters
from luksafe.view.stream import DecryptedReader, open_volume


@dataclass(frozen=True, slots=True)
class DataProof:
    """What the data decrypt to. ``makes_sense`` is None when that cannot be told (never written, wiped, unknown).

    It takes something known at its place: of a chained mode most of each sector is no noise at a wrong place too.
    """

    checked: bool
    found: str = ""
    why: str = ""
    makes_sense: bool | None = None

    @property
    def is_recognised(self) -> bool:
        """Whether they are something known: more than sense, which may be left of an earlier volume."""
        return self.makes_sense is True and self.found not in NOT_RECOGNISED

    @property
    def is_doubtful(self) -> bool:
        """Whether they were looked at, and are noise or nothing known."""
        return self.makes_sense is False or (self.found == UNKNOWN and not self.makes_sense)


@dataclass(frozen=True, slots=True)
class ProofKey:
    """A key as it was given: a passphrase for the keyslots (or one of them), or the volume key itself."""

    passphrase: SecretBytes | None = None
    volume_key: SecretBytes | None = None
    keyslot: int | None = None
    limits: KdfLimits | None = None

    def open(self, reader: Reader, header: Header) -> Unlocked:
        """The volume key, proven by its digest. Raises KeyRejected, DamagedInput and what else ``unlock`` raises."""
        return self.open_each(reader, header)[0]

    def open_each(self, reader: Reader, header: Header) -> tuple[Unlocked, ...]:
        """Every volume key that it gives, the one of ``open`` first: a volume in reencryption has two."""
        if self.volume_key is not None:
            return _by_volume_key(header, self.volume_key, self.limits)
        passphrase = self.passphrase or SecretBytes()
        return open_digests(reader, header, passphrase, keyslot=self.keyslot, limits=self.limits)


@dataclass(frozen=True, slots=True)
class ProofReport:
    """The result: which keyslot opened (None: the volume key itself was given), and what the data say.

    ``noted_with`` is the backup that the proof was noted with, empty for none. ``expected`` says why the data should
    have made sense and did not; empty where nothing was ever recognised, as on a fresh volume.
    ``digests`` are those that this key confirmed, ``unproven_digests`` the others whose keys the data need. With
    ``flaws`` the key proves nothing, as the volume key, or the data, lie in the clear.
    """

    keyslot: int | None
    volume_key_sha256: str
    digest_id: int
    is_unbound: bool
    data: DataProof
    noted_with: str = ""
    expected: str = ""
    digests: tuple[int, ...] = ()
    unproven_digests: tuple[int, ...] = ()
    flaws: tuple[str, ...] = ()

    @property
    def is_noise(self) -> bool:
        """Whether the data were looked at and make no sense."""
        return self.data.makes_sense is False


def prove(
    workspace: Workspace,
    target: Target,
    *,
    passphrase: SecretBytes | None = None,
    volume_key: SecretBytes | None = None,
    keyslot: int | None = None,
    data: Path | None = None,
    limits: KdfLimits | None = None,
) -> ProofReport:
    """Open the target's header with a passphrase or a volume key and look at its data, if they are at hand.

    Raises KeyRejected, DamagedInput and what else ``unlock`` raises. Notes the proof with the backup, if it is one, and
    unless the data are noise where they should be known.
    """
    header = target.inspection.require_header()
    opened_each = ProofKey(passphrase, volume_key, keyslot, limits).open_each(target.reader, header)
    opened = opened_each[0]
    data_path = data or target.data_path
    shown = DataProof(False, why="no data device was given")
    if data is None and header.is_detached and data_path == target.header_path:
        data_path = None
        shown = DataProof(False, why="it is a detached header: its data are on another device (--data DEVICE)")
    if data_path:
        shown = look_at_data(data_path, header, opened, others=opened_each[1:], header_reader=target.reader)
    backup_id = target.backup.id if target.backup else stored_id(workspace, target)
    expected = _why_expected(workspace, target, backup_id, data, data_path) if shown.is_doubtful else ""
    report = ProofReport(
        keyslot=opened.keyslot if volume_key is None else None,
        volume_key_sha256=hashlib.sha256(opened.volume_key.view).hexdigest(),
        digest_id=opened.digest_id,
        is_unbound=opened.is_unbound,
        data=shown,
        noted_with="" if opened.is_unbound or expected or clear_text_findings(header) else backup_id,
        expected=expected,
        digests=tuple(each.digest_id for each in opened_each),
        unproven_digests=_without(header, opened_each),
        flaws=tuple(finding.text for finding in clear_text_findings(header)),
    )
    for each in opened_each if report.noted_with else ():
        slot = each.keyslot if volume_key is None else None
        note_proof(workspace, replace(report, keyslot=slot, digest_id=each.digest_id), data_path)
    return report


def _without(header: Header, opened: Sequence[Unlocked]) -> tuple[int, ...]:
    """The digests of keys that the data need, but for those that were confirmed."""
    confirmed = {each.digest_id for each in opened}
    return tuple(digest.id for digest in header.digests_in_use if digest.id not in confirmed)


def _why_expected(
    workspace: Workspace, target: Target, backup_id: str, named: Path | None, data_path: Path | None
) -> str:
    """Why the data should make sense: they were named, or known before, or it is not the device of the backup."""
    if named is not None:
        return f"{named} was given as the device of its data"
    with workspace.vault_if_readable() as vault:
        backups: list[Backup] = vault.backups(uuid_of(target.inspection)) if vault else []
    known = [p for backup in backups for p in backup.proofs if p.has_recognised_data]
    if known:
        return f"the data of this volume were seen to be {known[-1].found} on {known[-1].when[:10]}"
    own = next((backup for backup in backups if backup.id == backup_id), None)
    if own and data_path and (why := why_another(own.record.device, describe(data_path))):
        return f"this is not the device that the backup was made of ({why})"
    return ""


def stored_id(workspace: Workspace, target: Target) -> str:
    """The id of the backup that has this very header, empty when the vault has none: its proof is proven with it."""
    image = capture(target.reader, target.inspection).image
    wanted = image_id(hashlib.sha256(image).hexdigest())
    with workspace.vault_if_readable() as vault:
        ids = [backup.id for backup in vault.backups(uuid_of(target.inspection))] if vault else []
    return next((found for found in ids if base_id(found) == wanted), "")


def _by_volume_key(header: Header, volume_key: SecretBytes, limits: KdfLimits | None) -> tuple[Unlocked, ...]:
    fitting = [digest for digest in header.digests.values() if verify_volume_key(digest, volume_key, limits)]
    if not fitting:
        raise KeyRejected("this is not the volume key: no digest of the header fits it")
    fitting.sort(key=lambda digest: not digest.segments)
    return tuple(Unlocked(-1, volume_key, digest.id, is_unbound=not digest.segments) for digest in fitting)


def look_at_data(
    path: Path,
    header: Header,
    opened: Unlocked,
    *,
    others: Sequence[Unlocked] = (),
    header_reader: Reader | None = None,
) -> DataProof:
    """Decrypt the data that lie on this device with an opened header. Raises nothing: says why it could not.

    ``others`` are the other keys of a volume in reencryption, whose header ``header_reader`` holds when detached.
    """
    if opened.is_unbound:
        return DataProof(False, why="the keyslot is unbound: its key decrypts no data")
    try:
        with open_source(path) as whole:
            ciphertext = SliceReader(whole, header.offset)
            if header.is_in_reencryption:
                keys = {each.digest_id: each.volume_key for each in (opened, *others)}
                return _examine_reencrypting(ciphertext, header_reader, header, keys)
            return examine_data(ciphertext, header, opened.volume_key, opened.digest_id)
    except (LuksafeError, OSError) as problem:
        return DataProof(False, why=str(problem))


def _examine_reencrypting(
    ciphertext: Reader, header_reader: Reader | None, header: Header, keys: Mapping[int, SecretBytes]
) -> DataProof:
    """What the start of a volume in reencryption decrypts to, where its key was opened; of noise nothing follows."""
    content = recognise_content(open_volume(ciphertext, header, keys, header_reader=header_reader))
    if content.plausible:
        return DataProof(True, content.name, content.why, content.plausible)
    return DataProof(False, why="the volume is in reencryption: its data cannot be judged")


def examine_data(ciphertext: Reader, header: Header, volume_key: SecretBytes, digest_id: int) -> DataProof:
    """Decrypt samples of the data and say what they are; of noise, say with which parameters it would be none."""
    segments = [s for s in header.data_segments if s.id in header.digests[digest_id].segments]
    if not segments or ciphertext.size_bytes <= segments[0].offset:
        return DataProof(False, why="there are no data here")
    if is_unwritten(ciphertext, segments[0].offset):
        return DataProof(True, UNWRITTEN, UNWRITTEN_WORDS)
    volume = DecryptedReader(ciphertext, segments, {segment.id: volume_key for segment in segments})
    content = recognise_content(volume)
    if content.plausible is not False:
        # of XTS every byte of a sector hangs on its place, so that any sense is of this one
        is_sense = content.plausible or (content.name == UNKNOWN and "xts" in segments[0].encryption) or None
        return DataProof(True, content.name, content.why, is_sense)
    better = find_parameters(ciphertext, segments[0], volume_key)
    hope = f"; but {better.text}" if better else ""
    what = "noise: " if content.name == "random" else ""
    return DataProof(True, content.name, f"{what}{content.why}{hope}", makes_sense=False)


def note_proof(workspace: Workspace, report: ProofReport, data_path: Path | None) -> None:
    """Keep the proof with its backup. Of noise it says that the key opens the header, and nothing of the data."""
    keyslot = "the volume key" if report.keyslot is None else f"keyslot {report.keyslot}"
    found = report.data.found if report.data.checked and not report.is_noise else ""
    method = f"{keyslot} opened this backup" + (f", the data decrypt to {found}" if found else "")
    proof = Proof(
        id=report.noted_with,
        when=timestamp(workspace.now()),
        method=method,
        keyslot=report.keyslot,
        digest=report.digest_id,
        found=found,
        device=record_device(describe(data_path)) if found and data_path else msgspec.UNSET,
        host=workspace.host_name,
        tool=workspace.tool,
    )
    with workspace.open_vault() as vault:
        vault.add_proof(proof)
